"""Stored schedules and escalations as the API returns them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from tocsin.contracts.escalations import Escalation, EscalationPage
from tocsin.contracts.oncall import Member, PersonOnCall, Schedule, Shift
from tocsin.kernel.db import Cursor
from tocsin.oncall.domain.authority import Authority
from tocsin.oncall.domain.contact_resolver import ContactResolver
from tocsin.oncall.domain.escalation import StoredEscalation, plan_step
from tocsin.oncall.domain.schedule import ScheduledShift, StoredSchedule, handoff_of
from tocsin.oncall.repository import pages, schedules
from tocsin.oncall.service.escalation_steps import ExecutedStep


def schedule_view(stored: StoredSchedule, authority: Authority) -> Schedule:
    """Return a schedule for the API, for a caller with *authority*.

    Creating another team from it results in the same shifts.
    """
    handoff_time, handoff_weekday = handoff_of(stored.anchor, stored.rotation_type)
    return Schedule(
        id=stored.id,
        team=stored.team,
        rotation_type=stored.rotation_type,
        members=list(stored.members),
        services=list(stored.services),
        time_zone=stored.zone.key,
        handoff_time=handoff_time,
        handoff_weekday=handoff_weekday,
        start=stored.anchor.date(),
        anchor=stored.anchor,
        created_at=stored.created_at,
        version=stored.version,
        may_manage=authority.manages(stored.team),
    )


def person_view(member: Member | None) -> PersonOnCall | None:
    """Return a person on call for the API, without their contacts."""
    return PersonOnCall(name=member.name, email=member.email) if member else None


def shift_view(team: str, shift: ScheduledShift) -> Shift:
    """Return a shift for the API."""
    return Shift(
        team=team,
        primary=person_view(shift.primary),
        secondary=person_view(shift.secondary),
        starts_at=shift.starts_at,
        ends_at=shift.ends_at,
    )


def started_view(step: ExecutedStep, contacts: ContactResolver) -> Escalation:
    """Return an escalation for the API after its first step, without reading it again."""
    before = step.due.escalation
    after = replace(
        before,
        assigned_to=before.assigned_to or step.assignee,
        step=step.number,
        level=step.plan.level,
        next_level=step.plan.next_level,
        next_action_at=step.at + timedelta(seconds=before.timeout_seconds),
    )
    return _escalation_view(after, step.schedule, step.page_views, contacts)


async def escalation_views(
    cur: Cursor, found: Sequence[StoredEscalation], contacts: ContactResolver
) -> list[Escalation]:
    """Return escalations for the API, with their pages and the people whom the next step pages."""
    teams = {item.start.team for item in found if item.start}
    by_team = await schedules.find_parsable(cur, sorted(teams))
    by_incident = await pages.find_pages(cur, [item.incident_id for item in found])
    return [
        _escalation_view(
            item, by_team.get(item.start.team) if item.start else None, by_incident.get(item.incident_id, []), contacts
        )
        for item in found
    ]


def _escalation_view(
    item: StoredEscalation,
    schedule: StoredSchedule | None,
    item_pages: list[EscalationPage],
    contacts: ContactResolver,
) -> Escalation:
    team = item.start.team if item.start else None
    plan = None
    if team is not None and item.next_action_at is not None:
        at = item.next_action_at
        plan = plan_step(schedule, team=team, level=item.next_level, at=at, contacts=contacts)
    return Escalation(
        incident_id=item.incident_id,
        team=team,
        team_reason=item.start.team_reason if item.start else None,
        assigned_to=item.assigned_to,
        step=item.step,
        level=item.level,
        next_level=plan.level if plan else None,
        next_people=[page.person for page in plan.pages] if plan else [],
        next_action_at=item.next_action_at,
        timeout_seconds=item.timeout_seconds,
        stopped_at=item.stopped_at,
        stop_reason=item.stop_reason,
        pages=item_pages,
    )
