"""Escalations: start, stop, next level, and what is due. Every step and its pages are one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from tocsin.contracts.notifications import IncidentBrief, VoidNotifications
from tocsin.contracts.oncall import DeliveryFailed, Escalate, Escalation, Level, StartEscalation, StopEscalation
from tocsin.kernel.db import Cursor, Database, Row, transaction
from tocsin.kernel.errors import ConflictError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import IdempotentRequest, replay
from tocsin.kernel.outbox import Outbox
from tocsin.kernel.pg_notify import NotifyChannel
from tocsin.oncall.domain import LEVELS, Reach, Start, StoredEscalation, after_failure, seconds_in_words, team_in_words
from tocsin.oncall.metrics import OnCallMetrics
from tocsin.oncall.repository import escalations, pages, schedules
from tocsin.oncall.service.steps import DueStep, TakenStep, announce, take_steps
from tocsin.oncall.service.views import escalation_views
from tocsin.oncall.settings import Settings

log = structlog.get_logger(__name__)
MAX_FAILURE: Final = 500
START: Final = Failpoint("oncall.start")
STOP: Final = Failpoint("oncall.stop")
ESCALATE: Final = Failpoint("oncall.escalate")
DELIVERY_FAILED: Final = Failpoint("oncall.delivery_failed")
STEP_DUE: Final = Failpoint("oncall.step_due")


class Pager:
    """Pages people for incidents until somebody answers."""

    def __init__(
        self, db: Database, outbox: Outbox, doorbell: NotifyChannel, settings: Settings, metrics: OnCallMetrics
    ) -> None:
        self._db = db
        self._outbox = outbox
        self._doorbell = doorbell
        self._settings = settings
        self._reach = Reach(mail=settings.smtp_url is not None, catch_all=settings.catch_all)
        self._metrics = metrics

    async def start(
        self, given: StartEscalation, *, request: IdempotentRequest | None, now: datetime | None = None
    ) -> Escalation:
        """Page level 1 for an incident; a repeat, or a start that its stop has overtaken, pages nobody."""
        incident_id = given.incident_id
        taken: list[TakenStep] = []
        async with START(), transaction(self._db) as cur:
            if not await replay(cur, request, incident_id):
                start = await self._start_of(cur, given)
                if await escalations.insert_escalation(
                    cur,
                    incident_id=incident_id,
                    start=start,
                    timeout_seconds=self._settings.timeout_seconds,
                    now=now,
                ):
                    stored = await escalations.get_escalation(cur, incident_id)
                    taken = await self._take(cur, [DueStep(stored, start, LEVELS[0], why="")], now=now)
            answer = await self._view(cur, incident_id)
        self._announce(taken)
        return answer

    async def stop(
        self,
        incident_id: UUID,
        given: StopEscalation,
        *,
        request: IdempotentRequest | None,
        now: datetime | None = None,
    ) -> Escalation:
        """Page no more for an incident, and withdraw what has not gone out; also before its start has arrived."""
        async with STOP(), transaction(self._db) as cur:
            if not await replay(cur, request, incident_id) and await escalations.mark_stopped(
                cur,
                incident_id=incident_id,
                reason=given.reason,
                actor=given.actor,
                timeout_seconds=self._settings.timeout_seconds,
                now=now,
            ):
                await pages.void_unsent_pages(cur, incident_id=incident_id, now=now)
                # A key of its own: reports that incident management does not take must not hold this up.
                await self._outbox.enqueue(
                    cur,
                    kind="void_notifications",
                    key=f"void:{incident_id}",
                    body=VoidNotifications(incident_id=incident_id, reason=f"{given.reason} by {given.actor}"),
                )
            answer = await self._view(cur, incident_id)
        self._doorbell.notify()
        return answer

    async def escalate(
        self, given: Escalate, *, actor: str, request: IdempotentRequest | None, now: datetime | None = None
    ) -> Escalation:
        """Page the next level now, or level 1 of another team. Raise NotFoundError, ConflictError once stopped."""
        incident_id = given.incident_id
        taken: list[TakenStep] = []
        async with ESCALATE(), transaction(self._db) as cur:
            if not await replay(cur, request, incident_id):
                stored = await escalations.lock_escalation(cur, incident_id)
                taken = await self._take(cur, [await self._asked(cur, stored, given, actor)], now=now)
            answer = await self._view(cur, incident_id)
        self._announce(taken)
        return answer

    async def delivery_failed(
        self,
        incident_id: UUID,
        given: DeliveryFailed,
        *,
        request: IdempotentRequest | None,
        now: datetime | None = None,
    ) -> Escalation:
        """Record that a page will never arrive, and page the next level once no page of the latest step can arrive."""
        taken: list[TakenStep] = []
        async with DELIVERY_FAILED(), transaction(self._db) as cur:
            if not await replay(cur, request, incident_id):
                stored = await escalations.lock_escalation(cur, incident_id)
                step = await pages.mark_failed(
                    cur,
                    page_id=given.notification_id,
                    incident_id=incident_id,
                    failure=given.detail[:MAX_FAILURE],
                    now=now,
                )
                if step is not None:
                    taken = await self._take(cur, await _after_failure(cur, stored, step, given.detail), now=now)
            answer = await self._view(cur, incident_id)
        self._announce(taken)
        return answer

    async def step_due(self, *, now: datetime | None = None) -> bool | float:
        """Take a batch of steps that are due; True where more may be, else seconds until the next one, or False."""
        async with STEP_DUE(), transaction(self._db) as cur:
            due = await escalations.claim_due(cur, limit=self._settings.due_batch_size, now=now)
            taken = await self._take(
                cur,
                [
                    DueStep(item, item.start, item.next_level, _unanswered(item))
                    for item in due
                    if item.start is not None
                ],
                now=now,
            )
            seconds = await escalations.seconds_until_due(cur, now=now)
        self._announce(taken)
        if len(due) == self._settings.due_batch_size:
            return True
        return False if seconds is None else max(0.0, seconds)

    async def find(self, incident_ids: Sequence[UUID]) -> list[Escalation]:
        """Return how far the paging for these incidents has come; one without an escalation is missing."""
        async with transaction(self._db) as cur:
            return await escalation_views(cur, await escalations.find_escalations(cur, incident_ids), self._reach)

    async def get(self, incident_id: UUID) -> Escalation:
        """Return how far the paging for an incident has come. Raise NotFoundError."""
        async with transaction(self._db) as cur:
            return await self._view(cur, incident_id)

    async def measure(self, *, now: datetime | None = None) -> Row:
        """Return what the gauges show."""
        async with transaction(self._db) as cur:
            return await escalations.measure(cur, now=now)

    async def _start_of(self, cur: Cursor, given: StartEscalation) -> Start:
        default_team = self._settings.default_team
        team, rule = await schedules.find_team(cur, service=given.service, default_team=default_team)
        return Start(
            incident=IncidentBrief(
                number=given.number,
                title=given.title,
                service=given.service,
                severity=given.severity,
                created_at=given.created_at,
            ),
            team=team,
            team_reason=team_in_words(rule, team=team, service=given.service, default_team=default_team),
        )

    async def _asked(self, cur: Cursor, stored: StoredEscalation, given: Escalate, actor: str) -> DueStep:
        if stored.start is None or stored.stopped_at is not None:
            msg = f"Nobody is paged any more: {stored.stop_reason} by {stored.stopped_by}."
            raise ConflictError(msg)
        why = f"{actor} asked for it" + (f": {given.reason}" if given.reason else "")
        if given.team is None or given.team == stored.start.team:
            return DueStep(stored, stored.start, stored.next_level, why, actor)
        team = (await schedules.get_schedule_of(cur, given.team)).team
        start = Start(incident=stored.start.incident, team=team, team_reason=why)
        await escalations.move_to_team(cur, incident_id=stored.incident_id, team=team, reason=why)
        return DueStep(stored, start, LEVELS[0], why, actor)

    async def _take(self, cur: Cursor, due: Sequence[DueStep], *, now: datetime | None) -> list[TakenStep]:
        return await take_steps(cur, self._outbox, due, reach=self._reach, now=now)

    async def _view(self, cur: Cursor, incident_id: UUID) -> Escalation:
        stored = await escalations.get_escalation(cur, incident_id)
        return (await escalation_views(cur, [stored], self._reach))[0]

    def _announce(self, taken: Sequence[TakenStep]) -> None:
        announce(taken, self._metrics)
        if taken:
            self._doorbell.notify()


PAGER = web.AppKey("PAGER", Pager)


async def _after_failure(cur: Cursor, stored: StoredEscalation, step: int, detail: str) -> list[DueStep]:
    """Return the step to take now that a page of *step* has failed: none unless it was the last hope of the latest."""
    if stored.start is None or stored.level is None or stored.stopped_at is not None or step != stored.step:
        return []
    level: Level | None = after_failure(stored.level)
    if level is None or await pages.has_hope(cur, incident_id=stored.incident_id, step=step):
        return []
    why = f"no page of step {step} could be delivered" + (f" ({detail[:MAX_FAILURE]})" if detail else "")
    return [DueStep(stored, stored.start, level, why)]


def _unanswered(stored: StoredEscalation) -> str:
    return f"nobody answered within {seconds_in_words(stored.timeout_seconds)}"
