"""Links to filtered lists."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chip:
    """A link to a filtered list."""

    label: str
    address: str
    count: int | None
    """None if it is not counted."""
    current: bool
