"""Coerce invalid values: a rejected alert would be lost, so it is corrected instead, and a remark describes how.

The bounds are those of `tocsin.contracts.alerts.AlertIn`.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, TypeAdapter, ValidationError, WithJsonSchema

from tocsin.contracts.alerts import Link
from tocsin.contracts.model import Instant, without_nul

MAX_LABELS: Final = 128
MAX_LABEL_NAME: Final = 256
MAX_LABEL_VALUE: Final = 4_096
MAX_MESSAGE: Final = 65_536
MAX_LINE: Final = 256
MAX_LINKS: Final = 32
_INSTANT: Final[TypeAdapter[datetime]] = TypeAdapter(Instant)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return without_nul(value)
    return "" if value is None else json.dumps(value)


def _as_instant(value: Any) -> datetime | None:
    try:
        instant = _INSTANT.validate_python(value)
    except ValidationError:
        return None
    # Go's zero time is in year 1.
    return instant if instant.year > 1 else None


CoercedText = Annotated[
    str, BeforeValidator(_as_text), WithJsonSchema({"description": "Text; other types are converted."})
]
"""Text; null becomes empty, any other type its JSON."""
CoercedTexts = dict[CoercedText, CoercedText]
CoercedInstant = Annotated[
    datetime | None,
    BeforeValidator(_as_instant),
    WithJsonSchema({"description": "RFC 3339; anything else counts as absent."}),
]
"""An instant; None if it is absent or cannot be parsed."""


def bounded_labels(labels: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Return at most 128 labels of bounded length, with a remark if any was cut."""
    kept = {name[:MAX_LABEL_NAME]: value[:MAX_LABEL_VALUE] for name, value in list(labels.items())[:MAX_LABELS]}
    if kept == labels:
        return kept, None
    if len(labels) > MAX_LABELS:
        return kept, f"There were {len(labels)} labels; {MAX_LABELS} are kept."
    return kept, "Very long labels were shortened."


def bounded_message(message: str) -> tuple[str, str | None]:
    """Return at most 65,536 characters, with a remark if it was cut."""
    if len(message) <= MAX_MESSAGE:
        return message, None
    return message[: MAX_MESSAGE - 1] + "…", f"The message was cut: it had {len(message)} characters."


def usable_links(candidates: Iterable[tuple[str, str]]) -> tuple[list[Link], str | None]:
    """Return the valid (address, text) pairs as links, with a remark that counts the invalid ones."""
    links, refused = [], 0
    for href, text in candidates:
        if not href:
            continue
        try:
            links.append(Link(href=href, text=text))
        except ValidationError:
            refused += 1
    refused += max(0, len(links) - MAX_LINKS)
    return links[:MAX_LINKS], f"Links left out: {refused}." if refused else None


def remark_of(*remarks: str | None) -> str | None:
    """Return the remarks joined by spaces; None if there is none."""
    return " ".join(filter(None, remarks)) or None
