"""Dashboards: variables, and rows of panels laid out from left to right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from grafana.generate.panels import DATASOURCE, JSON, Panel

COLUMNS: Final = 24
SCHEMA: Final = 40
BUILT_IN: Final = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}
LINK: Final = {
    "title": "Tocsin",
    "type": "dashboards",
    "tags": ["tocsin"],
    "asDropdown": False,
    "includeVars": False,
    "keepTime": False,
    "targetBlank": False,
}


@dataclass(frozen=True, slots=True)
class Variable:
    """A selection of label values, by default all of them."""

    name: str
    label: str
    metric: str
    label_name: str = ""
    """The label, where its name differs from the variable's."""

    def json(self) -> JSON:
        """Return the variable's JSON."""
        query = f"label_values({self.metric}, {self.label_name or self.name})"
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        }


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: Sequence[Panel]


def dashboard(
    uid: str, title: str, description: str, *, since: str, refresh: str, variables: Sequence[Variable], rows: list[Row]
) -> JSON:
    """Return a dashboard whose time range begins at *since*, such as `now-6h`."""
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["tocsin"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": refresh,
        "time": {"from": since, "to": "now"},
        "timezone": "browser",
        "annotations": {"list": [BUILT_IN]},
        "links": [LINK],
        "templating": {"list": [_datasource(), *(variable.json() for variable in variables)]},
        "panels": list(_placed(rows)),
    }


def _datasource() -> JSON:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "current": {"selected": True, "text": "Prometheus", "value": "prometheus"},
    }


def _placed(rows: list[Row]) -> Iterator[JSON]:
    number, y = 0, 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            yield panel.json(number=number, x=x, y=y)
            x, height = x + panel.width, max(height, panel.height)
        y += height
