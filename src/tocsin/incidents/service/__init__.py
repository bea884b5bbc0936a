"""Use cases of incident management. Each owns its transaction; none keeps it open during network I/O."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

from tocsin.clients.oncall import OnCallClient
from tocsin.incidents.metrics import IncidentMetrics
from tocsin.kernel.db import Database
from tocsin.kernel.outbox import Outbox
from tocsin.kernel.partitions import RetentionMetrics
from tocsin.kernel.pg_notify import NotifyChannel

OUTBOX_ROWS: Final = "outbox_rows"
TIMELINE_ENTRIES: Final = "timeline_entries"
"""Topics of `Deps.notify_channel`."""


@dataclass(frozen=True, slots=True)
class Deps:
    """The dependencies of the use cases."""

    db: Database
    outbox: Outbox
    oncall: OnCallClient
    notify_channel: NotifyChannel
    """Notified after every commit with new outbox rows or timeline entries; without a topic, of both."""
    metrics: IncidentMetrics
    window: timedelta
    """For how long after its creation an incident accepts new alerts of its service and severity."""
    correlate_slots: asyncio.Semaphore
    """Bounds the batches of alerts that are correlated at a time."""
    lock_seconds: float
    """How long correlation waits for a lock."""
    auto_resolve: bool
    """Whether an incident is resolved once all of its alerts are."""
    assign_seconds: float
    """How long opening an incident by hand waits for on-call to assign it."""
    retention: RetentionMetrics
    alert_retention_days: int
    """How many days alerts are kept at least; 0 for ever."""


DEPS = web.AppKey("DEPS", Deps)
