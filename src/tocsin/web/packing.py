"""Bodies packed as the browser prefers: brotli, gzip, or not at all (RFC 9110, section 12.5.3)."""

import gzip
from typing import Final

import brotli

CODINGS: Final = ("br", "gzip")
"""In our order: brotli makes less of the same."""
ONCE: Final = {"br": 9, "gzip": 9}
"""How hard to try for what is packed once, at start-up."""
EACH_TIME: Final = {"br": 4, "gzip": 5}
"""And for what is packed for each answer: a page of 60 KB takes a millisecond."""


def chosen(accepted: str) -> str:
    """Return the coding for a client that says *accepted* (`Accept-Encoding`); empty is none."""
    qualities = dict(_parse(part) for part in accepted.lower().split(","))
    rest = qualities.get("*", 0.0)
    return next((coding for coding in CODINGS if qualities.get(coding, rest) > 0), "")


def packed(body: bytes, coding: str, effort: dict[str, int]) -> bytes:
    """Return *body* in *coding*."""
    if coding == "br":
        smaller: bytes = brotli.compress(body, quality=effort[coding])
        return smaller
    return gzip.compress(body, effort[coding], mtime=0) if coding == "gzip" else body


def _parse(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    try:
        return name.strip(), float(parameter.strip().removeprefix("q=")) if parameter else 1.0
    except ValueError:
        return name.strip(), 0.0
