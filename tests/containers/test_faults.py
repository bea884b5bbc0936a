"""A sample of the faults that `make fault-drill` goes through: another one with another FAULT_SEED."""

import os
from hashlib import sha256

import pytest

from tests.support.containers.faults import every_fault, survive
from tests.support.containers.stack import Stack
from tests.support.e2e.system import World

SEED = os.environ.get("FAULT_SEED", "1")
SECONDS = 10.0
"""Twice a lease."""


def drawn(names: list[str], many: int) -> list[str]:
    """Return some of the names, always the same for a seed."""
    return sorted(names, key=lambda name: sha256(f"{SEED} {name}".encode()).digest())[:many]


NAMES = list(every_fault(SECONDS))
CUTS = [name for name in NAMES if "hear" in name]
OTHERS = [name for name in NAMES if not any(word in name for word in ("hear", "killed", "minute"))]
"""But for the kills, which have a test of their own, and what takes a minute."""
SAMPLE = [*drawn(CUTS, 3), *drawn(OTHERS, 2)]


@pytest.mark.parametrize("name", SAMPLE)
async def test_a_fault_that_is_over_has_lost_nothing(stack: Stack, world: World, name: str) -> None:
    assert await survive(stack, world, f"fault-{SAMPLE.index(name)}", every_fault(SECONDS)[name]) == {}
