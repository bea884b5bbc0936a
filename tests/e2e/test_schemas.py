"""Every response of a service matches its OpenAPI document, whatever the request: schemathesis on real services."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Standing
from tests.support import sampling
from tests.support.system import WITHOUT_KEYS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

EXAMPLES = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else sampling.rows(10, 25)
"""For each operation, beside those that cover its description; what takes longer than a coffee belongs to a night."""


@pytest.mark.sample("descriptions of services", 1)
@pytest.mark.parametrize("service", ["alerts", "incidents", "oncall", "notifications"])
async def test_no_request_makes_a_service_fail_or_violate_its_own_description(
    standing: Standing, service: str, tmp_path: Path
) -> None:
    replica = standing.system[service]
    await replica.stop()
    await replica.start(until_ready=True, **WITHOUT_KEYS)  # everybody may use the internal endpoints, too
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{replica.url}/openapi.json"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color"),
        # An event stream never ends, which is what it is for.
        *("--exclude-path-regex", "/stream$", "--request-timeout", "10", "--suppress-health-check", "all"),
        *("--generation-database", "none"),
        # A cursor, a time zone, an address: what makes them valid, a schema cannot say.
        *("--exclude-checks", "positive_data_acceptance"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-12_000:]
