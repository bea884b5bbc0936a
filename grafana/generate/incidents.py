"""Queries on incidents that several dashboards share.

Every replica exports the same gauges, read from the database: take `max by` their labels before `sum`.
"""

from typing import Final

from grafana.generate.layout import Variable

SELECTED: Final = '{service=~"$service", team=~"$team", severity=~"$severity"}'
EXPORTED: Final = '{__name__=~"tocsin_incidents_(last_day|service_unresolved)_incidents"}'
VARIABLES: Final = (
    Variable("service", "Service", EXPORTED),
    Variable("team", "Team", EXPORTED),
    Variable("severity", "Severity", "incidents_created_total"),
)
ACKNOWLEDGEMENT_LIMITS: Final = ((None, "green"), (300, "orange"), (900, "red"))
"""Seconds: after five minutes the next person is paged."""
RESOLUTION_LIMITS: Final = ((None, "green"), (3600, "orange"), (4 * 3600, "red"))


def deduplicated(metric: str) -> str:
    """Return *metric* of the selected incidents, from one replica."""
    return f"max by (service, team, severity) ({metric}{SELECTED})"


def last_day(name: str, *, by: str = "") -> str:
    """Return a sum over the selected incidents of the last 24 hours."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} ({deduplicated(f'tocsin_incidents_last_day_{name}')})"


def mean_of_last_day(what: str, done: str, *, by: str = "") -> str:
    """Return the mean time to *done* of the selected incidents; no series where there is none."""
    return f"{last_day(f'{what}_seconds', by=by)} / ({last_day(f'{done}_incidents', by=by)} > 0)"


MTTA: Final = mean_of_last_day("acknowledgement", "acknowledged")
MTTR: Final = mean_of_last_day("resolution", "resolved")
