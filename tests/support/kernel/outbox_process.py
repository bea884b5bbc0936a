"""A process with only an outbox, for tests that kill it: each delivery appends its message id to a file."""

import asyncio
import sys
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry

from tests.support.kernel.quick_settings import quick_settings
from tocsin.kernel.db import Database
from tocsin.kernel.outbox import AfterDelivery, Outbox, OutboxMessage
from tocsin.kernel.workers import WORKER_METRICS, WorkerMetrics


async def deliver(dsn: str, received: Path) -> None:
    """Deliver until killed."""

    async def write(message: OutboxMessage) -> AfterDelivery | None:
        with received.open("a") as file:
            file.write(f"{message.message_id}\n")
        return None

    settings = quick_settings(dsn)
    app = web.Application()
    registry = CollectorRegistry()
    app[WORKER_METRICS] = WorkerMetrics.register(registry)
    app.cleanup_ctx.append(
        Outbox(Database(settings.database_config(), schema="oncall"), settings, registry, {"say": write}).context
    )
    await web.AppRunner(app).setup()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(deliver(sys.argv[1], Path(sys.argv[2])))
