"""Use cases of on-call: functions over `Deps`, each in transactions of its own."""

from dataclasses import dataclass

from aiohttp import web

from tocsin.kernel.db import Database
from tocsin.kernel.outbox import Outbox
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.kernel.workers import Wakeup
from tocsin.oncall.domain.contact_resolver import ContactResolver
from tocsin.oncall.metrics import OnCallMetrics
from tocsin.oncall.settings import Settings


@dataclass(frozen=True, slots=True)
class Deps:
    """The dependencies of the use cases."""

    db: Database
    outbox: Outbox
    notify_channel: NotifyChannel
    settings: Settings
    metrics: OnCallMetrics
    contacts: ContactResolver
    schedules_changed: Wakeup
    """Set after a schedule was created or changed."""


DEPS = web.AppKey("DEPS", Deps)
