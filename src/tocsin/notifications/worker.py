"""The background loops of notification-service."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from tocsin.channels import CHANNELS
from tocsin.channels.channel import Transports
from tocsin.channels.transports import open_transports
from tocsin.kernel import tasks
from tocsin.kernel.db import transaction
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.idempotency import delete_expired_keys
from tocsin.kernel.tasks import cancel, create_task
from tocsin.kernel.workers import STOP_SECONDS, Context, Retries, Wakeup, worker
from tocsin.notifications.domain.digest import group_for_delivery
from tocsin.notifications.domain.leased_message import LeasedMessage
from tocsin.notifications.repository import cancellations, notifications, queue
from tocsin.notifications.service import DEPS, Deps
from tocsin.notifications.service.acknowledgement_check import cancel_pages, find_acknowledged
from tocsin.notifications.service.delivery import deliver, lease_due

if TYPE_CHECKING:
    import asyncio

log = structlog.get_logger(__name__)
CONCURRENCY: Final = 256
"""How many messages one process sends concurrently, over all channels."""
HOUSEKEEPING_POLLS: Final = 5
"""The interval of the housekeeping, in polling intervals."""
KEEP_CANCELLATIONS_DAYS: Final = 7
"""Longer than any page can be delayed on its way from oncall-service."""


def workers(app: web.Application) -> list[Context]:
    """Return every background loop."""
    deps = app[DEPS]
    return [
        deps.outbox.context,
        delete_expired_keys(),
        worker("notification_housekeeping", _housekeep, interval=HOUSEKEEPING_POLLS * deps.settings.poll_seconds),
        deps.queue.context,
        _dispatch,
    ]


async def _dispatch(app: web.Application) -> AsyncIterator[None]:
    deps = app[DEPS]
    async with open_transports(
        allowed_networks=deps.settings.webhook_allowed_networks, ca_bundle=deps.settings.ca_bundle
    ) as transports:
        dispatcher = Dispatcher(deps, transports)
        deps.queue.wake_on_notify(dispatcher.wakeup)
        async for _ in dispatcher.context(app):
            yield


class Dispatcher:
    """Leases due messages as slots are free, and delivers them concurrently."""

    def __init__(self, deps: Deps, transports: Transports) -> None:
        self._deps = deps
        self._transports = transports
        self._busy: Counter[str] = Counter()
        """Deliveries in progress, by rate limit key."""
        self._running: set[asyncio.Task[None]] = set()
        self._retries = Retries()
        self.wakeup = Wakeup()

    async def context(self, app: web.Application) -> AsyncIterator[None]:
        """Dispatch while the application runs; a delivery that the shutdown interrupts is retried after its lease."""
        dispatch = worker("dispatcher", self._tick, interval=self._deps.settings.poll_seconds, wakeup=self.wakeup)
        async for _ in dispatch(app):
            yield
        if self._running:
            _, late = await tasks.wait(self._running, seconds=STOP_SECONDS)
            await cancel(*late)

    async def _tick(self, _app: web.Application) -> bool | float:
        self._retries.drop_due()
        free = CONCURRENCY - self._busy.total()
        if free <= 0:
            return False  # the end of a delivery wakes the worker
        messages = await lease_due(self._deps, busy=self._busy, limit=free)
        if messages:
            groups = group_for_delivery(messages)
            self._busy.update(group[0].rate_limit_key for group in groups)
            task = create_task(self._deliver_batch(groups), name=f"batch-{messages[0].id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(messages) >= free or self._retries.seconds_left()

    async def _deliver_batch(self, groups: list[list[LeasedMessage]]) -> None:
        try:
            cancelled = await find_acknowledged(self._deps, [message for group in groups for message in group])
        except BaseException:
            self._release(*groups)
            raise
        ids = {message.id for message, _ in cancelled}
        async with tasks.task_group() as deliveries:
            if cancelled:
                done = [group for group in groups if all(message.id in ids for message in group)]
                deliveries.create_task(self._cancel(cancelled, done), name=f"cancel-{cancelled[0][0].id}")
            for group in groups:
                left = [message for message in group if message.id not in ids]
                if left:
                    deliveries.create_task(self._deliver(left), name=f"delivery-{left[0].id}")

    async def _cancel(
        self, cancelled: Sequence[tuple[LeasedMessage, str]], done: Sequence[Sequence[LeasedMessage]]
    ) -> None:
        """Cancel pages, and then release the groups of which nothing is left to deliver."""
        try:
            await cancel_pages(self._deps, cancelled)
        except UnavailableError as exc:
            log.warning("pages not cancelled; checked again when the lease ends", reason=str(exc))
        except Exception:
            # As in _deliver: it must not end the deliveries beside it.
            log.exception("cancelling pages failed unexpectedly", pages=len(cancelled))
        finally:
            self._release(*done)

    async def _deliver(self, group: Sequence[LeasedMessage]) -> None:
        message = group[0]
        try:
            delay = await deliver(self._deps, self._transports, group)
            if delay is not None:
                self._retries.add(delay)
        except UnavailableError as exc:
            log.warning(
                "outcome not recorded: sent again when the lease ends",
                notification_id=str(message.id),
                messages=len(group),
                reason=str(exc),
            )
        except Exception:
            # The rest of the batch continues; this message is retried when its lease ends, until it is given up.
            log.exception("delivery failed unexpectedly", notification_id=str(message.id))
        finally:
            self._release(group)

    def _release(self, *groups: Sequence[LeasedMessage]) -> None:
        """Free the slots of *groups*."""
        self._busy.subtract(group[0].rate_limit_key for group in groups)
        self._busy = +self._busy
        self.wakeup.set()


async def _housekeep(app: web.Application) -> bool:
    """Measure the queue and delete old cancellations."""
    deps = app[DEPS]
    async with transaction(deps.db) as cur:
        queued = {row["channel"]: row for row in await queue.measure_queue(cur)}
        dead = {row["channel"]: row["dead"] for row in await queue.count_dead_letters(cur)}
        deleted = await cancellations.delete_old_cancellations(cur, days=KEEP_CANCELLATIONS_DAYS)
        expired = 0
        if days := deps.settings.notification_retention_days:
            expired = await notifications.delete_expired(cur, days=days)
    deps.metrics.deleted.labels("notification").inc(expired)
    if expired:
        log.info("messages past the retention deleted", rows=expired, retention_days=days)
    for channel in CHANNELS.names:
        deps.metrics.queued.labels(channel).set(queued[channel]["queued"] if channel in queued else 0)
        deps.metrics.dead.labels(channel).set(dead.get(channel, 0))
    deps.metrics.oldest.set(max((row["oldest"] for row in queued.values()), default=0.0))
    return deleted + expired > 0
