"""What is asked about incidents on more than one dashboard.

Every replica tells the same of the database, hence `max by` what tells the rows apart, before anything is added up.
"""

from typing import Final

from grafana.generate.layout import Variable

CHOSEN: Final = '{service=~"$service", team=~"$team", severity=~"$severity"}'
TOLD: Final = '{__name__=~"tocsin_incidents_(last_day|service_unresolved)_incidents"}'
VARIABLES: Final = (
    Variable("service", "Service", TOLD),
    Variable("team", "Team", TOLD),
    Variable("severity", "Severity", "incidents_created_total"),
)
ACKNOWLEDGEMENT_LIMITS: Final = ((None, "green"), (300, "orange"), (900, "red"))
"""Seconds: five minutes are when the next person is paged."""
RESOLUTION_LIMITS: Final = ((None, "green"), (3600, "orange"), (4 * 3600, "red"))


def told_once(metric: str) -> str:
    """Return *metric* of the chosen incidents, as one replica tells it."""
    return f"max by (service, team, severity) ({metric}{CHOSEN})"


def last_day(name: str, *, by: str = "") -> str:
    """Return a sum over the chosen incidents of the last 24 hours."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} ({told_once(f'tocsin_incidents_last_day_{name}')})"


def mean_of_last_day(what: str, done: str, *, by: str = "") -> str:
    """Return the mean time to *done* of the chosen incidents; nothing where none is."""
    return f"{last_day(f'{what}_seconds', by=by)} / ({last_day(f'{done}_incidents', by=by)} > 0)"


MTTA: Final = mean_of_last_day("acknowledgement", "acknowledged")
MTTR: Final = mean_of_last_day("resolution", "resolved")
