"""Wake-ups between the replicas of a service: coalesced NOTIFYs and one LISTEN connection per process.

A lost notification costs one poll interval and nothing else: notifications carry no data but their topics.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Final

import structlog
from aiohttp import web

from tocsin.kernel import clock
from tocsin.kernel.database_errors import translated_errors
from tocsin.kernel.db import Database, autocommit, execute
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.ids import new_id
from tocsin.kernel.tasks import cancel, create_task
from tocsin.kernel.workers import Wakeup

log = structlog.get_logger(__name__)
COALESCE_SECONDS: Final = 0.05
"""The minimum interval between two NOTIFYs; one in every transaction would halve the commit rate."""
RECONNECT_SECONDS: Final = 1.0


class NotifyChannel:
    """A PostgreSQL notification channel; its `context` listens while the application runs."""

    def __init__(self, db: Database, channel: str) -> None:
        if not channel.isidentifier():
            msg = f"{channel!r} cannot name a channel"
            raise ValueError(msg)
        self._db = db
        self._channel = channel
        self._process_id = str(new_id())
        self._pending = asyncio.Event()
        self._topics: set[str] = set()
        """Those of the next NOTIFY."""
        self._wakeups: dict[str, list[Wakeup]] = {}

    def wake_on_notify(self, wakeup: Wakeup, topic: str = "changes") -> None:
        """Set *wakeup* at every notification of *topic*, including this process's own."""
        self._wakeups.setdefault(topic, []).append(wakeup)

    def notify(self, *topics: str) -> None:
        """Wake this process now and the other replicas within COALESCE_SECONDS; call it after the commit.

        Without *topics*, the notification is of every topic.
        """
        self._topics.update(topics or self._wakeups)
        self._pending.set()
        self._wake(topics)

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Send and receive notifications while the application runs (a cleanup context)."""
        tasks = [
            create_task(self._send(), name=f"notify-{self._channel}"),
            create_task(self._listen(), name=f"listen-{self._channel}"),
        ]
        yield
        await cancel(*tasks)

    def _wake(self, topics: Collection[str] = ()) -> None:
        for topic in topics or self._wakeups:
            for wakeup in self._wakeups.get(topic, ()):  # a newer release may have more topics
                wakeup.set()

    async def _send(self) -> None:
        while True:
            await self._pending.wait()
            self._pending.clear()
            payload = " ".join([self._process_id, *sorted(self._topics)])
            self._topics.clear()
            try:
                async with autocommit(self._db) as cur:
                    await execute(
                        cur, "SELECT pg_notify(%(channel)s, %(payload)s)", channel=self._channel, payload=payload
                    )
            except UnavailableError as exc:
                log.info("NOTIFY failed; other replicas poll instead", reason=str(exc))
            await clock.sleep(COALESCE_SECONDS)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except UnavailableError as exc:
                log.warning("LISTEN failed; polling instead", reason=str(exc))
            await clock.sleep(RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        conn = await self._db.connect()
        try:
            with translated_errors():
                async with conn.cursor() as cur:
                    await execute(cur, f"LISTEN {self._channel}")  # an identifier, checked in __init__
                self._wake()  # for notifications sent before LISTEN
                while True:
                    sender, *topics = (await conn.notifies.get()).payload.split(" ")
                    if sender != self._process_id:
                        self._wake(topics)
        finally:
            await conn.close()
