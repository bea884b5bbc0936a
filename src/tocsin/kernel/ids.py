"""Identifiers, created through here alone, so that a simulation can replace them."""

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Return a UUID of version 7 (RFC 9562), which sorts by its time of creation."""
    return uuid_utils.compat.uuid7()
