"""The queue of the audit in each service that has one, with the rights of its role."""

from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from psycopg2.extensions import make_dsn

from tests.support.kernel.quick_settings import quick_settings
from tests.support.waiting import PATIENT
from tocsin.clients.access import ACCESS, AccessClient
from tocsin.clients.audit import AUDIT_METRICS, AuditMetrics, deliver
from tocsin.kernel.audit import CALLER, Caller, record
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.db import DB, Database, transaction
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Principal, PrincipalKind


class Storing(AccessClient):
    """A web service that stores everything."""

    async def store_audit(self, entries: list[dict[str, Any]]) -> None:
        assert entries


async def use_audit(dsn: str) -> None:
    """Record two entries in each queue, and deliver one; the other remains."""
    for schema in ("incidents", "oncall", "notifications"):
        settings = quick_settings(make_dsn(dsn, options=f"-c role=tocsin_{schema}"), **PATIENT)
        app, registry = web.Application(), CollectorRegistry()
        app[DB] = Database(settings.database_config(), schema=schema)
        app[AUDIT_METRICS] = AuditMetrics.register(registry)
        app[ACCESS] = Storing("http://127.0.0.1:9", ClientMetrics.register(registry), peer="web-ui")
        known = CALLER.set(Caller(Principal(PrincipalKind.PERSON, "Ada", frozenset(), id=new_id()), "", schema))
        try:
            for _ in range(2):
                await deliver(app)
                async with transaction(app[DB]) as cur:
                    await record(cur, "incident.note", Subject("incident", new_id(), "#1"))
        finally:
            CALLER.reset(known)
            await app[DB].close()
