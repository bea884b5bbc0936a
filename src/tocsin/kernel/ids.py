"""The only source of identifiers, so that a simulation can replace it."""

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562), which sorts by its time of creation."""
    return uuid_utils.compat.uuid7()
