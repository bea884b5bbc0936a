"""Keyset pages: newest first by (created_at, id), at the same cost at any depth."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Item = TypeVar("Item")
Row = TypeVar("Row", bound=Mapping[str, Any])
MAX_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class Keyset:
    """The position of a page's last row."""

    created_at: datetime
    id: UUID

    def encode(self) -> str:
        """Return the opaque cursor."""
        return base64.urlsafe_b64encode(f"{self.created_at.isoformat()}|{self.id}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str) -> Self:
        """Parse a cursor. Raise ValueError if it is not valid."""
        try:
            at, _, row_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("|")
            # An instant without an offset, or of a year that PostgreSQL or UTC does not have, is not one of ours.
            return cls(_in_utc(datetime.fromisoformat(at)), UUID(row_id))
        except (binascii.Error, ValueError, OverflowError) as exc:
            msg = "not a cursor of this list; use the `next_cursor` of the previous page"
            raise ValueError(msg) from exc


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        msg = "an instant without an offset"
        raise ValueError(msg)
    return instant.astimezone(UTC)


def _checked(cursor: str) -> str:
    Keyset.decode(cursor)
    return cursor


PageCursor = Annotated[str, AfterValidator(_checked)]
"""The `next_cursor` of the previous page."""


class ListQuery(BaseModel):
    """The query parameters of every list; subclasses add filters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    cursor: PageCursor | None = None

    def after(self) -> dict[str, Any]:
        """Return the statement's `after_at`, `after_id` (null on the first page) and `fetch` (the limit plus 1)."""
        key = Keyset.decode(self.cursor) if self.cursor else None
        return {"after_at": key and key.created_at, "after_id": key and key.id, "fetch": self.limit + 1}


def page_of(rows: Sequence[Row], limit: int, to_item: Callable[[Row], Item]) -> tuple[list[Item], str | None]:
    """Return the page's items and the next cursor; a row beyond *limit* shows that there is a next page."""
    shown = rows[:limit]
    more = len(rows) > limit
    cursor = Keyset(shown[-1]["created_at"], shown[-1]["id"]).encode() if more else None
    return [to_item(row) for row in shown], cursor
