"""The base of every wire model, and the bounded types that they share."""

from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Model(BaseModel):
    """A frozen wire model. Unknown fields are ignored, so that two versions are compatible."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


def without_nul(text: str) -> str:
    """Replace NUL by U+FFFD: PostgreSQL stores no NUL in text, and senders drop an alert that is rejected with 4xx."""
    return text.replace("\0", REPLACEMENT)


def storable(value: JsonValue) -> JsonValue:
    """Replace NUL in every string. Raise ValueError for a number that JSON cannot represent (1e999 is infinite)."""
    if isinstance(value, str):
        return without_nul(value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(key): storable(item) for key, item in value.items()}
    if isinstance(value, float) and not isfinite(value):
        msg = "a number is too large"
        raise ValueError(msg)
    return value


def in_utc(value: datetime) -> datetime:
    """Convert to UTC; an instant without offset is UTC. Raise ValueError outside the calendar."""
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError as exc:
        msg = "the instant lies outside the years 1 to 9999 in UTC"
        raise ValueError(msg) from exc


def refuse_numbers(value: Any) -> Any:
    """Raise ValueError for a number: it could mean seconds or milliseconds."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[:4].isdigit() and value[4:5] == "-"):
        return value
    msg = "an instant must be in RFC 3339 format, such as 2026-10-22T01:14:08Z"
    raise ValueError(msg)


def as_lower(value: Any) -> Any:
    """Return a string in lower case, so that senders may write `CRITICAL`."""
    return value.lower() if isinstance(value, str) else value


Document = Annotated[dict[str, JsonValue], AfterValidator(storable)]
"""A JSON object that PostgreSQL's jsonb can store."""
Text = Annotated[str, AfterValidator(without_nul)]
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256), AfterValidator(without_nul)
]
"""A name in one line: 1 to 256 characters, without surrounding white space."""
Instant = Annotated[datetime, BeforeValidator(refuse_numbers), AfterValidator(in_utc)]
Labels = Annotated[
    dict[Annotated[Text, Field(max_length=256)], Annotated[Text, Field(max_length=4096)]], Field(max_length=128)
]
"""At most 128 labels; a name of at most 256, a value of at most 4,096 characters."""


class Severity(StrEnum):
    """Severity, most severe first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


SeverityIn = Annotated[Severity, BeforeValidator(as_lower)]

Item = TypeVar("Item", bound=BaseModel)


class Page(Model, Generic[Item]):
    """One page of a list, newest first."""

    items: list[Item]
    next_cursor: str | None = None
    """Pass it back as `cursor` for the next page; null on the last one."""
