"""Scaling under load: no request fails, and a storm of alerts is one incident whatever the number of replicas."""

import pytest

from tests.support.containers.load import under_load
from tests.support.containers.stack import SERVICES, Stack, beside, docker
from tests.support.e2e.invariants import healed
from tests.support.e2e.system import World
from tests.support.waiting import eventually


@pytest.mark.sample("long container tests", 1)
@pytest.mark.parametrize("many", [["alerts", "incidents"], ["oncall", "notifications", "web"]], ids="-".join)
async def test_no_request_fails_while_services_scale_up_and_down(stack: Stack, world: World, many: list[str]) -> None:
    service = f"storm-{many[0]}"
    scale = [part for name in many for part in ("--scale", f"{SERVICES[name]}=3")]
    async with under_load(stack, service) as ledger:
        await beside(stack.up, "--no-recreate", *scale)
        assert [len(stack.containers(SERVICES[name])) for name in many] == [3] * len(many)
        await eventually(lambda: len(ledger.accepted) > 500, timeout=30)
        before = len(ledger.accepted)
        await beside(stack.up, "--no-recreate")
        await eventually(lambda: len(ledger.accepted) > before + 500, timeout=30)
    assert ledger.failed == []
    assert ledger.read > 100

    dsn = stack.dsn()
    await healed(dsn, accepted=ledger.accepted, service=service)
    (incident,) = ledger.incidents
    await world.first_page(incident)
    await stack.resolve(incident)
    deliveries = [page.delivery_id for page in world.pages_for(incident)]
    assert len(set(deliveries)) == len(deliveries)


@pytest.mark.sample("long container tests", 1)
async def test_no_request_fails_while_a_replica_is_replaced(stack: Stack) -> None:
    """A deploy starts the new replica beside the old one, which is then stopped."""
    async with under_load(stack, "replaced", fresh_connections=True) as ledger:
        for name in ("incidents", "alerts"):
            old = stack.containers(SERVICES[name])
            await beside(stack.up, "--no-recreate", "--scale", f"{SERVICES[name]}=2")
            await beside(_remove, old)
            assert old[0] not in stack.containers(SERVICES[name])
    assert ledger.failed == []
    for incident in ledger.incidents:
        await stack.resolve(incident)


def _remove(containers: list[str]) -> None:
    docker("stop", *containers)
    docker("rm", *containers)
