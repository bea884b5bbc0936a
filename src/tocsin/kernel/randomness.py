"""Chance, reached through here alone, so that a simulation can seed it. Not for secrets."""

import random

_rng = random.Random()  # noqa: S311 - jitter needs no cryptographic randomness


def uniform(low: float, high: float) -> float:
    """Return a number between *low* and *high*."""
    return _rng.uniform(low, high)


def seed(value: int) -> None:
    """Make what follows repeatable."""
    _rng.seed(value)
