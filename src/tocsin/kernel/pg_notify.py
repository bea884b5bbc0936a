"""Tell the other replicas that there is something to look at: one coalesced NOTIFY, one LISTEN connection a process.

A missed ring costs a poll's delay, nothing else: rings carry no data.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import structlog
from aiohttp import web

from tocsin.kernel import clock
from tocsin.kernel.db import Database, closed_by_server, execute, transaction
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.ids import new_id
from tocsin.kernel.tasks import cancel, create_task
from tocsin.kernel.workers import Wakeup

log = structlog.get_logger(__name__)
COALESCE_SECONDS: Final = 0.02
"""At most one NOTIFY in this time: in every transaction it would halve the commit rate."""
RECONNECT_SECONDS: Final = 1.0


class NotifyChannel:
    """One channel between the replicas of a service; its `context` listens while the application runs."""

    def __init__(self, db: Database, channel: str) -> None:
        if not channel.isidentifier():
            msg = f"{channel!r} cannot name a channel"
            raise ValueError(msg)
        self._db = db
        self._channel = channel
        self._me = str(new_id())
        self._rung = asyncio.Event()
        self._wakeups: list[Wakeup] = []

    def wakes(self, wakeup: Wakeup) -> None:
        """Set *wakeup* at every ring, this process's own included."""
        self._wakeups.append(wakeup)

    def ring(self) -> None:
        """Wake this process now and the others within COALESCE_SECONDS; call it after the commit."""
        self._wake()
        self._rung.set()

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Listen and notify while the application runs (a cleanup context)."""
        tasks = [
            create_task(self._notify(), name="doorbell-notify"),
            create_task(self._listen(), name="doorbell-listen"),
        ]
        yield
        await cancel(*tasks)

    def _wake(self) -> None:
        for wakeup in self._wakeups:
            wakeup.set()

    async def _notify(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            try:
                async with transaction(self._db) as cur:
                    await execute(cur, "SELECT pg_notify(%(channel)s, %(me)s)", channel=self._channel, me=self._me)
            except UnavailableError as exc:
                log.info("other replicas not woken, they poll", reason=str(exc))
            await clock.sleep(COALESCE_SECONDS)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except UnavailableError as exc:
                log.warning("not listening to other replicas, polling", reason=str(exc))
            await clock.sleep(RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        conn = await self._db.connect()
        try:
            with closed_by_server():
                async with conn.cursor() as cur:
                    await execute(cur, f"LISTEN {self._channel}")  # an identifier, checked in __init__
                self._wake()  # what was rung while nobody listened
                while True:
                    notification = await conn.notifies.get()
                    if notification.payload != self._me:
                        self._wake()
        finally:
            await conn.close()
