"""One step of an escalation: its pages, its timeline entries and the time of the next one, in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from tocsin.contracts.incidents import AppendTimelineEntry, EventType
from tocsin.contracts.notifications import NotificationKind, Notify, PageDetails
from tocsin.contracts.oncall import Level
from tocsin.kernel.db import Cursor
from tocsin.kernel.ids import new_id
from tocsin.kernel.outbox import Outbox
from tocsin.kernel.tracing import TRACING
from tocsin.oncall.domain import (
    LEVELS,
    PlannedPage,
    Reach,
    Start,
    Step,
    StoredEscalation,
    StoredPage,
    escalated_in_words,
    paged_in_words,
    plan_step,
)
from tocsin.oncall.metrics import OnCallMetrics
from tocsin.oncall.repository import escalations, pages, schedules

log = structlog.get_logger(__name__)
SERVICE: Final = "oncall-service"
MAX_MESSAGE: Final = 16_000


@dataclass(frozen=True, slots=True)
class DueStep:
    """A step to be taken now on a locked escalation."""

    escalation: StoredEscalation
    start: Start
    level: Level
    why: str
    actor: str = SERVICE


@dataclass(frozen=True, slots=True)
class TakenStep:
    """A step with the ids of its pages."""

    due: DueStep
    step: Step
    pages: tuple[tuple[PlannedPage, tuple[StoredPage, ...]], ...]

    @property
    def number(self) -> int:
        """Rises with each step of an incident, also when the levels repeat."""
        return self.due.escalation.step + 1

    @property
    def nobody(self) -> bool:
        """Say whether nobody was on call at any level."""
        return set(self.step.skipped) == set(LEVELS)


async def take_steps(
    cur: Cursor, outbox: Outbox, due: Sequence[DueStep], *, reach: Reach, now: datetime | None
) -> list[TakenStep]:
    """Take steps of different, locked escalations. Call `announce` with the answer after the commit."""
    if not due:
        return []
    at = await schedules.clock(cur, now)
    found = await schedules.find_readable(cur, sorted({item.start.team for item in due}))
    taken = [
        _planned(
            item, plan_step(found.get(item.start.team), team=item.start.team, level=item.level, at=at, reach=reach)
        )
        for item in due
    ]
    await escalations.record_steps(cur, [_record(item) for item in taken], now=now)
    stored = [(item, page) for item in taken for _, group in item.pages for page in group]
    await pages.insert_pages(cur, [page for _, page in stored], now=now)
    ids = [item.due.escalation.incident_id for item in taken]
    # A step that is due by time belongs to the trace that started its escalation.
    traces = await escalations.find_trace_contexts(cur, ids) if TRACING.on and TRACING.context() is None else {}
    await outbox.enqueue_many(
        cur,
        kind="page",
        rows=[(page.id, str(page.id), _notify(item.due.start, page, at)) for item, page in stored],
        trace_contexts=[traces.get(page.incident_id) for _, page in stored],
    )
    entries = [(item.due.escalation.incident_id, entry) for item in taken for entry in _entries(item)]
    await outbox.enqueue_many(
        cur,
        kind="timeline",
        rows=[(new_id(), str(incident_id), entry) for incident_id, entry in entries],
        trace_contexts=[traces.get(incident_id) for incident_id, _ in entries],
    )
    return taken


def announce(taken: Sequence[TakenStep], metrics: OnCallMetrics) -> None:
    """Count and log steps that are committed."""
    for item in taken:
        facts = {"incident_id": str(item.due.escalation.incident_id), "team": item.due.start.team, "step": item.number}
        if item.number > 1:
            metrics.escalations.labels(item.due.start.team).inc()
        if item.step.level is Level.CATCH_ALL:
            reason = "nobody_on_call" if item.nobody else "undeliverable"
            metrics.catch_all.labels(reason).inc()
            log.error("catch-all paged", reason=reason, **facts)
        else:
            log.info("step taken", paged=item.step.level, pages=len(item.pages), **facts)


def _planned(due: DueStep, step: Step) -> TakenStep:
    number = due.escalation.step + 1
    return TakenStep(due, step, tuple((page, tuple(_stored(due, step, number, page))) for page in step.pages))


def _stored(due: DueStep, step: Step, number: int, page: PlannedPage) -> Iterator[StoredPage]:
    for contact in page.contacts:
        yield StoredPage(
            id=new_id(),
            incident_id=due.escalation.incident_id,
            team=due.start.team,
            step=number,
            level=step.level,
            person=page.person,
            channel=contact.channel,
            address=contact.address,
            reason=page.reason,
        )


def _record(taken: TakenStep) -> escalations.StepRecord:
    first = taken.step.pages[0].person
    return escalations.StepRecord(
        incident_id=taken.due.escalation.incident_id,
        step=taken.number,
        level=taken.step.level,
        next_level=taken.step.next_level,
        assigned_to=None if taken.step.level is Level.CATCH_ALL else first,
    )


def _notify(start: Start, page: StoredPage, at: datetime) -> Notify:
    incident = start.incident
    text = f"#{incident.number} {incident.title}: {incident.severity} in {incident.service}. Paged: {page.reason}."
    return Notify(
        incident_id=page.incident_id,
        channel=page.channel,
        recipient=page.address,
        message=text[:MAX_MESSAGE],
        kind=NotificationKind.PAGE,
        page=PageDetails(
            step=page.step, level=page.level, person=page.person, reason=page.reason, incident=incident, paged_at=at
        ),
        notification_id=page.id,
    )


def _entries(taken: TakenStep) -> Iterator[AppendTimelineEntry]:
    team = taken.due.start.team
    facts = {"step": taken.number, "level": taken.step.level, "team": team}
    if taken.nobody:
        yield AppendTimelineEntry(
            event_key=f"nobody_on_call:{taken.number}",
            event_type=EventType.NOBODY_ON_CALL,
            actor=taken.due.actor,
            detail=f"Nobody is on call for {team} at any level: the catch-all is paged",
            data=facts,
        )
    elif taken.number > 1:
        yield AppendTimelineEntry(
            event_key=f"escalated:{taken.number}",
            event_type=EventType.ESCALATED,
            actor=taken.due.actor,
            detail=escalated_in_words(taken.step, team, taken.due.why),
            data={**facts, "why": taken.due.why},
        )
    for person, group in taken.pages:
        yield AppendTimelineEntry(
            event_key=f"paged:{group[0].id}",
            event_type=EventType.PAGED,
            actor=SERVICE,
            detail=paged_in_words(person),
            data={
                **facts,
                "person": person.person,
                "reason": person.reason,
                "channels": [{"channel": page.channel, "notification_id": str(page.id)} for page in group],
            },
        )
