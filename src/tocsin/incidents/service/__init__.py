"""What incident management does, by use case; each owns its transaction, and none holds one while the network is."""

from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from tocsin.incidents.metrics import IncidentMetrics
from tocsin.kernel.db import Database
from tocsin.kernel.outbox import Outbox
from tocsin.kernel.pg_notify import NotifyChannel


@dataclass(frozen=True, slots=True)
class Desk:
    """What the use cases work with."""

    db: Database
    outbox: Outbox
    doorbell: NotifyChannel
    """Rung after every commit that left something to tell or to show."""
    metrics: IncidentMetrics
    window: timedelta
    lock_seconds: float
    auto_resolve: bool
    assign_seconds: float


DESK = web.AppKey("DESK", Desk)
