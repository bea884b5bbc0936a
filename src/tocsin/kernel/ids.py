"""Identifiers, made through here alone, so that a simulation can take their place."""

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Return a UUID of version 7 (RFC 9562): sorts by the time it was made."""
    return uuid_utils.compat.uuid7()
