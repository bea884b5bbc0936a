"""No request, however malformed, makes a service fail, grow or hang: seeded mutations of valid requests."""

import asyncio
import sys

import pytest

from tests.support import sampling

pytestmark = [pytest.mark.slow, pytest.mark.fuzz]
CASES = sampling.rows(20_000, 200_000)


@pytest.mark.timeout(900 if CASES == 20_000 else 3_600)
async def test_no_mutated_request_makes_a_service_fail_grow_or_hang(db_dsn: str) -> None:
    # In a process of its own, whose memory and event loop are those of the services alone.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.fuzz", "--seed", sampling.seed(), "--cases", str(CASES)),
        *("--dsn", db_dsn),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode(errors="replace")[:20_000]
