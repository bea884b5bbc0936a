"""Lists that are one click away."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chip:
    """A list that is one click away."""

    word: str
    address: str
    count: int | None
    """None where it is not counted."""
    current: bool
