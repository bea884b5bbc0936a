"""Text of clients, made storable."""

from typing import Final

MAX_TEXT: Final = 512


def storable(text: str, limit: int = MAX_TEXT) -> str:
    """Return *text* without what PostgreSQL does not store (NUL, lone surrogates), stripped and cut."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode().strip()[:limit]
