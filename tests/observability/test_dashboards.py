"""The dashboard files: complete, equal to what the generator writes, and portable."""

import json
import re
from itertools import combinations
from typing import Any

import pytest
from grafana.generate.dashboards import render

from tests.support.observability.files import DASHBOARDS, GRAFANA, panels, read_dashboard, read_yaml

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
EXPORTED_BY_EVERY_REPLICA = re.compile(
    r"(?<![a-z_])(?:incidents_total|oncall_current|tocsin_incidents_(?:unresolved|service|unescalated|last_day)\w+"
    r"|tocsin_oncall_(?:overdue|incidents|due)\w+|tocsin_notifications_(?:queue|dead)\w+|tocsin_outbox_(?:undelivered|parked|oldest)\w+"
    r"|tocsin_alerts_uncorrelated\w*|tocsin_database_(?:connections|limit_connections|size_bytes))"
)
each_dashboard = pytest.mark.parametrize(
    "dashboard", [read_dashboard(path) for path in DASHBOARDS], ids=lambda it: it["uid"]
)


def test_the_files_are_what_the_generator_writes() -> None:
    written = {path.name: path.read_text() for path in DASHBOARDS}
    assert written == render(), "run `make dashboards`"


def test_there_are_three_dashboards_with_unique_ids() -> None:
    found = [read_dashboard(path) for path in DASHBOARDS]
    assert {dashboard["title"] for dashboard in found} == {"Live Incident Overview", "SRE Performance", "System Health"}
    assert len({dashboard["uid"] for dashboard in found}) == 3


@each_dashboard
def test_every_panel_has_a_description_a_unit_and_thresholds(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        assert len(panel["description"]) > 15, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"]
        first, *others = defaults["thresholds"]["steps"]
        assert first["value"] is None
        assert [step["value"] for step in others] == sorted(step["value"] for step in others)
        if len(panel["targets"]) > 1 and panel["type"] != "table":
            assert all(target["legendFormat"] != "__auto" for target in panel["targets"]), panel["title"]


@each_dashboard
def test_no_dashboard_is_bound_to_a_data_source_or_an_address(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert all(it["datasource"] == SOURCE for it in variables.values() if it["type"] == "query")
    assert not re.search(r"localhost|https?://|127\.0\.0\.1", json.dumps(dashboard))


@each_dashboard
def test_every_variable_is_used_and_every_used_one_is_declared(dashboard: dict[str, Any]) -> None:
    text = json.dumps([dashboard["panels"], [it["definition"] for it in dashboard["templating"]["list"][1:]]])
    used = set(re.findall(r"\$\{?([a-z]+)", text))
    assert used == {variable["name"] for variable in dashboard["templating"]["list"]}


def test_incidents_can_be_selected_by_service_team_and_severity() -> None:
    for name in ("live-incident-overview", "sre-performance"):
        variables = read_dashboard(GRAFANA / "dashboards" / f"{name}.json")["templating"]["list"]
        assert [variable["name"] for variable in variables] == ["datasource", "service", "team", "severity"]


@each_dashboard
def test_no_panels_overlap_and_none_leaves_the_grid(dashboard: dict[str, Any]) -> None:
    every = dashboard["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    places = [(panel["title"], panel["gridPos"]) for panel in every]
    for title, place in places:
        assert place["x"] + place["w"] <= 24, title
    for (one, first), (other, second) in combinations(places, 2):
        beside = first["x"] + first["w"] <= second["x"] or second["x"] + second["w"] <= first["x"]
        below = first["y"] + first["h"] <= second["y"] or second["y"] + second["h"] <= first["y"]
        assert beside or below, f"{one} and {other}"


@each_dashboard
def test_gauges_that_every_replica_exports_are_never_summed(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            for found in EXPORTED_BY_EVERY_REPLICA.finditer(target["expr"]):
                before = target["expr"][: found.start()]
                assert re.search(r"max(?: by \([a-z, ]+\))? \(?$|max\((?:\w+ or )?$", before), target["expr"]


def test_grafana_finds_its_data_source_and_the_dashboards() -> None:
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert (source["uid"], source["type"], source["isDefault"]) == ("prometheus", "prometheus", True)
    for path in DASHBOARDS:
        (chosen, *_) = read_dashboard(path)["templating"]["list"]
        assert chosen["current"]["value"] == source["uid"]
    (provider,) = read_yaml(GRAFANA / "provisioning" / "dashboards" / "tocsin.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    compose = (GRAFANA.parent / "compose.yaml").read_text()
    assert f"{provider['options']['path']}/live-incident-overview.json" in compose
