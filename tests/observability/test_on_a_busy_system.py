"""Every query of every panel, asked of a real Prometheus that watches a real system at work."""

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
    """Two replicas of incident management, so that what both tell alike is not counted twice."""
    async with running_system(db_dsn, tmp_path, world.environment, replicas={"incidents": 2}) as running:
        await running.post("oncall", "/api/v1/schedules", world.team)
        yield running


async def alert(system: System, service: str, severity: str, **given: str) -> str:
    """Send an alert; return its incident."""
    body = {"service": service, "severity": severity, "message": "answers 5xx", **given}
    accepted = await system.post("alerts", "/api/v1/alerts", body)
    return str(accepted["incident_id"])


async def a_night(system: System, world: World) -> None:
    """Alerts that join or repeat, a receiver that is gone, somebody who answers, and somebody who does not."""
    world.refused.add("labels")
    answered = await alert(system, "checkout", "critical")
    await alert(system, "checkout", "critical")
    await alert(system, "labels", "high")
    for _ in range(2):
        await alert(system, "search", "low", dedup_key="disk")
    await world.first_page(answered)
    for status in ("acknowledged", "resolved"):
        await system.patch("web", f"/api/v1/incidents/{answered}", {"status": status})


async def without_data(prometheus: Prometheus, system: System) -> list[str]:
    """Return the panels that show nothing yet; let something more happen meanwhile."""
    await alert(system, "checkout", "medium")
    asked = [
        (f"{dashboard['title']}, {panel['title']}: {target['expr']}", target["expr"])
        for dashboard in map(read_dashboard, DASHBOARDS)
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
    return [place for place, expression in asked if not await prometheus.query(expression)]


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

        groups = (await prometheus.ask("rules"))["groups"]
        assert {rule["name"] for group in groups for rule in group["rules"]} >= set(alerts())
        ill = [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]
        assert ill == []
        known = set(await prometheus.ask("label/__name__/values"))
        assert {name for rule in rules() for name in metric_names(rule["expr"])} - known == set()

        in_truth = len((await system.get("incidents", "/api/v1/incidents", status="open"))["items"])
        assert in_truth > 1
        by_state = next(panel for panel in panels(read_dashboard(DASHBOARDS[0])) if panel["title"] == "By state")
        shown = {labels["status"]: value for labels, value in await prometheus.query(by_state["targets"][0]["expr"])}
        assert shown["open"] == in_truth
