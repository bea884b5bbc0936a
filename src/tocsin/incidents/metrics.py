"""What incident management counts and measures."""

from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.states import Step

MINUTE, HOUR = 60.0, 3600.0
GROUP: Final = ("service", "team", "severity")
"""What incidents are told apart by. Bounded by whoever counts them: the busiest services, and `other`."""
BUCKETS: Final = (
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    12 * HOUR,
    24 * HOUR,
)


@dataclass(frozen=True, slots=True)
class LastDay:
    """The incidents of the last 24 hours, as they are now: sums and counts, so that any selection has a mean."""

    incidents: Gauge
    alerts: Gauge
    acknowledged: Gauge
    acknowledgement_seconds: Gauge
    resolved: Gauge
    resolution_seconds: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*."""

        def gauge(name: str, what: str) -> Gauge:
            text = f"Of the incidents opened in the last 24 hours: {what}."
            return Gauge(f"tocsin_incidents_last_day_{name}", text, GROUP, registry=registry)

        return cls(
            gauge("incidents", "how many there are"),
            gauge("alerts", "how many alerts they have"),
            gauge("acknowledged_incidents", "how many were acknowledged"),
            gauge("acknowledgement_seconds", "how long those took to be acknowledged, all together"),
            gauge("resolved_incidents", "how many were resolved"),
            gauge("resolution_seconds", "how long those took to be resolved, all together"),
        )


@dataclass(frozen=True, slots=True)
class IncidentMetrics:
    """The service's own metrics."""

    incidents: Gauge
    created: Counter
    mtta: Histogram
    mttr: Histogram
    unresolved_by_severity: Gauge
    unresolved_by_service: Gauge
    last_day: LastDay
    unescalated: Gauge
    stream_clients: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*, every known label at zero."""
        metrics = cls(
            Gauge("incidents_total", "Incidents there are now.", ["status"], registry=registry),
            Counter(
                "incidents_created_total", "Incidents opened, by hand or by alerts.", ["severity"], registry=registry
            ),
            Histogram(
                "incident_mtta_seconds",
                "From an incident's creation to its acknowledgement.",
                buckets=BUCKETS,
                registry=registry,
            ),
            Histogram(
                "incident_mttr_seconds",
                "From an incident's creation to its resolution.",
                buckets=BUCKETS,
                registry=registry,
            ),
            Gauge(
                "tocsin_incidents_unresolved_incidents",
                "Incidents that are not resolved, by severity.",
                ["severity"],
                registry=registry,
            ),
            Gauge(
                "tocsin_incidents_service_unresolved_incidents",
                "Incidents that are not resolved, of the services that have most; `other` has the rest.",
                GROUP,
                registry=registry,
            ),
            LastDay.register(registry),
            Gauge(
                "tocsin_incidents_unescalated_incidents",
                "Unacknowledged incidents for which no paging is confirmed and none is on its way. Must be zero.",
                registry=registry,
            ),
            Gauge("tocsin_incidents_stream_clients", "Clients that follow the stream.", registry=registry),
        )
        for status in IncidentStatus:
            metrics.incidents.labels(status)
        for severity in Severity:
            metrics.created.labels(severity)
            metrics.unresolved_by_severity.labels(severity)
        return metrics

    def observe(self, step: Step) -> None:
        """Measure what a change of state ended."""
        if step.mtta_seconds is not None:
            self.mtta.observe(step.mtta_seconds)
        if step.mttr_seconds is not None:
            self.mttr.observe(step.mttr_seconds)


METRICS = web.AppKey("METRICS", IncidentMetrics)
