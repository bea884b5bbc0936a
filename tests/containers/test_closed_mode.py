"""The containers in closed mode: each program that belongs to them proves who it is by a token of its own."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.containers.conftest import CALM, alertmanager, running
from tests.support.containers.stack import Stack, beside
from tests.support.e2e.system import World
from tests.support.system import QUICK
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closed(images: list[str], world: World) -> AsyncIterator[Stack]:  # noqa: ARG001 - the images must exist
    environment = {**QUICK, **CALM, **world.environment, "ACCESS": "closed", "DEMO": "1"}
    async with running(Stack(f"tocsin-closed-{new_id().hex[-8:]}", environment)) as stack:
        yield stack


async def read(stack: Stack, service: str, path: str, *, status: int = 200) -> Any:
    """Read as the pipeline's account; without a token if the response is to be a refusal."""
    token = await beside(stack.secret, "migrate/tokens/pipeline")
    headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"} if status == 200 else {}
    async with stack.session.get(stack.url(service) + path, headers=headers) as response:
        assert response.status == status, await response.text()
        return await response.json()


@pytest.mark.sample("long container tests", 1)
async def test_the_demo_prometheus_and_alertmanager_work_with_their_tokens(closed: Stack) -> None:
    (demo,) = [
        one for one in closed.all_containers() if one["Config"]["Labels"]["com.docker.compose.service"] == "demo"
    ]
    assert (demo["State"]["Status"], demo["State"]["ExitCode"]) == ("exited", 0)
    assert (await read(closed, "incidents", "/api/v1/incidents?limit=5"))["items"]
    for service in ("incidents", "web"):
        await read(closed, service, "/api/v1/incidents?limit=5", status=401)
        await read(closed, service, "/metrics", status=401)

    async def all_up() -> bool:
        async with closed.session.get(f"{closed.url('prometheus')}/api/v1/targets?state=active") as response:
            targets = (await response.json())["data"]["activeTargets"]
        health = {target["labels"]["job"]: target["health"] for target in targets}
        return len(health) > 5 and {name for name, state in health.items() if state != "up"} <= {"grafana"}

    await eventually(all_up, timeout=60)

    async with alertmanager(closed):
        url = f"{closed.url('alertmanager')}/api/v2/alerts"
        labels = {"alertname": "DiskFull", "service": "ledger", "severity": "critical"}
        async with closed.session.post(url, json=[{"labels": labels}]) as response:
            assert response.status == 200

        async def received() -> Any:
            return (await read(closed, "alerts", "/api/v1/alerts?service=ledger"))["items"]

        assert (await eventually(received, timeout=60, every=1))[0]["labels"]["alertname"] == "DiskFull"


async def test_no_secret_is_visible_in_a_container_or_its_log(closed: Stack) -> None:
    names = [*(f"migrate/tokens/{name}" for name in ("alertmanager", "demo", "pipeline")), "prometheus/metrics_token"]
    names += ["web-ui/service_key", "web-ui/database_url"]
    planted = [await beside(closed.secret, name) for name in names]
    shown = str(closed.all_containers()) + await beside(closed.compose, "logs", "--no-color")
    assert all(len(secret) > 40 for secret in planted)
    assert [name for name, secret in zip(names, planted, strict=True) if secret.strip() in shown] == []
