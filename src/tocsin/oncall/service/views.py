"""What callers are shown of schedules and escalations."""

from collections.abc import Sequence

from tocsin.contracts.oncall import Escalation, EscalationPage, Member, PersonOnCall, Schedule, Shift
from tocsin.kernel.db import Cursor
from tocsin.oncall.domain import Reach, StoredEscalation, StoredSchedule, Turn, handoff_of, plan_step
from tocsin.oncall.repository import pages, schedules


def schedule_view(stored: StoredSchedule) -> Schedule:
    """Show a schedule; posted again under another team's name, what is shown makes the same turns."""
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
    )


def person_view(member: Member | None) -> PersonOnCall | None:
    """Show who is on call, without the ways to reach them."""
    return PersonOnCall(name=member.name, email=member.email) if member else None


def shift_view(team: str, turn: Turn) -> Shift:
    """Show a turn."""
    return Shift(
        team=team,
        primary=person_view(turn.primary),
        secondary=person_view(turn.secondary),
        starts_at=turn.starts_at,
        ends_at=turn.ends_at,
    )


async def escalation_views(cur: Cursor, found: Sequence[StoredEscalation], reach: Reach) -> list[Escalation]:
    """Show escalations with their pages and whom the next step will page, as things stand."""
    teams = {item.start.team for item in found if item.start}
    by_team = await schedules.find_readable(cur, sorted(teams))
    by_incident = await pages.find_pages(cur, [item.incident_id for item in found])
    return [_view(item, by_team, by_incident.get(item.incident_id, []), reach) for item in found]


def _view(
    item: StoredEscalation, by_team: dict[str, StoredSchedule], shown: list[EscalationPage], reach: Reach
) -> Escalation:
    team = item.start.team if item.start else None
    step = None
    if team is not None and item.next_action_at is not None:
        step = plan_step(by_team.get(team), team=team, level=item.next_level, at=item.next_action_at, reach=reach)
    return Escalation(
        incident_id=item.incident_id,
        team=team,
        team_reason=item.start.team_reason if item.start else None,
        assigned_to=item.assigned_to,
        step=item.step,
        level=item.level,
        next_level=step.level if step else None,
        next_people=[page.person for page in step.pages] if step else [],
        next_action_at=item.next_action_at,
        timeout_seconds=item.timeout_seconds,
        stopped_at=item.stopped_at,
        stop_reason=item.stop_reason,
        pages=shown,
    )
