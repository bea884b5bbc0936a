"""Inject every fault, or those whose names contain all given words: `make fault-drill WORDS="edge killed"`."""

import asyncio
import sys

from aiohttp import ClientSession, ClientTimeout

from tests.containers.conftest import CALM
from tests.support.containers.faults import every_fault, survive
from tests.support.containers.stack import USER_OF, Stack, beside
from tests.support.e2e.system import open_world
from tests.support.system import QUICK
from tocsin.kernel import clock
from tocsin.kernel.ids import new_id

SECONDS = 30.0


async def main(words: list[str]) -> int:
    """Return the number of faults after which an invariant does not hold."""
    faults = {name: fault for name, fault in every_fault(SECONDS).items() if all(word in name for word in words)}
    failed = 0
    async with open_world() as world:
        stack = Stack(f"tocsin-drill-{new_id().hex[-8:]}", {**QUICK, **CALM, **world.environment})
        await beside(stack.compose, "build", "--quiet", *USER_OF)
        try:
            await beside(stack.up)
            async with ClientSession(timeout=ClientTimeout(total=10)) as stack.session:
                await stack.post("oncall", "/api/v1/schedules", world.team)
                for number, (name, fault) in enumerate(faults.items(), 1):
                    started = clock.monotonic()
                    found = await survive(stack, world, f"drill-{number}", fault, alone=True)
                    failed += bool(found)
                    seconds = clock.monotonic() - started
                    sys.stdout.write(f"{number:3}/{len(faults)}  {seconds:4.0f} s  {found or 'holds'}  {name}\n")
                    sys.stdout.flush()
        finally:
            await beside(stack.down)
    return failed


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
