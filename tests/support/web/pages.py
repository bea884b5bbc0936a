"""Every page there is, with the scene in which it shows most."""

from typing import Final

PAGES: Final = {
    "now": "/",
    "incident": "/incidents/2481",
    "incident-resolved": "/incidents/2479",
    "incidents": "/incidents",
    "incident-new": "/incidents/new",
    "alerts": "/alerts",
    "delivery": "/notifications",
    "metrics": "/analytics",
    "oncall": "/oncall",
    "schedule": "/oncall/new",
    "error": "/incidents/99",
}
"""By name; on a night in which two incidents ring."""
NOT_FOUND: Final = frozenset({"error"})
"""Pages that are answered with 404."""
