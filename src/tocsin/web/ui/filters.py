"""The filters of a list page, as its address carries them."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from tocsin.contracts.model import Text
from tocsin.kernel.errors import FieldError, InvalidRequestError
from tocsin.kernel.pagination import PageCursor

SearchText = Annotated[Text, StringConstraints(strip_whitespace=True, max_length=256)]


class Since(StrEnum):
    """How far back a list goes."""

    HOUR = "1h"
    THREE_HOURS = "3h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


SPANS: Final = {
    Since.HOUR: timedelta(hours=1),
    Since.THREE_HOURS: timedelta(hours=3),
    Since.DAY: timedelta(hours=24),
    Since.WEEK: timedelta(days=7),
    Since.MONTH: timedelta(days=30),
}


class PageFilter(BaseModel):
    """The filters of one page. A parameter that is missing or empty has its default."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    path: ClassVar[str]

    cursor: PageCursor | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """Parse the query of an address. Raise InvalidRequestError."""
        given = {name: value for name, value in query.items() if value.strip()}
        try:
            return cls.model_validate(given)
        except ValidationError as exc:
            errors: list[FieldError] = [
                {"pointer": f"?{item['loc'][0]}", "detail": item["msg"]} for item in exc.errors(include_url=False)
            ]
            msg = "This address has a filter that the list does not support."
            raise InvalidRequestError(errors, msg) from exc

    @classmethod
    def of_address(cls, address: str) -> Self:
        """Parse the whole address of a page, as a form sends it back. Raise InvalidRequestError."""
        return cls.read(dict(parse_qsl(address.partition("?")[2].partition("#")[0])))

    @property
    def address(self) -> str:
        """The page's address in canonical form: defaults are left out."""
        query = urlencode(self.model_dump(mode="json", exclude_defaults=True))
        return f"{self.path}?{query}" if query else self.path

    def with_filters(self, **changed: Any) -> Self:
        """Return the first page of the same list with other filters."""
        return self.model_copy(update={"cursor": None, **changed})
