"""What ingestion measures."""

from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tocsin.contracts.alerts import AlertAction
from tocsin.contracts.model import Severity
from tocsin.kernel.middlewares import BUCKETS

BATCH_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
STAGES: Final = ("commit", "tell", "link")
RESULT_OF: Final = {AlertAction.NEW_INCIDENT: "new_incident", AlertAction.ATTACHED: "existing_incident"}


@dataclass(frozen=True, slots=True)
class AlertMetrics:
    """Alerts in, alerts told, and what waits."""

    waiting: Gauge
    received: Counter
    correlated: Counter
    processing: Histogram
    batch: Histogram
    stage: Histogram
    refused: Counter
    untold: Gauge
    oldest_untold: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*, each label value at zero."""
        metrics = cls(
            waiting=Gauge(
                "tocsin_alerts_waiting_requests", "Requests that wait for the next commit.", registry=registry
            ),
            received=Counter(
                "alerts_received_total", "Alerts accepted, repeats included.", ["severity"], registry=registry
            ),
            correlated=Counter(
                "alerts_correlated_total", "Alerts that found their incident.", ["result"], registry=registry
            ),
            processing=Histogram(
                "alert_processing_seconds",
                "From an alert's arrival to its answer.",
                buckets=BUCKETS,
                registry=registry,
            ),
            batch=Histogram(
                "tocsin_alerts_batch_size", "Alerts in one commit.", buckets=BATCH_BUCKETS, registry=registry
            ),
            stage=Histogram(
                "tocsin_alerts_batch_duration_seconds",
                "How long a batch took in each of its stages.",
                ["stage"],
                buckets=BUCKETS,
                registry=registry,
            ),
            refused=Counter(
                "tocsin_alerts_refused_total", "Alerts that incident management refuses for good.", registry=registry
            ),
            untold=Gauge(
                "tocsin_alerts_uncorrelated", "Alerts that incident management does not know yet.", registry=registry
            ),
            oldest_untold=Gauge(
                "tocsin_alerts_uncorrelated_oldest_seconds",
                "For how long the oldest of them waits.",
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


METRICS = web.AppKey("METRICS", AlertMetrics)
