"""The next step of an escalation: requested by a person, after failed deliveries, or after the time-out."""

from typing import Final
from uuid import UUID

from tocsin.contracts.audit import AuditAction
from tocsin.contracts.escalations import DeliveryFailed, Escalate, Escalation
from tocsin.kernel import audit
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import Cursor, transaction
from tocsin.kernel.errors import ConflictError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.oncall.domain.escalation import LEVELS, EscalationStart, StoredEscalation, level_after_failure
from tocsin.oncall.domain.timeline_texts import describe_timeout
from tocsin.oncall.repository import escalations, pages, schedules
from tocsin.oncall.service import Deps
from tocsin.oncall.service.escalation_steps import DueStep, ExecutedStep, execute_steps, report_steps
from tocsin.oncall.service.escalations import view

MAX_FAILURE: Final = 500
"""The maximum number of characters of a failure's detail."""
ESCALATE: Final = Failpoint("oncall.escalate")
DELIVERY_FAILED: Final = Failpoint("oncall.delivery_failed")
EXECUTE_DUE: Final = Failpoint("oncall.execute_due")


async def escalate(deps: Deps, given: Escalate, *, actor: str, request: IdempotentRequest | None) -> Escalation:
    """Page the next level now, or level 1 of another team.

    Raise NotFoundError if the incident has no escalation or the team does not exist, ConflictError once paging has
    stopped.
    """
    incident_id = given.incident_id
    executed: list[ExecutedStep] = []
    async with ESCALATE(), transaction(deps.db) as cur:
        if await replay(cur, request, incident_id) is None:
            stored = await escalations.lock_escalation(cur, incident_id)
            step = await _requested_step(cur, stored, given, actor)
            executed = await execute_steps(cur, deps, [step])
            incident = step.start.incident
            subject = Subject("incident", incident_id, f"#{incident.number} {incident.title}")
            after = {"team": step.start.team, "level": step.level, "reason": given.reason}
            await audit.record(cur, AuditAction.INCIDENT_ESCALATE, subject, after=after)
        result = await view(cur, deps, incident_id)
    report_steps(deps, executed)
    return result


async def record_delivery_failure(
    deps: Deps, incident_id: UUID, given: DeliveryFailed, *, request: IdempotentRequest | None
) -> Escalation:
    """Record that a page cannot be delivered, and page the next level once all pages of the latest step have failed.

    Raise NotFoundError if the incident has no such page.
    """
    executed: list[ExecutedStep] = []
    async with DELIVERY_FAILED(), transaction(deps.db) as cur:
        if await replay(cur, request, incident_id) is None:
            stored = await escalations.lock_escalation(cur, incident_id)
            failure = given.detail[:MAX_FAILURE]
            step = await pages.mark_failed(cur, page_id=given.notification_id, incident_id=incident_id, failure=failure)
            if step is not None:
                executed = await execute_steps(cur, deps, await _steps_after_failure(cur, stored, step, failure))
        result = await view(cur, deps, incident_id)
    report_steps(deps, executed)
    return result


async def execute_due(deps: Deps) -> bool | float:
    """Execute a batch of due steps. Return True if more may be due, else the seconds until the next one, or False."""
    limit = deps.settings.due_batch_size
    async with EXECUTE_DUE(), transaction(deps.db) as cur:
        due = await escalations.lock_due(cur, limit=limit)
        steps = [DueStep(item, item.start, item.next_level, _not_acknowledged(item)) for item in due if item.start]
        executed = await execute_steps(cur, deps, steps)
        seconds = await escalations.seconds_until_due(cur)
    report_steps(deps, executed)
    if len(due) == limit:
        return True
    return False if seconds is None else seconds


async def _requested_step(cur: Cursor, stored: StoredEscalation, given: Escalate, actor: str) -> DueStep:
    if stored.start is None or stored.stopped_at is not None:
        msg = (
            f"Paging has stopped: {stored.stop_reason} by {stored.stopped_by}. "
            "Only an unacknowledged incident can be escalated."
        )
        raise ConflictError(msg)
    why = f"requested by {actor}" + (f": {given.reason}" if given.reason else "")
    if given.team is None or given.team == stored.start.team:
        return DueStep(stored, stored.start, stored.next_level, why, actor)
    team = (await schedules.get_schedule_of(cur, given.team)).team
    start = EscalationStart(incident=stored.start.incident, team=team, team_reason=why)
    await escalations.update_team(cur, incident_id=stored.incident_id, team=team, reason=why)
    return DueStep(stored, start, LEVELS[0], why, actor)


async def _steps_after_failure(cur: Cursor, stored: StoredEscalation, step: int, failure: str) -> list[DueStep]:
    """Return the step to execute after a page of *step* failed: none while another page may arrive."""
    if stored.start is None or stored.level is None or stored.stopped_at is not None or step != stored.step:
        return []
    level = level_after_failure(stored.level)
    if level is None or await pages.has_deliverable_page(cur, incident_id=stored.incident_id, step=step):
        return []
    why = f"no page of step {step} could be delivered" + (f" ({failure})" if failure else "")
    return [DueStep(stored, stored.start, level, why)]


def _not_acknowledged(stored: StoredEscalation) -> str:
    return f"not acknowledged within {describe_timeout(stored.timeout_seconds)}"
