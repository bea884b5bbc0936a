"""A sample of the faults of `make fault-drill`; FAULT_SEED selects another one."""

import os

import pytest

from tests.support.containers.faults import every_fault, survive
from tests.support.containers.stack import Stack
from tests.support.e2e.system import World
from tests.support.sampling import commit, drawn

SEED = os.environ.get("FAULT_SEED") or commit()
SECONDS = 10.0
"""Twice a lease."""

NAMES = list(every_fault(SECONDS))
CUTS = [name for name in NAMES if "disconnected" in name or "receives" in name]
OTHERS = [name for name in NAMES if name not in CUTS and "killed" not in name and "minute" not in name]
"""Without the kills, which have a test of their own, and the fault that takes a minute."""
SAMPLE = sorted(drawn(CUTS, 3, SEED) | drawn(OTHERS, 2, SEED))


@pytest.mark.sample("container nights", 2)
@pytest.mark.parametrize("name", SAMPLE)
async def test_nothing_is_lost_in_a_fault(stack: Stack, world: World, name: str) -> None:
    assert await survive(stack, world, f"fault-{SAMPLE.index(name)}", every_fault(SECONDS)[name]) == {}
