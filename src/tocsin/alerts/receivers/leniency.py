"""Reading what senders get slightly wrong: they drop an alert that is refused, so it is mended and remarked upon.

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
    # Year 1 is how Go writes "no time".
    return instant if instant.year > 1 else None


LooseText = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"description": "Text; anything is taken."})]
"""Text; null is empty, anything else is its JSON."""
LooseTexts = dict[LooseText, LooseText]
LooseInstant = Annotated[
    datetime | None,
    BeforeValidator(_as_instant),
    WithJsonSchema({"description": "RFC 3339; anything is taken, and what cannot be read counts as none."}),
]
"""An instant; None where there is none, or none that can be read."""


def bounded_labels(labels: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Return at most 128 labels of bounded length, with a remark where something was cut."""
    kept = {name[:MAX_LABEL_NAME]: value[:MAX_LABEL_VALUE] for name, value in list(labels.items())[:MAX_LABELS]}
    if kept == labels:
        return kept, None
    return kept, f"Labels were cut: the sender gave {len(labels)}, or very long ones."


def bounded_message(message: str) -> tuple[str, str | None]:
    """Return at most 65,536 characters, with a remark where something was cut."""
    if len(message) <= MAX_MESSAGE:
        return message, None
    return message[: MAX_MESSAGE - 1] + "…", f"The message was cut: it had {len(message)} characters."


def usable_links(candidates: Iterable[tuple[str, str]]) -> tuple[list[Link], str | None]:
    """Return those of (address, text) that are http or https and not too long, with a remark about the others."""
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
    """Join what there is to say."""
    return " ".join(filter(None, remarks)) or None
