"""Execute escalation steps: pages, timeline entries and the time of the next step are written in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from tocsin.contracts.escalations import EscalationPage, Level
from tocsin.contracts.incidents import AppendTimelineEntry, EventType
from tocsin.contracts.notifications import NotificationKind, Notify, PageDetails
from tocsin.contracts.services import ONCALL_SERVICE
from tocsin.kernel.db import Cursor
from tocsin.kernel.ids import new_id
from tocsin.kernel.tracing import TRACING
from tocsin.oncall.domain.escalation import (
    EscalationStart,
    StepPlan,
    StoredEscalation,
    StoredPage,
    plan_step,
)
from tocsin.oncall.domain.schedule import StoredSchedule
from tocsin.oncall.domain.timeline_entries import nobody_on_call_entry, paged_entries
from tocsin.oncall.domain.timeline_texts import describe_escalation
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
    """A step with its stored pages."""

    due: DueStep
    at: datetime
    """The time at which its transaction began."""
    schedule: StoredSchedule | None
    """The schedule of the team; None if there is none that can be parsed."""
    plan: StepPlan
    pages: tuple[StoredPage, ...]

    @property
    def number(self) -> int:
        """The number of the step; it keeps increasing when the levels repeat."""
        return self.due.escalation.step + 1

    @property
    def assignee(self) -> str | None:
        """The first person paged; None for the catch-all."""
        return None if self.plan.level is Level.CATCH_ALL else self.plan.pages[0].person

    @property
    def page_views(self) -> list[EscalationPage]:
        """The pages as the API returns them."""
        return [
            EscalationPage(
                notification_id=page.id,
                team=page.team,
                step=page.step,
                level=page.level,
                person=page.person,
                channel=page.channel,
                reason=page.reason,
                created_at=self.at,
                voided_at=None,
                failed_at=None,
                failure=None,
            )
            for page in self.pages
        ]


async def execute_steps(
    cur: Cursor, deps: Deps, due: Sequence[DueStep], *, report_to_timeline: bool = True
) -> list[ExecutedStep]:
    """Execute steps of distinct, locked escalations. Call `report_steps` with the result after the commit.

    Unless *report_to_timeline*, the caller adds the steps to the timelines of their incidents.
    """
    if not due:
        return []
    at, by_team = await schedules.find_parsable_now(cur, sorted({item.start.team for item in due}))
    executed = []
    for item in due:
        team = item.start.team
        schedule = by_team.get(team)
        plan = plan_step(schedule, team=team, level=item.level, at=at, contacts=deps.contacts)
        executed.append(ExecutedStep(item, at, schedule, plan, tuple(_stored_pages(item, plan))))
    await escalations.record_steps(cur, [_record(step) for step in executed])
    stored = [(step, page) for step in executed for page in step.pages]
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
    if not report_to_timeline:
        return executed
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
            log.info("escalation step executed", level=step.plan.level, people=len(step.plan.pages), **fields)
    if executed:
        deps.notify_channel.notify()


def _stored_pages(due: DueStep, plan: StepPlan) -> Iterator[StoredPage]:
    for page in plan.pages:
        for contact in page.contacts:
            yield StoredPage(
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


def _record(step: ExecutedStep) -> escalations.StepRecord:
    return escalations.StepRecord(
        incident_id=step.due.escalation.incident_id,
        step=step.number,
        level=step.plan.level,
        next_level=step.plan.next_level,
        assigned_to=step.assignee,
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
    if step.plan.nobody_on_call:
        yield nobody_on_call_entry(team, step.number, actor=step.due.actor)
    elif step.number > 1:
        yield AppendTimelineEntry(
            event_key=f"escalated:{step.number}",
            event_type=EventType.ESCALATED,
            actor=step.due.actor,
            detail=describe_escalation(step.plan, team, step.due.reason),
            data={"step": step.number, "level": step.plan.level, "team": team, "why": step.due.reason},
        )
    yield from paged_entries(step.page_views)
