"""One message from its lease to its end: asked about, sent, recorded. No transaction is open while the network is."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_before_delay, wait_random

from tocsin.channels import CHANNELS
from tocsin.channels.channel import Transports
from tocsin.channels.message import Outcome
from tocsin.clients.incidents import IncidentsClient
from tocsin.contracts.incidents import IncidentStates
from tocsin.contracts.notifications import NotificationKind, NotificationStatus
from tocsin.kernel import clock, request_id
from tocsin.kernel.db import Database, transaction
from tocsin.kernel.errors import RejectedError, UnavailableError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import Budget
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox import Outbox, backoff
from tocsin.kernel.tracing import TRACING, Kind
from tocsin.notifications import digest, leases, reports
from tocsin.notifications.domain import LeasedMessage, Limits, Verdict, is_wanted, judge
from tocsin.notifications.metrics import NotificationMetrics
from tocsin.notifications.settings import Settings

log = structlog.get_logger(__name__)
LEASE_SHARE: Final = 0.8
"""Of what is left of a lease, for sending; the rest is for recording how that went."""
ASK_TRIES: Final = 3
"""Within ASK_STATE_SECONDS: a connection that breaks must not page somebody who has just answered."""
MAX_ASKED: Final = 1_000
"""Incidents in one question."""
LEASE: Final = Failpoint("notifications.lease")
ASK: Final = Failpoint("notifications.ask")
SEND: Final = Failpoint("notifications.send")
MARK: Final = Failpoint("notifications.mark")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What delivering takes."""

    db: Database
    settings: Settings
    metrics: NotificationMetrics
    incidents: IncidentsClient
    outbox: Outbox
    transports: Transports

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

        Asked in bulk, just before the send. Where nobody can say, a page goes out.
        """
        pages = [message for message in messages if message.kind is NotificationKind.PAGE]
        incidents = await self._incidents(pages)
        over = [page for page in pages if not is_wanted(page, incidents)]
        if over:
            reasons = [f"the incident is {incidents.states[message.incident_id]}" for message in over]
            async with transaction(self.db) as cur:
                await leases.void_leased(cur, over, reasons=reasons, now=now)
            for message in over:
                self.metrics.finished.labels(message.channel, NotificationStatus.VOIDED).inc()
        return {message.id for message in messages} - {message.id for message in over}

    async def _incidents(self, pages: Sequence[LeasedMessage]) -> IncidentStates:
        seconds = self.settings.ask_state_seconds
        budget = Budget(attempts=ASK_TRIES, seconds=seconds, attempt_seconds=seconds)
        incident_ids = list(dict.fromkeys(page.incident_id for page in pages))
        told = IncidentStates(states={})
        for start in range(0, len(incident_ids), MAX_ASKED):
            asked = incident_ids[start : start + MAX_ASKED]
            try:
                async with ASK():
                    answer = await self.incidents.states(asked, idempotency_key=str(new_id()), budget=budget)
            except (UnavailableError, RejectedError) as exc:
                self.metrics.questions.labels("unanswered").inc()
                unasked = [str(page.id) for page in pages if page.incident_id in set(incident_ids[start:])]
                log.warning("pages go out unasked", notification_ids=unasked, reason=str(exc))
                break
            self.metrics.questions.labels("answered").inc()
            told = IncidentStates(
                states={**told.states, **answer.states}, answered_at={**told.answered_at, **answer.answered_at}
            )
        return told

    async def deliver(self, bundle: Sequence[LeasedMessage], *, now: datetime | None) -> float | None:
        """Try once to send what goes out together, and record how it went.

        Return the seconds until the next try, if there is to be one. What is not recorded comes back when the lease
        ends, under the same id.
        """
        head = bundle[0]
        request_id.REQUEST_ID.set(head.request_id)
        if not TRACING.on:
            return await self._deliver(bundle, now=now)
        with TRACING.span(
            f"deliver {head.kind} by {head.channel}",
            Kind.CLIENT,
            parent=head.trace_context or {},
            links=[message.trace_context for message in bundle[1:]],
            tocsin__notification_id=str(head.id),
            tocsin__incident_id=str(head.incident_id),
        ):
            return await self._deliver(bundle, now=now)

    async def _deliver(self, bundle: Sequence[LeasedMessage], *, now: datetime | None) -> float | None:
        message = bundle[0]
        started = clock.monotonic()
        outcome = await self._send(bundle)
        if outcome is None:
            return None
        seconds = clock.monotonic() - started
        self.metrics.attempts.labels(message.channel, outcome.outcome).inc()
        log.info(
            "delivery attempt",
            notification_id=str(message.id),
            incident_id=str(message.incident_id),
            together=len(bundle),
            channel=message.channel,
            attempt=message.attempts,
            outcome=outcome.outcome,
            code=outcome.code,
            seconds=round(seconds, 6),
        )
        return await self._record(bundle, outcome, seconds=seconds, now=now)

    async def _send(self, bundle: Sequence[LeasedMessage]) -> Outcome | None:
        message = min(bundle, key=lambda message: message.tries)
        if message.tries > self.settings.give_up_tries:
            return Outcome.failed(f"given up after {message.tries - 1} tries; of the last nothing was heard again")
        try:
            async with SEND():
                left = message.expires - clock.monotonic()
                if left <= 0:
                    log.warning("not sent: the lease ran out", notification_id=str(message.id))
                    return None
                async with asyncio.timeout(min(left * LEASE_SHARE, self.settings.send_timeout_seconds)):
                    sent = digest.to_send(bundle, public_url=self.settings.public_url)
                    return await CHANNELS[message.channel].send(sent, self.settings, self.transports)
        except TimeoutError:
            return Outcome.retry("no answer in time")
        except Exception as exc:
            # One message that trips over a bug must not hold up the others; it becomes a dead letter in the end.
            log.exception("delivery tripped", notification_id=str(message.id), channel=message.channel)
            return Outcome.retry(f"an error in Tocsin itself ({type(exc).__name__})")

    async def _record(
        self, bundle: Sequence[LeasedMessage], outcome: Outcome, *, seconds: float, now: datetime | None
    ) -> float | None:
        # One pause for all: they come back together.
        tries = max(message.tries for message in bundle)
        pause = backoff(tries, self.settings.retry_min_seconds, self.settings.retry_max_seconds)
        verdicts = [(message, self._judge(message, outcome, seconds, pause)) for message in bundle]
        digest_id = digest.digest_id(bundle)

        async def write() -> set[UUID]:
            async with MARK(), transaction(self.db) as cur:
                await leases.insert_attempts(cur, bundle, outcome, seconds=seconds, now=now)
                mine = await leases.finish_attempts(cur, verdicts, digest_id=digest_id, now=now)
                finished = [pair for pair in verdicts if pair[0].id in mine and pair[1].delay is None]
                if finished:
                    await reports.enqueue(cur, self.outbox, finished, outcome, digest_id=digest_id)
                return mine

        # The message is out: a database that is away for a moment must not send it once more.
        persistent = AsyncRetrying(
            retry=retry_if_exception_type(UnavailableError),
            wait=wait_random(0.05, 0.5),
            stop=stop_before_delay(max(0.0, bundle[0].expires - clock.monotonic())),
            sleep=clock.sleep,
            reraise=True,
        )
        mine: set[UUID] = await persistent(write)
        for message, verdict in verdicts:
            if message.id in mine:
                self._count(message, verdict, seconds=seconds)
            else:
                self.metrics.fenced.inc()
                log.warning("attempt came back after its message had gone on", notification_id=str(message.id))
        return min((verdict.delay for _, verdict in verdicts if verdict.delay is not None), default=None)

    def _judge(self, message: LeasedMessage, outcome: Outcome, seconds: float, pause: float) -> Verdict:
        limits = Limits(tries=self.settings.give_up_tries, seconds=self.settings.give_up_seconds)
        waited = message.waited_seconds + seconds
        return judge(outcome, tries=message.tries, waited_seconds=waited, pause=pause, limits=limits)

    def _count(self, message: LeasedMessage, verdict: Verdict, *, seconds: float) -> None:
        if verdict.status is NotificationStatus.QUEUED:
            return
        self.outbox.wake()
        self.metrics.finished.labels(message.channel, verdict.status).inc()
        if verdict.status is NotificationStatus.SENT:
            self.metrics.seconds.labels(message.channel).observe(message.age_seconds + seconds)
        else:
            log.error("dead letter", notification_id=str(message.id), reason=verdict.reason)
