"""Every query of every panel, run on a real Prometheus that scrapes a real system under load."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.e2e.system import World, open_world
from tests.support.observability.files import DASHBOARDS, alerts, metric_names, panels, read_dashboard, rules
from tests.support.observability.monitoring import Prometheus, prometheus_of
from tests.support.system import System, running_system
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as people:
        yield people


@pytest.fixture
async def system(db_dsn: str, tmp_path: Path, world: World) -> AsyncIterator[System]:
    """A system with two replicas of incident management: a gauge that both export must not be counted twice."""
    async with running_system(db_dsn, tmp_path, world.environment, replicas={"incidents": 2}) as running:
        await running.post("oncall", "/api/v1/schedules", world.team)
        yield running


async def alert(system: System, service: str, severity: str, **given: str) -> str:
    """Send an alert; return its incident."""
    body = {"service": service, "severity": severity, "message": "answers 5xx", **given}
    return str((await system.send_alert(body))["incident_id"])


async def a_night(system: System, world: World) -> None:
    """Alerts that are attached or repeat, an unreachable receiver, one acknowledged incident and one that is not."""
    world.refused.add("labels")
    acknowledged_one = await alert(system, "checkout", "critical")
    await alert(system, "checkout", "critical")
    await alert(system, "labels", "high")
    for _ in range(2):
        await alert(system, "search", "low", dedup_key="disk")
    await world.first_page(acknowledged_one)
    for status in ("acknowledged", "resolved"):
        await system.patch("web", f"/api/v1/incidents/{acknowledged_one}", {"status": status})


async def without_data(prometheus: Prometheus, system: System) -> list[str]:
    """Send one more alert, and return the queries that have no data yet."""
    await alert(system, "checkout", "medium")
    queries = [
        (f"{dashboard['title']}, {panel['title']}: {target['expr']}", target["expr"])
        for dashboard in map(read_dashboard, DASHBOARDS)
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
    return [place for place, expression in queries if not await prometheus.query(expression)]


async def test_every_query_of_every_panel_returns_data_and_every_rule_can_be_evaluated(
    system: System, world: World, tmp_path: Path
) -> None:
    async with prometheus_of(system, tmp_path) as prometheus:
        await eventually(prometheus.all_up, timeout=30, every=0.2)
        await a_night(system, world)

        missing: list[str] = []

        async def complete() -> bool:
            missing[:] = await without_data(prometheus, system)
            return not missing

        try:
            await eventually(complete, timeout=45, every=0.5)
        except AssertionError:
            assert missing == []  # which says more

        for path in DASHBOARDS:
            for variable in read_dashboard(path)["templating"]["list"][1:]:
                metric, label = variable["definition"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
                assert await prometheus.query(f"count by ({label}) ({metric})"), variable["definition"]

        groups = (await prometheus.get("rules"))["groups"]
        assert {rule["name"] for group in groups for rule in group["rules"]} >= set(alerts())
        unhealthy = [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]
        assert unhealthy == []
        known = set(await prometheus.get("label/__name__/values"))
        assert {name for rule in rules() for name in metric_names(rule["expr"])} - known == set()

        open_incidents = len((await system.get("incidents", "/api/v1/incidents", status="open"))["items"])
        assert open_incidents > 1
        by_state = next(panel for panel in panels(read_dashboard(DASHBOARDS[0])) if panel["title"] == "By state")
        shown = {labels["status"]: value for labels, value in await prometheus.query(by_state["targets"][0]["expr"])}
        assert shown["open"] == open_incidents
