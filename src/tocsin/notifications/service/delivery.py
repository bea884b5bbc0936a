"""Delivery: lease messages, send them, record the outcomes. No transaction is open during network I/O."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from tocsin.channels import CHANNELS
from tocsin.channels.channel import Transports
from tocsin.channels.message import Outcome
from tocsin.contracts.notifications import NotificationStatus
from tocsin.kernel import clock, request_id, tasks
from tocsin.kernel.db import autocommit, transaction
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.outbox import backoff
from tocsin.kernel.tracing import TRACING, Kind
from tocsin.notifications.domain import digest
from tocsin.notifications.domain.decision import Decision, Limits, decide
from tocsin.notifications.domain.leased_message import LeasedMessage
from tocsin.notifications.repository import queue
from tocsin.notifications.service import Deps
from tocsin.notifications.service.reports import enqueue_reports

log = structlog.get_logger(__name__)
LEASE_SHARE: Final = 0.8
"""The share of the remaining lease that sending may use; the rest is for recording the outcome."""
LEASE: Final = Failpoint("notifications.lease")
SEND: Final = Failpoint("notifications.send")
MARK: Final = Failpoint("notifications.mark")


async def lease_due(deps: Deps, *, busy: Mapping[str, int], limit: int) -> list[LeasedMessage]:
    """Lease up to *limit* due messages, per rate limit key at most its free slots; *busy* counts the used ones."""
    settings = deps.settings
    # Read before the statement, so that the lease does not end later here than in the database.
    expires = clock.monotonic() + settings.lease_seconds
    async with LEASE(), autocommit(deps.db) as cur:
        return await queue.lease_due(
            cur,
            busy=busy,
            sends_at_once={channel.name: channel.sends_at_once or settings.sends_per_receiver for channel in CHANNELS},
            limit=limit,
            lease=settings.lease_seconds,
            expires=expires,
        )


async def deliver(deps: Deps, transports: Transports, group: Sequence[LeasedMessage]) -> float | None:
    """Attempt once to send the messages of *group* as one, and record the outcome.

    Return the seconds until the next attempt, or None if there is none. If the outcome cannot be recorded, the messages
    are sent again when the lease ends, with the same delivery id.
    """
    head = group[0]
    request_id.REQUEST_ID.set(head.request_id)
    if not TRACING.on:
        return await _deliver(deps, transports, group)
    with TRACING.span(
        f"deliver {head.kind} by {head.channel}",
        Kind.CLIENT,
        parent=head.trace_context or {},
        links=[message.trace_context for message in group[1:]],
        tocsin__notification_id=str(head.id),
        tocsin__incident_id=str(head.incident_id),
    ):
        return await _deliver(deps, transports, group)


async def _deliver(deps: Deps, transports: Transports, group: Sequence[LeasedMessage]) -> float | None:
    message = group[0]
    started = clock.monotonic()
    outcome = await _send(deps, transports, group)
    if outcome is None:
        return None
    seconds = clock.monotonic() - started
    deps.metrics.attempts.labels(message.channel, outcome.outcome).inc()
    log.info(
        "delivery attempt",
        notification_id=str(message.id),
        incident_id=str(message.incident_id),
        messages=len(group),
        channel=message.channel,
        attempt=message.attempts,
        outcome=outcome.outcome,
        code=outcome.code,
        seconds=round(seconds, 6),
    )
    return await _record(deps, group, outcome, seconds=seconds)


async def _send(deps: Deps, transports: Transports, group: Sequence[LeasedMessage]) -> Outcome | None:
    settings = deps.settings
    message = min(group, key=lambda message: message.tries)
    if message.tries > settings.give_up_tries:
        return Outcome.failed(f"given up after {message.tries - 1} tries; the outcome of the last one is unknown")
    try:
        async with SEND():
            left = message.expires - clock.monotonic()
            if left <= 0:
                log.warning("not sent: the lease has expired", notification_id=str(message.id))
                return None
            async with tasks.timeout(min(left * LEASE_SHARE, settings.send_timeout_seconds)):
                message_to_send = digest.compose(group, public_url=settings.public_url)
                outcome = await CHANNELS[message.channel].send(message_to_send, settings, transports)
                return outcome.without(message.address)
    except TimeoutError:
        return Outcome.retry("no response in time")
    except Exception as exc:
        # A bug with one message must not delay the others; after the last retry it becomes a dead letter.
        log.exception("sending failed unexpectedly", notification_id=str(message.id), channel=message.channel)
        return Outcome.retry(f"internal error ({type(exc).__name__})")


async def _record(deps: Deps, group: Sequence[LeasedMessage], outcome: Outcome, *, seconds: float) -> float | None:
    decisions = _decide(deps, group, outcome, seconds)
    digest_id = digest.digest_id(group)

    async def write() -> set[UUID]:
        async with MARK(), transaction(deps.db) as cur:
            await queue.insert_attempts(cur, group, outcome, seconds=seconds)
            current = await queue.finish_attempts(cur, decisions, digest_id=digest_id)
            finished = [pair for pair in decisions if pair[0].id in current and pair[1].delay is None]
            if finished:
                await enqueue_reports(cur, deps.outbox, finished, outcome, digest_id=digest_id)
            return current

    current = await deps.recorder.record(write, expires=group[0].expires)
    for message, decision in decisions:
        if message.id in current:
            _count(deps, message, decision, seconds=seconds)
        else:
            deps.metrics.fenced.inc()
            log.warning("outcome discarded: a later attempt holds the message", notification_id=str(message.id))
    return min((decision.delay for _, decision in decisions if decision.delay is not None), default=None)


def _decide(
    deps: Deps, group: Sequence[LeasedMessage], outcome: Outcome, seconds: float
) -> list[tuple[LeasedMessage, Decision]]:
    settings = deps.settings
    limits = Limits(tries=settings.give_up_tries, seconds=settings.give_up_seconds)
    # One back-off for the whole group, so that its messages are due at the same time again.
    tries = max(message.tries for message in group)
    pause = backoff(tries, settings.retry_min_seconds, settings.send_retry_max_seconds)
    return [
        (
            message,
            decide(
                outcome,
                tries=message.tries,
                waited_seconds=message.waited_seconds + seconds,
                pause=pause,
                limits=limits,
            ),
        )
        for message in group
    ]


def _count(deps: Deps, message: LeasedMessage, decision: Decision, *, seconds: float) -> None:
    if decision.status is NotificationStatus.QUEUED:
        return
    deps.outbox.wake()
    deps.metrics.finished.labels(message.channel, decision.status).inc()
    if decision.status is NotificationStatus.SENT:
        deps.metrics.seconds.labels(message.channel).observe(message.age_seconds + seconds)
    else:
        log.error("message failed: now a dead letter", notification_id=str(message.id), reason=decision.reason)
