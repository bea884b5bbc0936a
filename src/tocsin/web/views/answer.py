"""What a page got from a service."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a question gave: a value, maybe remembered from an earlier time."""

    value: T | None
    """None where the service is away and nothing is remembered."""
    at: datetime
    fresh: bool
