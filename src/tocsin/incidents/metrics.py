"""The metrics of incident management."""

from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.states import StateTransition

MINUTE, HOUR = 60.0, 3600.0
GROUP: Final = ("service", "team", "severity")
"""Labels of incidents. Only the busiest services have their own values; the others are `other`."""
BUCKETS: Final = (
    5.0,
    10.0,
    30.0,
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
    """Counts and sums over the incidents of the last 24 hours: a query can compute the mean of any selection."""

    incidents: Gauge
    alerts: Gauge
    acknowledged: Gauge
    acknowledgement_seconds: Gauge
    resolved: Gauge
    resolution_seconds: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Register the metrics."""

        def gauge(name: str, figure: str) -> Gauge:
            text = f"Incidents opened in the last 24 hours: {figure}."
            return Gauge(f"tocsin_incidents_last_day_{name}", text, GROUP, registry=registry)

        return cls(
            gauge("incidents", "number"),
            gauge("alerts", "number of their alerts"),
            gauge("acknowledged_incidents", "number acknowledged"),
            gauge("acknowledgement_seconds", "sum of the times to acknowledge"),
            gauge("resolved_incidents", "number resolved"),
            gauge("resolution_seconds", "sum of the times to resolve"),
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
        """Register the metrics, with every known label value at zero."""
        metrics = cls(
            Gauge("incidents_total", "Incidents by status.", ["status"], registry=registry),
            Counter(
                "incidents_created_total", "Incidents opened, by hand or by alerts.", ["severity"], registry=registry
            ),
            Histogram(
                "incident_mtta_seconds",
                "Time from an incident's creation to its acknowledgement.",
                buckets=BUCKETS,
                registry=registry,
            ),
            Histogram(
                "incident_mttr_seconds",
                "Time from an incident's creation to its resolution.",
                buckets=BUCKETS,
                registry=registry,
            ),
            Gauge(
                "tocsin_incidents_unresolved_incidents",
                "Unresolved incidents by severity.",
                ["severity"],
                registry=registry,
            ),
            Gauge(
                "tocsin_incidents_service_unresolved_incidents",
                "Unresolved incidents by service, for the services with most of them; `other` is the rest.",
                GROUP,
                registry=registry,
            ),
            LastDay.register(registry),
            Gauge(
                "tocsin_incidents_unescalated_incidents",
                "Unacknowledged incidents without a running or queued escalation. Must be zero.",
                registry=registry,
            ),
            Gauge("tocsin_incidents_stream_clients", "Clients connected to the stream.", registry=registry),
        )
        for status in IncidentStatus:
            metrics.incidents.labels(status)
        for severity in Severity:
            metrics.created.labels(severity)
            metrics.unresolved_by_severity.labels(severity)
        return metrics

    def observe(self, transition: StateTransition) -> None:
        """Observe the MTTA and MTTR of a transition."""
        if transition.mtta_seconds is not None:
            self.mtta.observe(transition.mtta_seconds)
        if transition.mttr_seconds is not None:
            self.mttr.observe(transition.mttr_seconds)


METRICS = web.AppKey("METRICS", IncidentMetrics)
