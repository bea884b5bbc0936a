"""The use cases of notification-service, and their dependencies."""

from dataclasses import dataclass

from aiohttp import web

from tocsin.clients.incidents import IncidentsClient
from tocsin.kernel.db import Database
from tocsin.kernel.outbox import Outbox
from tocsin.kernel.outcome_recorder import OutcomeRecorder
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.notifications.metrics import NotificationMetrics
from tocsin.notifications.settings import Settings


@dataclass(frozen=True, slots=True)
class Deps:
    """The dependencies of the use cases."""

    db: Database
    settings: Settings
    metrics: NotificationMetrics
    incidents: IncidentsClient
    outbox: Outbox
    recorder: OutcomeRecorder
    queue: NotifyChannel
    """Wakes the dispatchers of all replicas."""


DEPS = web.AppKey("DEPS", Deps)
