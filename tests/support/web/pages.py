"""The address of every page."""

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
"""By name; of the incidents, those of `demo_night`."""
NOT_FOUND: Final = frozenset({"error"})
"""Pages whose status is 404."""
