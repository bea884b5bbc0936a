"""The filters of the audit."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from tocsin.contracts.model import Text
from tocsin.web.access.queries import AuditQuery
from tocsin.web.ui.filters import PageFilter, SearchText

Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]


class AuditFilter(PageFilter):
    """Which entries are shown."""

    path = "/audit"

    q: SearchText = ""
    """The beginning of an object's name, or its id."""
    who: UUID | None = None
    action: Annotated[Text, Field(max_length=64)] = ""
    kind: Annotated[Text, Field(max_length=32)] = ""
    since: Day | None = None
    until: Day | None = None
    """The last day, UTC like the first one."""

    def query(self, limit: int) -> AuditQuery:
        """Return the parameters of the list."""
        last = self.until and self.until + timedelta(days=1)
        return AuditQuery(
            since=_midnight(self.since),
            until=_midnight(last),
            account_id=self.who,
            action=self.action or None,
            kind=self.kind or None,
            object=self.q or None,
            cursor=self.cursor,
            limit=limit,
        )

    @property
    def file(self) -> str:
        """The address of what is shown, as a file."""
        return self.with_filters().address.replace(self.path, f"{self.path}/audit.csv", 1)


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
