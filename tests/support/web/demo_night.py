"""A night at a made-up company, in fake services: two incidents unacknowledged, three worked on, three resolved."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.fakes.lists import FakeAlerts, FakeMessages
from tests.fakes.pages import FakeIncidents
from tests.fakes.schedules import FakeSchedules
from tests.support.web import demo_data
from tests.support.web.storm import alerts_of
from tocsin.contracts.alerts import Alert, AlertAction
from tocsin.contracts.escalations import EscalationPage
from tocsin.contracts.incidents import EventType, Incident, IncidentStatus, Note
from tocsin.contracts.model import Severity
from tocsin.contracts.notifications import Attempt, AttemptOutcome, NotificationStatus
from tocsin.kernel.ids import new_id

ROTA = {
    "Payments": ("Priya Raman", "Carol Mensah", "Yusuf Demir", "Ines Ferreira"),
    "Platform": ("Tomás Rivera", "Sam Whitfield"),
    "Fulfilment": ("Dele Adeyemi", "Marta Kowalczyk", "Ann Li"),
    "Search": ("Aiko Tanabe", "Jonas Lindqvist", "Kenji Mori", "Hannah Weiss"),
}
ZONES = {"Platform": "Europe/Madrid", "Search": "Asia/Tokyo"}
MTTA = [150.0, 162, 140, 155, 130, 148, 125, 132, 110, 118, 100, 105, 88, 126]
MTTR = [2400.0, 2520, 2340, 2460, 2280, 2400, 2580, 2460, 2640, 2520, 2700, 2640, 2760, 2700]


@dataclass(slots=True)
class Services:
    """The four services, as fakes."""

    alerts: FakeAlerts = field(default_factory=FakeAlerts)
    incidents: FakeIncidents = field(default_factory=FakeIncidents)
    schedules: FakeSchedules = field(default_factory=FakeSchedules)
    messages: FakeMessages = field(default_factory=FakeMessages)

    def fill(self) -> None:
        """Store the data of that night."""
        self.be_quiet()
        self._ring_checkout()
        self._ring_carrier()
        self._work()
        self.alerts.older = [
            demo_data.alert(108, id=alert.alert_id, message=alert.message)
            for alert in self.incidents.incidents[2481].alerts
        ]
        self.alerts.alerts = [*self._storm().values(), *self._murmur()]

    def storm(self) -> dict[str, Alert]:
        """Store the data of that night with one alert of each result; return these alerts by name."""
        self.fill()
        alerts = self._storm()
        self.alerts.alerts = list(alerts.values())
        return alerts

    def _storm(self) -> dict[str, Alert]:
        return alerts_of(self.incidents.incidents[2481], self.incidents.incidents[2480])

    def _murmur(self) -> list[Alert]:
        """Return the earlier alerts: many of the carrier sync, a few of the search."""
        carrier, search = self.incidents.incidents[2480], self.incidents.incidents[2475]
        return [
            demo_data.alert(
                ago,
                message=message,
                service=of.service,
                severity=of.severity,
                incident_id=of.id,
                action=AlertAction.ATTACHED,
            )
            for of, message, seconds in (
                (carrier, "Consumer lag on topic carrier.updates above 30 min", range(112, 550, 12)),
                (search, "Index products-pt is older than its source", range(700, 10_000, 240)),
            )
            for ago in seconds
        ]

    def be_quiet(self) -> None:
        """Store resolved incidents only, and teams with people on call."""
        for team, people in ROTA.items():
            made = demo_data.schedule(team, *people, zone=ZONES.get(team, "Europe/Berlin"))
            self.schedules.schedules.append(made)
            self.schedules.on_call[team] = demo_data.on_call(team, people[0], people[1])
        self.incidents.days = demo_data.daily_times(list(MTTA), list(MTTR))
        self.alerts.alerts.append(demo_data.alert(12))
        for number, title, minutes, severity, service, person in (
            (2479, "Label printer pool offline in Leipzig", 22, Severity.HIGH, "label-printer", "Dele Adeyemi"),
            (2477, "Login latency p95 above 800 ms", 14, Severity.MEDIUM, "auth-edge", "Tomás Rivera"),
            (2476, "Disk 91 % full on warehouse-events-3", 6, Severity.LOW, "warehouse-events", "Dele Adeyemi"),
        ):
            took = timedelta(minutes=minutes)
            ended = demo_data.resolved(number, title, took, severity=severity, service=service, assigned_to=person)
            self.incidents.incidents[number] = ended

    def _ring_checkout(self) -> None:
        title = "Checkout answers 5xx for 7.4 % of requests"
        ringing = demo_data.incident(2481, title, alert_count=47, firing_count=44, alerts_total=47)
        paging = demo_data.escalation(ringing, paged={"Priya Raman": 106}, following=["Carol Mensah"], seconds=192)
        first = paging.pages[0]
        webhook = first.model_copy(update={"notification_id": new_id(), "channel": "webhook"})
        paging = paging.model_copy(update={"pages": [first, webhook]})
        self.schedules.escalations[ringing.id] = paging
        self._send(ringing, first, webhook)
        note = Note(
            id=new_id(),
            text="Two merchants called support: card payments fail after the 3-D Secure step, wallets still work.\n"
            "First call at 03:10.",
            author="Hannah Weiss",
            created_at=demo_data.ago(seconds=63),
        )
        delivered = {"notification_id": str(first.notification_id)}
        entries: list[tuple[EventType, str, str, float, dict[str, Any]]] = [
            (EventType.NOTE_ADDED, "Hannah Weiss", "Two merchants called support", 63, {"note_id": str(note.id)}),
            (EventType.SEVERITY_CHANGED, "Hannah Weiss", "Severity changed from high to critical.", 82, {}),
            (EventType.ALERT_ATTACHED, "alert-ingestion", "31 alerts attached.", 87, {}),
            (EventType.DELIVERED, "notification-service", "E-mail to Priya Raman delivered.", 105, delivered),
            (
                EventType.PAGED,
                "oncall-service",
                "Paged Priya Raman by e-mail, webhook: level 1, primary for Payments (weekly rotation, week 43)",
                106,
                {"channels": [{"notification_id": str(page.notification_id)} for page in (first, webhook)]},
            ),
            (EventType.ASSIGNED, "oncall-service", "Assigned to Priya Raman.", 107, {}),
            (EventType.CREATED, "alert-ingestion", "Opened by an alert from Alertmanager.", 108, {}),
        ]
        self.incidents.incidents[2481] = ringing.model_copy(
            update={
                "notes": [note],
                "timeline": [demo_data.entry(kind, actor, text, at, **data) for kind, actor, text, at, data in entries],
                "alerts": [
                    demo_data.attached(
                        "HighErrorRate: checkout-api answers 5xx for 7.4 % of requests",
                        28,
                        4,
                        job="checkout-api",
                        region="eu-central",
                        code="5xx",
                    ),
                    demo_data.attached(
                        "PaymentAuthTimeout: p99 of authorise at 12.1 s", 11, 9, upstream="payments-gateway"
                    ),
                    demo_data.attached(
                        "PodRestart: restarted 3 times in 5 min", 3, 51, state="resolved", source="Sentry"
                    ),
                    *(
                        demo_data.attached(f"HighErrorRate on pod {pod}", 1, 60 + pod, pod=str(pod))
                        for pod in range(44)
                    ),
                ],
            }
        )

    def _send(self, ringing: Incident, first: EscalationPage, webhook: EscalationPage) -> None:
        failing = [
            Attempt(
                number=number,
                outcome=AttemptOutcome.RETRY,
                code=503,
                answer="503 Service Unavailable",
                started_at=webhook.created_at,
                seconds=0.1,
            )
            for number in (1, 2)
        ]
        self.messages.messages += [
            demo_data.message(ringing, first, NotificationStatus.SENT),
            demo_data.message(
                ringing,
                webhook,
                NotificationStatus.QUEUED,
                attempts=failing,
                recipient="https://chat.halyard.example/hook",
                finished_at=None,
                next_attempt_at=demo_data.ago(seconds=-22),
            ),
        ]

    def _ring_carrier(self) -> None:
        ringing = demo_data.incident(
            2480,
            "Carrier sync queue is 38 minutes behind",
            severity=Severity.HIGH,
            service="carrier-sync",
            team="Fulfilment",
            assigned_to="Dele Adeyemi",
            alert_count=12,
            created_at=demo_data.ago(seconds=560),
        )
        self.incidents.incidents[2480] = ringing
        everyone = ["Dele Adeyemi", "Marta Kowalczyk", "Yusuf Demir", "Ann Li", "Bo Ek"]
        paged = {"Dele Adeyemi": 558.0, "Marta Kowalczyk": 259.0}
        paging = demo_data.escalation(ringing, paged=paged, following=everyone, seconds=40)
        self.schedules.escalations[ringing.id] = paging
        self.messages.messages += [
            demo_data.message(ringing, page, NotificationStatus.SENT) for page in reversed(paging.pages)
        ]

    def _work(self) -> None:
        for number, title, status, age, severity, service, team, person in (
            (
                2478,
                "Replica lag on ledger-db-2 above 90 s",
                IncidentStatus.ACKNOWLEDGED,
                timedelta(minutes=26),
                Severity.HIGH,
                "ledger-db",
                "Platform",
                "Tomás Rivera",
            ),
            (
                2475,
                "Search results in Portugal are stale: the indexer skips documents whose weight is null since 21:40",
                IncidentStatus.IN_PROGRESS,
                timedelta(hours=3, minutes=2),
                Severity.MEDIUM,
                "search-index",
                "Search",
                "Aiko Tanabe",
            ),
            (
                2471,
                "Certificate of labels.halyard.example ends in 13 days",
                IncidentStatus.IN_PROGRESS,
                timedelta(days=1, hours=4),
                Severity.LOW,
                "label-printer",
                "Fulfilment",
                "Jonas Lindqvist",
            ),
        ):
            self.incidents.incidents[number] = demo_data.working(
                number,
                title,
                status,
                age,
                severity=severity,
                service=service,
                team=team,
                assigned_to=person,
                alert_count=4,
            )
