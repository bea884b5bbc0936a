"""Execute escalation steps: pages, timeline entries and the time of the next step are written in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from tocsin.contracts.escalations import Level
from tocsin.contracts.incidents import AppendTimelineEntry, EventType
from tocsin.contracts.notifications import NotificationKind, Notify, PageDetails
from tocsin.contracts.services import ONCALL_SERVICE
from tocsin.kernel.db import Cursor
from tocsin.kernel.ids import new_id
from tocsin.kernel.tracing import TRACING
from tocsin.oncall.domain.escalation import (
    EscalationStart,
    PlannedPage,
    StepPlan,
    StoredEscalation,
    StoredPage,
    plan_step,
)
from tocsin.oncall.domain.timeline_texts import describe_escalation, describe_nobody_on_call, describe_page
from tocsin.oncall.repository import escalations, pages, schedules
from tocsin.oncall.service import Deps

log = structlog.get_logger(__name__)
MAX_MESSAGE: Final = 16_000
"""The maximum number of characters of a page's text."""


@dataclass(frozen=True, slots=True)
class DueStep:
    """A step to execute now on a locked escalation."""

    escalation: StoredEscalation
    start: EscalationStart
    level: Level
    reason: str
    """The reason for this step in the timeline; empty for the first step."""
    actor: str = ONCALL_SERVICE


@dataclass(frozen=True, slots=True)
class ExecutedStep:
    """A step with its stored pages, grouped by person."""

    due: DueStep
    plan: StepPlan
    pages: tuple[tuple[PlannedPage, tuple[StoredPage, ...]], ...]

    @property
    def number(self) -> int:
        """The number of the step; it keeps increasing when the levels repeat."""
        return self.due.escalation.step + 1


async def execute_steps(cur: Cursor, deps: Deps, due: Sequence[DueStep]) -> list[ExecutedStep]:
    """Execute steps of distinct, locked escalations. Call `report_steps` with the result after the commit."""
    if not due:
        return []
    at = await schedules.select_now(cur)
    by_team = await schedules.find_parsable(cur, sorted({item.start.team for item in due}))
    executed = []
    for item in due:
        team = item.start.team
        plan = plan_step(by_team.get(team), team=team, level=item.level, at=at, contacts=deps.contacts)
        executed.append(ExecutedStep(item, plan, tuple(_stored_pages(item, plan))))
    await escalations.record_steps(cur, [_record(step) for step in executed])
    stored = [(step, page) for step in executed for _, group in step.pages for page in group]
    await pages.insert_pages(cur, [page for _, page in stored])
    incident_ids = [step.due.escalation.incident_id for step in executed]
    # A step that a timer triggers belongs to the trace that started its escalation.
    traces = await escalations.find_trace_contexts(cur, incident_ids) if TRACING.on and not TRACING.context() else {}
    await deps.outbox.enqueue_many(
        cur,
        kind="page",
        rows=[(page.id, str(page.id), _notify(step.due.start, page, at)) for step, page in stored],
        trace_contexts=[traces.get(page.incident_id) for _, page in stored],
    )
    entries = [(step.due.escalation.incident_id, entry) for step in executed for entry in _timeline_entries(step)]
    await deps.outbox.enqueue_many(
        cur,
        kind="timeline",
        rows=[(new_id(), str(incident_id), entry) for incident_id, entry in entries],
        trace_contexts=[traces.get(incident_id) for incident_id, _ in entries],
    )
    return executed


def report_steps(deps: Deps, executed: Sequence[ExecutedStep]) -> None:
    """Count and log committed steps, and wake the workers that deliver them."""
    for step in executed:
        team = step.due.start.team
        fields = {"incident_id": str(step.due.escalation.incident_id), "team": team, "step": step.number}
        if step.number > 1:
            deps.metrics.escalations.labels(team).inc()
        if step.plan.level is Level.CATCH_ALL:
            reason = "nobody_on_call" if step.plan.nobody_on_call else "undeliverable"
            deps.metrics.catch_all.labels(reason).inc()
            log.error("catch-all paged", reason=reason, **fields)
        else:
            log.info("escalation step executed", level=step.plan.level, people=len(step.pages), **fields)
    if executed:
        deps.notify_channel.notify()


def _stored_pages(due: DueStep, plan: StepPlan) -> Iterator[tuple[PlannedPage, tuple[StoredPage, ...]]]:
    for page in plan.pages:
        yield (
            page,
            tuple(
                StoredPage(
                    id=new_id(),
                    incident_id=due.escalation.incident_id,
                    team=due.start.team,
                    step=due.escalation.step + 1,
                    level=plan.level,
                    person=page.person,
                    channel=contact.channel,
                    address=contact.address,
                    reason=page.reason,
                )
                for contact in page.contacts
            ),
        )


def _record(step: ExecutedStep) -> escalations.StepRecord:
    return escalations.StepRecord(
        incident_id=step.due.escalation.incident_id,
        step=step.number,
        level=step.plan.level,
        next_level=step.plan.next_level,
        assigned_to=None if step.plan.level is Level.CATCH_ALL else step.plan.pages[0].person,
    )


def _notify(start: EscalationStart, page: StoredPage, at: datetime) -> Notify:
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


def _timeline_entries(step: ExecutedStep) -> Iterator[AppendTimelineEntry]:
    team = step.due.start.team
    data = {"step": step.number, "level": step.plan.level, "team": team}
    if step.plan.nobody_on_call:
        yield AppendTimelineEntry(
            event_key=f"nobody_on_call:{step.number}",
            event_type=EventType.NOBODY_ON_CALL,
            actor=step.due.actor,
            detail=describe_nobody_on_call(team),
            data=data,
        )
    elif step.number > 1:
        yield AppendTimelineEntry(
            event_key=f"escalated:{step.number}",
            event_type=EventType.ESCALATED,
            actor=step.due.actor,
            detail=describe_escalation(step.plan, team, step.due.reason),
            data={**data, "why": step.due.reason},
        )
    for person, group in step.pages:
        yield AppendTimelineEntry(
            event_key=f"paged:{group[0].id}",
            event_type=EventType.PAGED,
            actor=ONCALL_SERVICE,
            detail=describe_page(person),
            data={
                **data,
                "person": person.person,
                "reason": person.reason,
                "channels": [{"channel": page.channel, "notification_id": str(page.id)} for page in group],
            },
        )
