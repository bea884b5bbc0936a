"""Metrics of alert-ingestion."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tocsin.contracts.alerts import AlertAction
from tocsin.contracts.model import Severity
from tocsin.integrations import INTEGRATIONS
from tocsin.kernel.middlewares import BUCKETS

BATCH_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
PARTITIONED: Final = ("alerts.request", "alerts.alert", "alerts.correlation", "alerts.occurrence")
"""Tables whose partitions are counted."""
STAGES: Final = ("commit", "forward", "link")
OUTCOMES: Final = ("accepted", "refused")
RESULT_OF: Final = {AlertAction.NEW_INCIDENT: "new_incident", AlertAction.ATTACHED: "existing_incident"}


@dataclass(frozen=True, slots=True)
class AlertMetrics:
    """Counts of requests and alerts, the sizes and durations of batches, and the backlog."""

    requests: Mapping[tuple[str, str], Counter]
    """By integration and outcome: a lookup by labels costs more than counting."""
    pending: Gauge
    received: Counter
    correlated: Counter
    processing: Histogram
    batch: Histogram
    stage: Histogram
    forwarded: Counter
    refused: Counter
    unforwarded: Gauge
    oldest_unforwarded: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*, each label value at zero."""
        requests = Counter(
            "tocsin_alerts_requests_total",
            "Requests from senders, by integration.",
            ["integration", "outcome"],
            registry=registry,
        )
        metrics = cls(
            requests={labels: requests.labels(*labels) for labels in product(INTEGRATIONS, OUTCOMES)},
            pending=Gauge(
                "tocsin_alerts_waiting_requests", "Requests that wait for the next commit.", registry=registry
            ),
            received=Counter(
                "alerts_received_total", "Alerts accepted, repeats included.", ["severity"], registry=registry
            ),
            correlated=Counter(
                "alerts_correlated_total", "Alerts that opened or joined an incident.", ["result"], registry=registry
            ),
            processing=Histogram(
                "alert_processing_seconds",
                "Time from an alert's arrival to the response.",
                buckets=BUCKETS,
                registry=registry,
            ),
            batch=Histogram(
                "tocsin_alerts_batch_size", "Alerts in one commit.", buckets=BATCH_BUCKETS, registry=registry
            ),
            stage=Histogram(
                "tocsin_alerts_batch_duration_seconds",
                "Duration of each stage of a batch.",
                ["stage"],
                buckets=BUCKETS,
                registry=registry,
            ),
            forwarded=Counter(
                "tocsin_alerts_forwarded_total",
                "Alerts sent to incident management; an alert whose call failed is sent again.",
                registry=registry,
            ),
            refused=Counter(
                "tocsin_alerts_refused_total", "Alerts that incident management rejected.", registry=registry
            ),
            unforwarded=Gauge(
                "tocsin_alerts_uncorrelated",
                "Alerts that are not forwarded to incident management yet.",
                registry=registry,
            ),
            oldest_unforwarded=Gauge(
                "tocsin_alerts_uncorrelated_oldest_seconds",
                "Age of the oldest alert that is not forwarded yet.",
                registry=registry,
            ),
        )
        for severity in Severity:
            metrics.received.labels(severity)
        for result in RESULT_OF.values():
            metrics.correlated.labels(result)
        for stage in STAGES:
            metrics.stage.labels(stage)
        return metrics
