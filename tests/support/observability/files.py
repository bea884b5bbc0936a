"""Readers of the configuration of Prometheus and Grafana."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[3]
PROMETHEUS: Final = ROOT / "prometheus"
GRAFANA: Final = ROOT / "grafana"
RULES: Final = sorted((PROMETHEUS / "rules").glob("*.yml"))
DASHBOARDS: Final = sorted((GRAFANA / "dashboards").glob("*.json"))
SERVICES: Final = {
    "alert-ingestion": "alerts",
    "incident-management": "incidents",
    "oncall-service": "oncall",
    "notification-service": "notifications",
    "web-ui": "web",
}
"""The job of each service, and its package."""


def program(name: str) -> str:
    """Return the path of Prometheus or its tool; fail with what to install."""
    path = shutil.which(name)
    assert path, f"{name} is not installed. On Debian: apt-get install prometheus"
    return path


def read_yaml(path: Path) -> Any:
    """Return a parsed YAML file."""
    return yaml.safe_load(path.read_text())


def rules() -> Iterator[dict[str, Any]]:
    """Yield every alerting and recording rule."""
    for path in RULES:
        for group in read_yaml(path)["groups"]:
            yield from group["rules"]


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerting rules by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def read_dashboard(path: Path) -> Any:
    """Return a dashboard."""
    return json.loads(path.read_text())


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels without rows, including those of collapsed rows."""
    every = [inner for panel in dashboard["panels"] for inner in (panel, *panel.get("panels", []))]
    return [panel for panel in every if panel["type"] != "row"]


def metric_names(expression: str) -> set[str]:
    """Return the names of our metrics in a PromQL expression."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|(by|on|without|ignoring) \([^)]*\)', " ", expression)
    return set(re.findall(r"\b(?:(?:job|instance):)?[a-z]+_[a-z0-9_]+(?::\w+)*", bare)) - FUNCTIONS


FUNCTIONS: Final = {
    "avg_over_time",
    "count_over_time",
    "histogram_quantile",
    "label_replace",
    "max_over_time",
    "min_over_time",
    "predict_linear",
    "sort_desc",
    "sum_over_time",
}
