"""The query strings of our own calls."""

from collections.abc import Mapping
from typing import Any


def flatten_query(query: Mapping[str, Any] | None) -> list[tuple[str, str]] | None:
    """Flatten a query: lists repeat their name, None is left out."""
    if query is None:
        return None
    flat: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, list | tuple) else [value]
        flat += [(name, str(item)) for item in values if item is not None]
    return flat
