"""The metrics of notification-service. Messages and attempts are counted separately."""

from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tocsin.channels import CHANNELS
from tocsin.contracts.notifications import AttemptOutcome, NotificationStatus

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True, slots=True)
class NotificationMetrics:
    """Counts of messages and attempts, delivery time, and the state of the queue."""

    finished: Counter
    attempts: Counter
    fenced: Counter
    state_requests: Counter
    seconds: Histogram
    queued: Gauge
    oldest: Gauge
    dead: Gauge
    deleted: Counter

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*, every label value at zero."""
        metrics = cls(
            Counter(
                "notifications_sent_total", "Finished messages by status.", ["channel", "status"], registry=registry
            ),
            Counter(
                "tocsin_notifications_attempts_total", "Attempts to send.", ["channel", "outcome"], registry=registry
            ),
            Counter(
                "tocsin_notifications_fenced_total",
                "Attempts whose outcome was discarded: their lease had expired, and another attempt had begun.",
                registry=registry,
            ),
            Counter(
                "tocsin_notifications_state_requests_total",
                "Requests to incident-management for the states of incidents, before pages are sent.",
                ["outcome"],
                registry=registry,
            ),
            Histogram(
                "tocsin_notifications_delivery_seconds",
                "Time from a message's acceptance or redelivery until the provider accepted it.",
                ["channel"],
                buckets=BUCKETS,
                registry=registry,
            ),
            Gauge("tocsin_notifications_queue_depth", "Unfinished messages.", ["channel"], registry=registry),
            Gauge(
                "tocsin_notifications_queue_oldest_seconds", "Age of the oldest unfinished message.", registry=registry
            ),
            Gauge(
                "tocsin_notifications_dead_letters",
                "Failed messages that were not redelivered.",
                ["channel"],
                registry=registry,
            ),
            Counter(
                "tocsin_retention_deleted_rows_total",
                "Rows deleted one by one because they were past the retention.",
                ["table"],
                registry=registry,
            ),
        )
        metrics._create_labels()
        return metrics

    def _create_labels(self) -> None:
        self.deleted.labels("notification")
        for channel in CHANNELS.names:
            for status in (NotificationStatus.SENT, NotificationStatus.FAILED, NotificationStatus.CANCELLED):
                self.finished.labels(channel, status)
            for outcome in AttemptOutcome:
                self.attempts.labels(channel, outcome)
            self.seconds.labels(channel)
            self.queued.labels(channel)
            self.dead.labels(channel)
        for result in ("ok", "error"):
            self.state_requests.labels(result)
