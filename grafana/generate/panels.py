"""Panels by kind. The schema is that of Grafana 11.5, which later versions read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
LAST: Final = {"calcs": ["lastNotNull"], "fields": "", "values": False}
NEUTRAL: Final = ((None, "green"),)
"""Thresholds of a value that is never bad."""
ZERO: Final = ((None, "green"), (1, "red"))
"""Thresholds of a value that must be zero."""
Thresholds: TypeAlias = Sequence[tuple[float | None, str]]
"""Lower bounds and their colours; the first has no bound."""
JSON: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; the layout places it."""

    kind: str
    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    width: int
    height: int = 7
    thresholds: Thresholds = NEUTRAL
    defaults: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[Mapping[str, Any]] = ()
    transformations: Sequence[Mapping[str, Any]] = ()
    query_format: str = "time_series"
    instant: bool = False

    def json(self, *, number: int, x: int, y: int) -> JSON:
        """Return the panel's JSON, at a position of the grid."""
        steps = [{"color": colour, "value": value} for value, colour in self.thresholds]
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [self._target(index, query) for index, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "noValue": "-",
                    "thresholds": {"mode": "absolute", "steps": steps},
                    **self.defaults,
                },
                "overrides": list(self.overrides),
            },
            "options": dict(self.options),
            "transformations": list(self.transformations),
        }

    def _target(self, index: int, query: Query) -> JSON:
        return {
            "refId": "ABCDEFGH"[index],
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "format": self.query_format,
            "instant": self.instant,
            "range": not self.instant,
        }


def series(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    width: int = 12,
    thresholds: Thresholds = NEUTRAL,
    stacked: bool = False,
    bars: bool = False,
    **defaults: Any,
) -> Panel:
    """Return lines or bars over time; thresholds beyond the first are dashed lines."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 60 if bars else 25 if stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": 60_000,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if len(thresholds) > 1 else "off"},
    }
    return Panel(
        "timeseries",
        title,
        description,
        queries,
        unit,
        width,
        height=8,
        thresholds=thresholds,
        defaults={"color": {"mode": "palette-classic"}, "min": 0, "custom": custom, **defaults},
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def stat(
    title: str, description: str, *queries: Query, unit: str, width: int = 4, thresholds: Thresholds = NEUTRAL
) -> Panel:
    """Return current values with sparklines."""
    return Panel(
        "stat",
        title,
        description,
        queries,
        unit,
        width,
        height=5,
        thresholds=thresholds,
        defaults={"color": {"mode": "thresholds"}},
        options={
            "reduceOptions": LAST,
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "wideLayout": True,
        },
    )


def gauge(
    title: str, description: str, query: Query, *, unit: str, maximum: float, thresholds: Thresholds, width: int = 4
) -> Panel:
    """Return a gauge from zero to *maximum*."""
    return Panel(
        "gauge",
        title,
        description,
        [query],
        unit,
        width,
        height=5,
        thresholds=thresholds,
        defaults={"color": {"mode": "thresholds"}, "min": 0, "max": maximum},
        options={
            "reduceOptions": LAST,
            "orientation": "auto",
            "showThresholdLabels": False,
            "showThresholdMarkers": True,
            "sizing": "auto",
        },
    )


def bars(
    title: str, description: str, query: Query, *, unit: str, width: int = 8, thresholds: Thresholds = NEUTRAL
) -> Panel:
    """Return a bar gauge of current values."""
    return Panel(
        "bargauge",
        title,
        description,
        [query],
        unit,
        width,
        height=8,
        thresholds=thresholds,
        defaults={"color": {"mode": "thresholds"}, "min": 0},
        options={
            "reduceOptions": LAST,
            "displayMode": "gradient",
            "orientation": "horizontal",
            "showUnfilled": True,
            "valueMode": "color",
        },
        instant=True,
    )


def table(
    title: str,
    description: str,
    *queries: Query,
    columns: Mapping[str, str],
    units: Mapping[str, str] | None = None,
    width: int = 8,
) -> Panel:
    """Return a table of current values: *columns* maps the fields shown, in order, to their headings."""
    hidden = {"Time": True} | {name: True for name in ("Value",) if name not in columns}
    return Panel(
        "table",
        title,
        description,
        queries,
        "short",
        width,
        height=8,
        defaults={"color": {"mode": "thresholds"}, "custom": {"align": "auto", "cellOptions": {"type": "auto"}}},
        options={"showHeader": True, "cellHeight": "sm"},
        overrides=[
            {"matcher": {"id": "byName", "options": columns[name]}, "properties": [{"id": "unit", "value": unit}]}
            for name, unit in (units or {}).items()
        ],
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": hidden,
                    "indexByName": {name: index for index, name in enumerate(columns)},
                    "renameByName": dict(columns),
                },
            },
        ],
        query_format="table",
        instant=True,
    )


def heatmap(title: str, description: str, query: Query, *, unit: str, width: int = 12) -> Panel:
    """Return a heatmap of a histogram over time."""
    return Panel(
        "heatmap",
        title,
        description,
        [query],
        unit,
        width,
        height=8,
        defaults={"custom": {"scaleDistribution": {"type": "linear"}}},
        options={
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 32},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "rowsFrame": {"layout": "auto"},
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": True},
            "yAxis": {"axisPlacement": "left", "unit": unit},
        },
        query_format="heatmap",
    )
