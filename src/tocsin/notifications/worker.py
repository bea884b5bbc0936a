"""The loops of notification-service: dispatch what is due; measure what is left."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from heapq import heappop, heappush
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.kernel import clock
from tocsin.kernel.db import DB, transaction
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.tasks import cancel, create_task
from tocsin.kernel.workers import STOP_SECONDS, Context, Wakeup, worker
from tocsin.notifications import leases
from tocsin.notifications.delivery import Delivery
from tocsin.notifications.digest import bundled
from tocsin.notifications.domain import LeasedMessage
from tocsin.notifications.metrics import METRICS

log = structlog.get_logger(__name__)
CONCURRENCY: Final = 256
"""Messages that one process sends side by side, over all channels."""
KEEP_ANSWERS_DAYS: Final = 7


class Dispatcher:
    """Leases due messages as slots are free, and sends them side by side."""

    def __init__(self, delivery: Delivery, *, poll_seconds: float) -> None:
        self._delivery = delivery
        self._poll_seconds = poll_seconds
        self._busy: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()
        self._retries: list[float] = []
        """When messages that this process has put back are due again, by its monotonic clock; a heap."""
        self.wakeup = Wakeup()

    async def context(self, app: web.Application) -> AsyncIterator[None]:
        """Dispatch while the application runs (a cleanup context); the lease brings back what is cut off at its end."""
        dispatch = worker("dispatcher", self._tick, interval=self._poll_seconds, wakeup=self.wakeup)
        async for _ in dispatch(app):
            yield
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=STOP_SECONDS)
            await cancel(*late)

    async def _tick(self, _app: web.Application) -> bool | float:
        while self._retries and self._retries[0] <= clock.monotonic():
            heappop(self._retries)
        free = CONCURRENCY - self._busy.total()
        if free <= 0:
            return False  # the end of a delivery wakes the worker
        messages = await self._delivery.lease(busy=self._busy, limit=free, now=None)
        if messages:
            bundles = bundled(messages)
            self._busy.update(bundle[0].lane for bundle in bundles)
            task = create_task(self._deliver_batch(bundles), name=f"batch-{messages[0].id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            return True
        return max(0.0, self._retries[0] - clock.monotonic()) if self._retries else False

    async def _deliver_batch(self, bundles: list[list[LeasedMessage]]) -> None:
        messages = [message for bundle in bundles for message in bundle]
        wanted = set[UUID]()
        try:
            wanted = await self._delivery.still_wanted(messages, now=None)
        except UnavailableError as exc:
            log.warning("leased messages come back when their lease ends", messages=len(messages), reason=str(exc))
        finally:
            for bundle in bundles:
                if not any(message.id in wanted for message in bundle):
                    self._release(bundle[0])
        async with asyncio.TaskGroup() as group:
            for bundle in bundles:
                left = [message for message in bundle if message.id in wanted]
                if left:
                    group.create_task(self._deliver(left), name=f"delivery-{left[0].id}")

    async def _deliver(self, bundle: list[LeasedMessage]) -> None:
        message = bundle[0]
        try:
            delay = await self._delivery.deliver(bundle, now=None)
            if delay is not None:
                heappush(self._retries, clock.monotonic() + delay)
        except UnavailableError as exc:
            log.warning("message comes back when its lease ends", notification_id=str(message.id), reason=str(exc))
        except Exception:
            # The others of the batch go on; this one comes back when its lease ends, and is given up in the end.
            log.exception("delivery broke off", notification_id=str(message.id))
        finally:
            self._release(message)

    def _release(self, message: LeasedMessage) -> None:
        self._busy[message.lane] -= 1
        if not self._busy[message.lane]:
            del self._busy[message.lane]
        self.wakeup.set()


async def _look_after(app: web.Application) -> bool:
    metrics = app[METRICS]
    async with transaction(app[DB]) as cur:
        queued = {row["channel"]: row for row in await leases.measure_queue(cur, now=None)}
        dead = {row["channel"]: row["dead"] for row in await leases.count_dead_letters(cur)}
        deleted = await leases.delete_old_answers(cur, days=KEEP_ANSWERS_DAYS, now=None)
    for channel in CHANNELS.names:
        metrics.queued.labels(channel).set(queued[channel]["queued"] if channel in queued else 0)
        metrics.dead.labels(channel).set(dead.get(channel, 0))
    metrics.oldest.set(max((row["oldest"] for row in queued.values()), default=0.0))
    return deleted > 0


def look_after(interval: float) -> Context:
    """Return the cleanup context that measures the queue and forgets old answers every *interval* seconds."""
    return worker("notification_housekeeping", _look_after, interval=interval)
