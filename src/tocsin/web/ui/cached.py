"""A value loaded from a service now, or remembered from before."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cached(Generic[T]):
    """A value with the time at which it was loaded."""

    value: T | None
    """None while the service is unavailable and nothing is cached."""
    at: datetime
    fresh: bool
    """Loaded for this page, not taken from the cache."""
