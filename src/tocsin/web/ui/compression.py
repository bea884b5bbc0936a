"""Compress bodies with the coding that the client accepts: brotli, gzip or none (RFC 9110, section 12.5.3)."""

import gzip
from typing import Final

import brotli

CODINGS: Final = ("br", "gzip")
"""In order of preference: brotli compresses better."""
SMALL: Final = {"br": 9, "gzip": 9}
"""Levels for bodies that are compressed once, at start-up."""
FAST: Final = {"br": 4, "gzip": 5}
"""Levels for bodies that are compressed for each response: a page of 60 KB takes a millisecond."""


def choose(accepted: str) -> str:
    """Return the coding for the value of `Accept-Encoding`; empty for none."""
    qualities = dict(_parse(part) for part in accepted.lower().split(","))
    rest = qualities.get("*", 0.0)
    return next((coding for coding in CODINGS if qualities.get(coding, rest) > 0), "")


def compress(body: bytes, coding: str, levels: dict[str, int]) -> bytes:
    """Return *body* compressed with *coding*."""
    if coding == "br":
        smaller: bytes = brotli.compress(body, quality=levels[coding])
        return smaller
    return gzip.compress(body, levels[coding], mtime=0) if coding == "gzip" else body


def _parse(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    try:
        return name.strip(), float(parameter.strip().removeprefix("q=")) if parameter else 1.0
    except ValueError:
        return name.strip(), 0.0
