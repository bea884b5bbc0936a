"""Objects of a made-up company, from which tests and pictures build their data."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.fakes.schedules import made_of
from tocsin.contracts.alerts import Alert, AlertAction, AlertStatus
from tocsin.contracts.boards import DailyTimes
from tocsin.contracts.escalations import Escalation, EscalationPage, Level
from tocsin.contracts.incidents import (
    Durations,
    EventType,
    Incident,
    IncidentAlert,
    IncidentStatus,
    TimelineEntry,
)
from tocsin.contracts.model import Severity
from tocsin.contracts.notifications import (
    Attempt,
    AttemptOutcome,
    Notification,
    NotificationKind,
    NotificationStatus,
)
from tocsin.contracts.oncall import Member, OnCall, PersonOnCall, Role, RotationType, Schedule, ScheduleIn
from tocsin.contracts.people import Membership, Person, TeamRole
from tocsin.kernel.ids import new_id

NOTHING: Final = Durations(count=0, mean_seconds=None, median_seconds=None, p95_seconds=None)


def ago(**given: float) -> datetime:
    return datetime.now(UTC) - timedelta(**given)


def email(name: str) -> str:
    return f"{name.split(maxsplit=1)[0].lower()}@halyard.example"


def person(name: str, *teams: str) -> Person:
    """A person who belongs to *teams*."""
    memberships = [Membership(team_id=new_id(), team=team, role=TeamRole.MEMBER) for team in teams]
    return Person(id=new_id(), name=name, email=email(name), version=1, created_at=ago(days=1), teams=memberships)


def incident(number: int, title: str, **given: Any) -> Incident:
    """An open incident, by default one minute and 48 seconds old."""
    created = given.pop("created_at", ago(seconds=108))
    values: dict[str, Any] = {
        "id": new_id(),
        "number": number,
        "title": title,
        "description": None,
        "service": "checkout-api",
        "severity": Severity.CRITICAL,
        "status": IncidentStatus.OPEN,
        "team": "Payments",
        "assigned_to": "Priya Raman",
        "alert_count": 0,
        "firing_count": 0,
        "version": 1,
        "created_at": created,
        "updated_at": created,
        "acknowledged_at": None,
        "resolved_at": None,
        "mtta_seconds": None,
        "mttr_seconds": None,
        "alerts": [],
        "alerts_total": 0,
        "notes": [],
        "timeline": [],
        "timeline_cursor": None,
    }
    return Incident(**values | given)


def working(number: int, title: str, status: IncidentStatus, age: timedelta, **given: Any) -> Incident:
    created = datetime.now(UTC) - age
    acknowledged = created + timedelta(seconds=65)
    answered = {"acknowledged_at": acknowledged, "mtta_seconds": 65.0, "created_at": created}
    return incident(number, title, status=status, **answered, **given)


def resolved(number: int, title: str, took: timedelta, **given: Any) -> Incident:
    ended = ago(hours=2, minutes=number % 10)
    started = ended - took
    seconds = took.total_seconds()
    return incident(
        number,
        title,
        status=IncidentStatus.RESOLVED,
        created_at=started,
        acknowledged_at=started + timedelta(seconds=65),
        resolved_at=ended,
        mtta_seconds=65.0,
        mttr_seconds=seconds,
        **given,
    )


def attached(message: str, occurrences: int, seconds: float, **labels: str) -> IncidentAlert:
    fired = labels.pop("state", "firing")
    return IncidentAlert(
        alert_id=new_id(),
        service="checkout-api",
        severity=Severity.CRITICAL,
        message=message,
        status=AlertStatus(fired),
        source=labels.pop("source", "Alertmanager"),
        labels=labels,
        dedup_key=None,
        occurrences=occurrences,
        attached_at=ago(seconds=108),
        last_seen_at=ago(seconds=seconds),
        resolved_at=None,
    )


def entry(event_type: EventType, actor: str, detail: str, seconds: float, **data: Any) -> TimelineEntry:
    return TimelineEntry(
        id=new_id(), event_type=event_type, actor=actor, detail=detail, data=data, created_at=ago(seconds=seconds)
    )


def escalation(of: Incident, *, paged: dict[str, float], following: list[str], seconds: float) -> Escalation:
    """An escalation that has *paged* (person, seconds ago) step by step, and pages *following* in some *seconds*."""
    pages = [
        EscalationPage(
            notification_id=new_id(),
            step=step,
            level=list(Level)[step - 1],
            person=person,
            channel="email",
            reason="level 1, primary for Payments (weekly rotation, week 43)",
            created_at=ago(seconds=since),
            voided_at=None,
            failed_at=None,
            failure=None,
        )
        for step, (person, since) in enumerate(paged.items(), 1)
    ]
    return Escalation(
        incident_id=of.id,
        team=of.team,
        team_reason="owns checkout-api",
        assigned_to=next(iter(paged), None),
        step=len(paged),
        level=list(Level)[max(len(paged) - 1, 0)],
        next_level=Level.SECONDARY if len(following) == 1 else Level.EVERYONE,
        next_people=following,
        next_action_at=datetime.now(UTC) + timedelta(seconds=seconds),
        timeout_seconds=300,
        stopped_at=None,
        stop_reason=None,
        pages=pages,
    )


def message(of: Incident, page: EscalationPage, status: NotificationStatus, **given: Any) -> Notification:
    values: dict[str, Any] = {
        "id": page.notification_id,
        "incident_id": of.id,
        "kind": NotificationKind.PAGE,
        "channel": page.channel,
        "recipient": email(page.person),
        "person": page.person,
        "message": of.title,
        "status": status,
        "reason": None,
        "attempts": [
            Attempt(
                number=1,
                outcome=AttemptOutcome.SENT,
                code=250,
                answer="queued",
                started_at=page.created_at,
                seconds=0.8,
            )
        ],
        "next_attempt_at": None,
        "created_at": page.created_at,
        "finished_at": page.created_at + timedelta(seconds=0.8),
    }
    return Notification(**values | given)


def on_call(team: str, primary: str | None, secondary: str | None) -> OnCall:
    def person(name: str | None) -> PersonOnCall | None:
        return PersonOnCall(name=name, email=email(name)) if name else None

    now = datetime.now(UTC)
    until = now.replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=3)
    return OnCall(team=team, primary=person(primary), secondary=person(secondary), at=now, until=until, time_zone="UTC")


def schedule(team: str, *people: str, zone: str = "Europe/Berlin") -> Schedule:
    """A weekly schedule from Monday 09:00 on; every second of *people* is a secondary, the first two are on call."""
    monday = datetime.now(ZoneInfo(zone)) - timedelta(hours=9)
    start = (monday - timedelta(days=monday.weekday())).date()
    roles = [Role.PRIMARY, Role.SECONDARY]
    members = [
        Member(name=name, email=email(name), role=roles[number % 2])
        for number, name in enumerate(people or ("Priya Raman",))
    ]
    given = ScheduleIn(
        team=team,
        rotation_type=RotationType.WEEKLY,
        members=members,
        time_zone=zone,
        handoff_time=time(9),
        start=start,
    )
    return made_of(given)


def alert(seconds: float, **given: Any) -> Alert:
    values: dict[str, Any] = {
        "id": new_id(),
        "service": "checkout-api",
        "severity": Severity.CRITICAL,
        "message": "HighErrorRate",
        "status": AlertStatus.FIRING,
        "labels": {},
        "links": [],
        "source": "Alertmanager",
        "integration": "alertmanager",
        "dedup_key": None,
        "fingerprint": "0" * 64,
        "occurrences": 1,
        "incident_id": None,
        "action": AlertAction.NEW_INCIDENT,
        "remark": None,
        "fired_at": None,
        "created_at": ago(seconds=seconds),
        "last_seen_at": ago(seconds=seconds),
        "resolved_at": None,
    }
    return Alert(**values | given)


def took(count: int, mean: float) -> Durations:
    return Durations(count=count, mean_seconds=mean, median_seconds=mean, p95_seconds=mean)


def daily_times(mtta: list[float | None], mttr: list[float | None]) -> list[DailyTimes]:
    """Times of as many days as are given, the last of them today; one incident a day."""
    today = datetime.now(UTC).date()
    return [
        DailyTimes(
            day=today - timedelta(days=len(mtta) - 1 - index),
            acknowledged=int(answered is not None),
            mtta_seconds=answered,
            resolved=int(repaired is not None),
            mttr_seconds=repaired,
        )
        for index, (answered, repaired) in enumerate(zip(mtta, mttr, strict=True))
    ]
