"""One message from its lease to its end: asked about, sent, recorded. No transaction is open while the network is."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_before_delay, wait_random

from tocsin.clients.incidents import IncidentsClient
from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.notifications import NotificationKind, NotificationStatus
from tocsin.contracts.oncall import Channel as ChannelName
from tocsin.kernel import clock, request_id
from tocsin.kernel.db import Database, transaction
from tocsin.kernel.errors import RejectedError, UnavailableError
from tocsin.kernel.faults import FaultPoint
from tocsin.kernel.http_client import Budget
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox import Outbox, backoff
from tocsin.notifications import leases, reports
from tocsin.notifications.channels.protocol import Channel
from tocsin.notifications.domain import LeasedMessage, Limits, Outcome, Verdict, judge
from tocsin.notifications.metrics import NotificationMetrics
from tocsin.notifications.settings import Settings

log = structlog.get_logger(__name__)
LEASE_SHARE: Final = 0.8
"""Of what is left of a lease, for sending; the rest is for recording how that went."""
ASK_TRIES: Final = 3
"""Within ASK_STATE_SECONDS: a connection that breaks must not page somebody who has just answered."""
LEASE: Final = FaultPoint("notifications.lease")
ASK: Final = FaultPoint("notifications.ask")
SEND: Final = FaultPoint("notifications.send")
MARK: Final = FaultPoint("notifications.mark")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What delivering takes."""

    db: Database
    settings: Settings
    metrics: NotificationMetrics
    incidents: IncidentsClient
    outbox: Outbox
    channels: Mapping[ChannelName, Channel]

    async def lease(self, *, busy: Mapping[str, int], limit: int, now: datetime | None) -> list[LeasedMessage]:
        """Take up to *limit* due messages, of each lane as many as it has slots free."""
        # Read before the statement: the lease never seems to last longer here than it does there.
        expires = clock.monotonic() + self.settings.lease_seconds
        async with LEASE(), transaction(self.db) as cur:
            return await leases.lease_due(
                cur,
                busy=busy,
                lane_limit=self.settings.sends_per_receiver,
                limit=limit,
                lease=self.settings.lease_seconds,
                expires=expires,
                now=now,
            )

    async def still_wanted(self, messages: Sequence[LeasedMessage], *, now: datetime | None) -> set[UUID]:
        """Void the pages whose incident somebody has answered, and return the ids of the rest.

        Asked in bulk, just before the send. Where nobody can say, a page goes out; so does one that a person sends
        again.
        """
        pages = [
            message for message in messages if message.kind is NotificationKind.PAGE and not message.redelivered_at
        ]
        answered = await self._answered(pages) if pages else {}
        over = [message for message in pages if message.incident_id in answered]
        if over:
            reasons = [f"the incident is {answered[message.incident_id]}" for message in over]
            async with transaction(self.db) as cur:
                await leases.void_leased(cur, over, reasons=reasons, now=now)
            for message in over:
                self.metrics.finished.labels(message.channel, NotificationStatus.VOIDED).inc()
        return {message.id for message in messages} - {message.id for message in over}

    async def _answered(self, pages: Sequence[LeasedMessage]) -> dict[UUID, IncidentStatus]:
        seconds = self.settings.ask_state_seconds
        budget = Budget(attempts=ASK_TRIES, seconds=seconds, attempt_seconds=seconds)
        incident_ids = sorted({page.incident_id for page in pages})
        try:
            async with ASK():
                answer = await self.incidents.states(incident_ids, idempotency_key=str(new_id()), budget=budget)
        except (UnavailableError, RejectedError) as exc:
            self.metrics.questions.labels("unanswered").inc()
            log.warning("pages go out unasked", notification_ids=[str(page.id) for page in pages], reason=str(exc))
            return {}
        self.metrics.questions.labels("answered").inc()
        return {
            incident_id: status for incident_id, status in answer.states.items() if status is not IncidentStatus.OPEN
        }

    async def deliver(self, message: LeasedMessage, *, now: datetime | None) -> float | None:
        """Try once, and record how it went; return the seconds until the next try, if there is to be one.

        What is not recorded comes back when the lease ends, under the same id.
        """
        request_id.REQUEST_ID.set(message.request_id)
        started = clock.monotonic()
        outcome = await self._send(message)
        if outcome is None:
            return None
        seconds = clock.monotonic() - started
        self.metrics.attempts.labels(message.channel, outcome.outcome).inc()
        log.info(
            "delivery attempt",
            notification_id=str(message.id),
            incident_id=str(message.incident_id),
            channel=message.channel,
            attempt=message.attempts,
            outcome=outcome.outcome,
            code=outcome.code,
            seconds=round(seconds, 6),
        )
        return await self._record(message, outcome, seconds=seconds, now=now)

    async def _send(self, message: LeasedMessage) -> Outcome | None:
        if message.tries > self.settings.give_up_tries:
            return Outcome.failed(f"given up after {message.tries - 1} tries; of the last nothing was heard again")
        try:
            async with SEND():
                left = message.expires - clock.monotonic()
                if left <= 0:
                    log.warning("not sent: the lease ran out", notification_id=str(message.id))
                    return None
                async with asyncio.timeout(min(left * LEASE_SHARE, self.settings.send_timeout_seconds)):
                    return await self.channels[message.channel].send(message.to_send())
        except TimeoutError:
            return Outcome.retry("no answer in time")
        except Exception as exc:
            # One message that trips over a bug must not hold up the others; it becomes a dead letter in the end.
            log.exception("delivery tripped", notification_id=str(message.id), channel=message.channel)
            return Outcome.retry(f"an error in Tocsin itself ({type(exc).__name__})")

    async def _record(
        self, message: LeasedMessage, outcome: Outcome, *, seconds: float, now: datetime | None
    ) -> float | None:
        pause = backoff(message.tries, self.settings.retry_min_seconds, self.settings.retry_max_seconds)
        limits = Limits(tries=self.settings.give_up_tries, seconds=self.settings.give_up_seconds)
        waited = message.waited_seconds + seconds
        verdict = judge(outcome, tries=message.tries, waited_seconds=waited, pause=pause, limits=limits)

        async def write() -> bool:
            async with MARK(), transaction(self.db) as cur:
                await leases.insert_attempt(cur, message, outcome, seconds=seconds, now=now)
                mine = await leases.finish_attempt(cur, message, verdict, now=now)
                if mine and verdict.status is not NotificationStatus.QUEUED:
                    await reports.enqueue(cur, self.outbox, message, outcome, verdict)
                return mine

        # The message is out: a database that is away for a moment must not send it once more.
        persistent = AsyncRetrying(
            retry=retry_if_exception_type(UnavailableError),
            wait=wait_random(0.05, 0.5),
            stop=stop_before_delay(max(0.0, message.expires - clock.monotonic())),
            sleep=clock.sleep,
            reraise=True,
        )
        mine: bool = await persistent(write)
        if mine:
            self._count(message, verdict, seconds=seconds)
        else:
            self.metrics.fenced.inc()
            log.warning("attempt came back after its message had gone on", notification_id=str(message.id))
        return verdict.delay

    def _count(self, message: LeasedMessage, verdict: Verdict, *, seconds: float) -> None:
        if verdict.status is NotificationStatus.QUEUED:
            return
        self.outbox.wake()
        self.metrics.finished.labels(message.channel, verdict.status).inc()
        if verdict.status is NotificationStatus.SENT:
            self.metrics.seconds.labels(message.channel).observe(message.age_seconds + seconds)
        else:
            log.error("dead letter", notification_id=str(message.id), reason=verdict.reason)
