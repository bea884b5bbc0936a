"""Wake-ups between the replicas of a service: coalesced NOTIFYs and one LISTEN connection per process.

A lost notification costs one poll interval and nothing else: notifications carry no data.
"""

import asyncio
from collections.abc import AsyncIterator
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
COALESCE_SECONDS: Final = 0.02
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
        self._wakeups: list[Wakeup] = []

    def wake_on_notify(self, wakeup: Wakeup) -> None:
        """Set *wakeup* at every notification, including this process's own."""
        self._wakeups.append(wakeup)

    def notify(self) -> None:
        """Wake this process now and the other replicas within COALESCE_SECONDS; call it after the commit."""
        self._wake()
        self._pending.set()

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Send and receive notifications while the application runs (a cleanup context)."""
        tasks = [
            create_task(self._send(), name=f"notify-{self._channel}"),
            create_task(self._listen(), name=f"listen-{self._channel}"),
        ]
        yield
        await cancel(*tasks)

    def _wake(self) -> None:
        for wakeup in self._wakeups:
            wakeup.set()

    async def _send(self) -> None:
        while True:
            await self._pending.wait()
            self._pending.clear()
            try:
                async with autocommit(self._db) as cur:
                    await execute(
                        cur, "SELECT pg_notify(%(channel)s, %(sender)s)", channel=self._channel, sender=self._process_id
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
                    notification = await conn.notifies.get()
                    if notification.payload != self._process_id:
                        self._wake()
        finally:
            await conn.close()
