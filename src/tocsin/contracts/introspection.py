"""The wire models with which a service asks the web service whose token it has (after RFC 7662)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from tocsin.contracts.model import Model

MAX_TOKEN = 1_000


class Introspect(Model):
    """A token that a caller sent."""

    token: Annotated[str, Field(max_length=MAX_TOKEN)]


class Introspection(Model):
    """Whose token it is; the fields are null if it is not valid."""

    active: bool
    kind: str | None = None
    """`person` or `account`."""
    name: str | None = None
    id: UUID | None = None
    person_id: UUID | None = None
    credential_id: UUID | None = None
    scopes: list[str] = []
