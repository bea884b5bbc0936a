"""What a list without rows shows: why it is empty, and where to go from there."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmptyState:
    """A sentence, and links to what helps."""

    text: str
    links: Sequence[tuple[str, str]] = ()
    """Label and address."""
