"""The queue of the audit in each service that has one, with the rights of its role."""

from aiohttp import web
from prometheus_client import CollectorRegistry
from psycopg2.extensions import make_dsn

from tests.support.kernel.quick_settings import quick_settings
from tests.support.waiting import PATIENT
from tocsin.kernel.audit import CALLER, Caller, record
from tocsin.kernel.audit_entry import Entry, Subject
from tocsin.kernel.audit_queue import AUDIT_METRICS, AuditMetrics, deliver
from tocsin.kernel.db import DB, Database, transaction
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Principal, PrincipalKind


async def store(_app: web.Application, entries: list[Entry]) -> None:
    assert entries


async def use_audit(dsn: str) -> None:
    """Record two entries in each queue, and deliver one; the other remains."""
    for schema in ("incidents", "oncall", "notifications"):
        settings = quick_settings(make_dsn(dsn, options=f"-c role=tocsin_{schema}"), **PATIENT)
        app = web.Application()
        app[DB] = Database(settings.database_config(), schema=schema)
        app[AUDIT_METRICS] = AuditMetrics.register(CollectorRegistry())
        known = CALLER.set(Caller(Principal(PrincipalKind.PERSON, "Ada", frozenset(), id=new_id()), "", schema))
        try:
            for _ in range(2):
                await deliver(app, store)
                async with transaction(app[DB]) as cur:
                    await record(cur, "incident.note", Subject("incident", new_id(), "#1"))
        finally:
            CALLER.reset(known)
            await app[DB].close()
