"""The demo data. Removal finds it by these names, so nothing else may use them."""

from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from tocsin.channels import console
from tocsin.contracts.alerts import AlertIn, Link
from tocsin.contracts.incidents import ChangeIncident, IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.contracts.oncall import Contact, Member, Role, RotationType, ScheduleIn, Weekday

EMAIL_DOMAIN: Final = "demo.example"
KEY_PREFIX: Final = "tocsin-demo:"
"""The prefix of each Idempotency-Key."""
ACTOR: Final = "Demo"


@dataclass(frozen=True, slots=True)
class DemoIncident:
    """One incident: the alerts that open it, and the changes that people then make."""

    alerts: tuple[AlertIn, ...]
    changes: tuple[ChangeIncident, ...] = ()
    opened_ago: timedelta = timedelta()
    acknowledged_after: timedelta = timedelta()
    resolved_after: timedelta = timedelta()

    @property
    def service(self) -> str:
        """The affected service; no other demo incident has it."""
        return self.alerts[0].service


@dataclass(frozen=True, slots=True)
class PastIncident:
    """A resolved incident, for MTTA and MTTR of the last two weeks."""

    days_ago: int
    hour: int
    service: str
    severity: Severity
    title: str
    ack_minutes: float
    resolve_minutes: float

    @property
    def id(self) -> UUID:
        """The same id at every start, so that the incident is added once."""
        return self.derived_id("incident")

    def derived_id(self, what: str) -> UUID:
        """Return the id of a row that belongs to it."""
        return uuid5(NAMESPACE_URL, f"{KEY_PREFIX}{self.days_ago}:{self.service}:{what}")


def _member(name: str, role: Role) -> Member:
    handle = name.split(maxsplit=1)[0].lower()
    # Explicitly the console: these people get no e-mail even if a mail server is configured.
    contact = Contact(channel=console.CHANNEL.name, address=handle)
    return Member(name=name, email=f"{handle}@{EMAIL_DOMAIN}", role=role, contacts=[contact])


def _alert(service: str, severity: Severity, message: str, **labels: str) -> AlertIn:
    return AlertIn(
        service=service,
        severity=severity,
        message=message,
        labels={"demo": "true", **labels},
        source="Demo",
        dedup_key=f"{KEY_PREFIX}{service}:{labels.get('alert', 'main')}",
        links=[Link(href=f"https://demo.example/runbooks/{service}", text="Runbook (Demo)")],
    )


TEAMS: Final = (
    ScheduleIn(
        team="Demo Payments",
        rotation_type=RotationType.WEEKLY,
        members=[
            _member("Ada Demo", Role.PRIMARY),
            _member("Bilal Demo", Role.PRIMARY),
            _member("Chiara Demo", Role.PRIMARY),
            _member("Dmitri Demo", Role.SECONDARY),
            _member("Esi Demo", Role.SECONDARY),
        ],
        # The service of the README's first alert, so that it pages someone.
        services=["checkout", "demo-checkout", "demo-billing"],
        time_zone="Europe/Berlin",
        handoff_time=time(9, 0),
        handoff_weekday=Weekday.MONDAY,
    ),
    ScheduleIn(
        team="Demo Platform",
        rotation_type=RotationType.DAILY,
        members=[
            _member("Farah Demo", Role.PRIMARY),
            _member("Goran Demo", Role.PRIMARY),
            _member("Hanna Demo", Role.SECONDARY),
        ],
        services=["demo-search", "demo-storage"],
        time_zone="America/New_York",
        handoff_time=time(10, 0),
        start=date(2026, 1, 1),
    ),
)
TEAM_NAMES: Final = tuple(schedule.team for schedule in TEAMS)
PEOPLE: Final = tuple(member.name for schedule in TEAMS for member in schedule.members)

DEMO_INCIDENTS: Final = (
    DemoIncident(  # resolved
        alerts=(_alert("demo-billing", Severity.LOW, "Demo: invoices of last night are 20 min late"),),
        opened_ago=timedelta(hours=4, minutes=10),
        acknowledged_after=timedelta(minutes=3, seconds=25),
        resolved_after=timedelta(minutes=41),
        changes=(
            ChangeIncident(status=IncidentStatus.ACKNOWLEDGED, actor="Ada Demo"),
            ChangeIncident(
                status=IncidentStatus.RESOLVED, actor="Ada Demo", notes="The queue was stuck behind one bad invoice."
            ),
        ),
    ),
    DemoIncident(  # in progress
        alerts=(_alert("demo-storage", Severity.MEDIUM, "Demo: disk of storage-2 is 91 % full", host="storage-2"),),
        opened_ago=timedelta(minutes=95),
        acknowledged_after=timedelta(minutes=4, seconds=40),
        changes=(
            ChangeIncident(
                status=IncidentStatus.IN_PROGRESS, actor="Farah Demo", notes="Old snapshots are being deleted."
            ),
        ),
    ),
    DemoIncident(  # acknowledged
        alerts=(_alert("demo-search", Severity.HIGH, "Demo: search takes 3 s (p95)", region="eu-west"),),
        opened_ago=timedelta(minutes=26),
        acknowledged_after=timedelta(minutes=2, seconds=10),
        changes=(ChangeIncident(status=IncidentStatus.ACKNOWLEDGED, actor="Goran Demo"),),
    ),
    DemoIncident(  # open, its page just sent
        alerts=(
            _alert("demo-checkout", Severity.CRITICAL, "Demo: 4 in 10 payments time out", region="eu-west"),
            _alert("demo-checkout", Severity.CRITICAL, "Demo: no payment in region us-east for 2 min", alert="us-east"),
        ),
    ),
)

HISTORY: Final = (
    PastIncident(13, 3, "demo-search", Severity.HIGH, "Demo: index is 40 min behind", 6.5, 74),
    PastIncident(12, 14, "demo-checkout", Severity.CRITICAL, "Demo: card provider refuses connections", 1.8, 31),
    PastIncident(10, 9, "demo-storage", Severity.MEDIUM, "Demo: backup of storage-1 failed", 12, 190),
    PastIncident(9, 22, "demo-billing", Severity.MEDIUM, "Demo: ledger export stalled", 9.2, 48),
    PastIncident(7, 1, "demo-checkout", Severity.HIGH, "Demo: basket loses items", 4.1, 95),
    PastIncident(6, 17, "demo-search", Severity.LOW, "Demo: synonyms not reloaded", 25, 130),
    PastIncident(4, 11, "demo-storage", Severity.CRITICAL, "Demo: storage-3 is read-only", 2.4, 57),
    PastIncident(3, 5, "demo-checkout", Severity.CRITICAL, "Demo: certificate of payments expired", 1.1, 18),
    PastIncident(2, 20, "demo-billing", Severity.HIGH, "Demo: VAT service returns 500", 5.6, 42),
    PastIncident(1, 13, "demo-search", Severity.MEDIUM, "Demo: one shard without replica", 7.3, 66),
)

SERVICES: Final = tuple(sorted({demo.service for demo in DEMO_INCIDENTS} | {past.service for past in HISTORY}))
