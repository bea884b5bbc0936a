"""One process's outbox, with a handler that a test controls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from uuid import UUID

from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from tests.support.kernel.quick_settings import quick_settings
from tests.support.waiting import eventually
from tocsin.kernel.db import Database, transaction
from tocsin.kernel.outbox import AfterDelivery, Outbox, OutboxMessage
from tocsin.kernel.workers import WORKER_METRICS, WorkerMetrics


class Words(BaseModel):
    text: str


def text_of(message: OutboxMessage) -> str:
    return Words.model_validate_json(message.body).text


class Replica:
    """One process's outbox and the messages that its handler received."""

    def __init__(self, dsn: str, **given: Any) -> None:
        settings = quick_settings(dsn, **given)
        self.db = Database(settings.database_config(), schema="oncall")
        self.registry = CollectorRegistry()
        self.outbox = Outbox(
            self.db, settings, self.registry, {"say": self._say, "hang": self._hang}, on_change=self._changed
        )
        self.received: list[OutboxMessage] = []
        self.errors: list[Exception] = []
        """The errors that the next deliveries raise."""
        self.gate = asyncio.Event()
        """While it is not set, deliveries hang."""
        self.gate.set()
        self.after: AfterDelivery | None = None
        self.changes = 0
        self.delivered: list[str] = []
        """The delivered texts; replicas may share one list, for the order across them."""

    async def _say(self, message: OutboxMessage) -> AfterDelivery | None:
        self.received.append(message)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.delivered.append(text_of(message))
        return self.after

    async def _hang(self, message: OutboxMessage) -> None:
        self.received.append(message)
        await asyncio.Event().wait()

    def _changed(self) -> None:
        self.changes += 1

    async def say(self, text: str, key: str = "k", kind: str = "say") -> UUID:
        async with transaction(self.db) as cur:
            message_id = await self.outbox.enqueue(cur, kind=kind, key=key, body=Words(text=text))
        self.outbox.wake()
        return message_id

    def texts(self, key: str | None = None) -> list[str]:
        return [text_of(message) for message in self.received if key in {None, message.key}]

    def count(self, outcome: str) -> float:
        labels = {"kind": "say", "outcome": outcome}
        return self.registry.get_sample_value("tocsin_outbox_deliveries_total", labels) or 0.0

    async def polls(self, times: int) -> None:
        """Wait until the worker has looked for rows *times* more."""

        def ticks() -> float:
            labels = {"worker": "outbox", "outcome": "ok"}
            return self.registry.get_sample_value("tocsin_worker_ticks_total", labels) or 0.0

        before = ticks()
        await eventually(lambda: ticks() >= before + times)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        app = web.Application()
        app[WORKER_METRICS] = WorkerMetrics.register(self.registry)
        app.cleanup_ctx.append(self.outbox.context)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            yield self
        finally:
            await runner.cleanup()
            await self.db.close()
