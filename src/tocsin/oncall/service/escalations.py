"""Escalations: start, stop and read them. A step and its pages are written in one transaction."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from tocsin.contracts.escalations import (
    Escalation,
    QueryRunning,
    RunningEscalations,
    StartedEscalation,
    StartEscalation,
    StopEscalation,
)
from tocsin.contracts.notifications import CancelPages, IncidentBrief
from tocsin.kernel.db import Cursor, Row, autocommit, transaction
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.oncall.domain.escalation import LEVELS, EscalationStart, StoredEscalation
from tocsin.oncall.domain.routing import describe_routing
from tocsin.oncall.domain.timeline_entries import first_step_entries
from tocsin.oncall.repository import escalations, pages, schedules
from tocsin.oncall.service import Deps
from tocsin.oncall.service.escalation_steps import DueStep, execute_steps, report_steps
from tocsin.oncall.service.views import escalation_views, started_view

RESUMED: Final = "paging was stopped although the incident is unacknowledged"
START: Final = Failpoint("oncall.start")
STOP: Final = Failpoint("oncall.stop")


async def start(
    deps: Deps, given: StartEscalation, *, request: IdempotentRequest | None, report_to_timeline: bool
) -> Escalation:
    """Page level 1 for an incident. A repeat, or a start whose stop arrived first, pages nobody.

    If *given* is to resume paging, an escalation that was stopped pages its next level.

    Unless *report_to_timeline*, the result has the entries of the incident's timeline, and the caller adds them.
    """
    escalation = await _start(deps, given, request=request, report_to_timeline=report_to_timeline)
    if report_to_timeline:
        return escalation
    first = [page for page in escalation.pages if page.step == 1]
    return StartedEscalation(**vars(escalation), timeline=list(first_step_entries(first)))


async def _start(
    deps: Deps, given: StartEscalation, *, request: IdempotentRequest | None, report_to_timeline: bool
) -> Escalation:
    incident_id, timeout = given.incident_id, deps.settings.timeout_seconds
    async with START(), transaction(deps.db) as cur:
        if await replay(cur, request, incident_id) is not None:
            return await view(cur, deps, incident_id)
        route = await _route(cur, deps, given)
        if await escalations.insert_escalation(cur, incident_id=incident_id, start=route, timeout_seconds=timeout):
            inserted = StoredEscalation.started(incident_id, route, timeout_seconds=timeout)
            due = DueStep(inserted, route, LEVELS[0], reason="")
        else:
            stopped = await escalations.resume_escalation(cur, incident_id) if given.resume else None
            if stopped is None or stopped.start is None:
                return await view(cur, deps, incident_id)
            due = DueStep(stopped, stopped.start, stopped.next_level, RESUMED)
            report_to_timeline = True
        executed = await execute_steps(cur, deps, [due], report_to_timeline=report_to_timeline)
    report_steps(deps, executed)
    return started_view(executed[0], deps.contacts)


async def stop(
    deps: Deps, incident_id: UUID, given: StopEscalation, *, request: IdempotentRequest | None
) -> Escalation:
    """Stop paging for an incident, even if its start has not arrived yet, and cancel its undelivered pages."""
    async with STOP(), transaction(deps.db) as cur:
        if await replay(cur, request, incident_id) is None and await escalations.mark_stopped(
            cur,
            incident_id=incident_id,
            reason=given.reason,
            actor=given.actor,
            timeout_seconds=deps.settings.timeout_seconds,
        ):
            await pages.cancel_unsent_pages(cur, incident_id=incident_id)
            # Its own key, so that timeline entries that incident-management rejects do not delay it.
            await deps.outbox.enqueue(
                cur,
                kind="cancel_pages",
                key=f"cancel:{incident_id}",
                body=CancelPages(
                    incident_id=incident_id,
                    reason=f"{given.reason} by {given.actor}",
                    paged_until=await pages.latest_page_at(cur, incident_id),
                ),
            )
        result = await view(cur, deps, incident_id)
    deps.notify_channel.notify()
    return result


async def find(deps: Deps, incident_ids: Sequence[UUID]) -> list[Escalation]:
    """Return the escalations of the incidents, without incidents that have none."""
    async with autocommit(deps.db) as cur:
        return await escalation_views(cur, await escalations.find_escalations(cur, incident_ids), deps.contacts)


async def find_running(deps: Deps, given: QueryRunning) -> RunningEscalations:
    """Return those of the incidents whose escalation is running."""
    async with autocommit(deps.db) as cur:
        return RunningEscalations(incident_ids=await escalations.find_running(cur, given.incident_ids))


async def get(deps: Deps, incident_id: UUID) -> Escalation:
    """Return the escalation of an incident. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        return await view(cur, deps, incident_id)


async def count_running(deps: Deps) -> Row:
    """Return the values of the gauges, as `repository.escalations.count_running` does."""
    async with autocommit(deps.db) as cur:
        return await escalations.count_running(cur)


async def view(cur: Cursor, deps: Deps, incident_id: UUID) -> Escalation:
    """Return the escalation of an incident as this transaction sees it. Raise NotFoundError."""
    stored = await escalations.get_escalation(cur, incident_id)
    return (await escalation_views(cur, [stored], deps.contacts))[0]


async def _route(cur: Cursor, deps: Deps, given: StartEscalation) -> EscalationStart:
    default_team = deps.settings.default_team
    team, rule = await schedules.find_team(cur, service=given.service, default_team=default_team)
    return EscalationStart(
        incident=IncidentBrief(
            number=given.number,
            title=given.title,
            service=given.service,
            severity=given.severity,
            created_at=given.created_at,
        ),
        team=team,
        team_reason=describe_routing(rule, team=team, service=given.service, default_team=default_team),
    )
