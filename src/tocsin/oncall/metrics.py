"""What on-call counts and measures."""

from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.channels import CHANNELS

CATCH_ALL_REASONS: Final = ("nobody_on_call", "undeliverable")


@dataclass(frozen=True, slots=True)
class OnCallMetrics:
    """The counters and gauges of oncall-service. A team is a label, because the product promises that one."""

    notifications: Counter
    escalations: Counter
    catch_all: Counter
    current: Gauge
    overdue: Gauge
    without_next_action: Gauge
    oldest_due: Gauge

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*."""
        metrics = cls(
            notifications=Counter(
                "oncall_notifications_sent_total",
                "Pages that notification-service took over.",
                ["channel"],
                registry=registry,
            ),
            escalations=Counter(
                "escalations_total", "Steps beyond an incident's first one.", ["team"], registry=registry
            ),
            catch_all=Counter(
                "tocsin_oncall_catch_all_pages_total",
                "Pages to the catch-all contact: nobody was on call, or nobody could be reached.",
                ["reason"],
                registry=registry,
            ),
            current=Gauge(
                "oncall_current", "1 for whoever is paged first at the moment.", ["team", "person"], registry=registry
            ),
            overdue=Gauge("tocsin_oncall_overdue_steps", "Escalation steps that are due.", registry=registry),
            without_next_action=Gauge(
                "tocsin_oncall_incidents_without_next_action",
                "Running escalations without a time for their next step. Must be 0.",
                registry=registry,
            ),
            oldest_due=Gauge(
                "tocsin_oncall_due_oldest_seconds", "For how long the oldest step has been due.", registry=registry
            ),
        )
        for channel in CHANNELS.names:
            metrics.notifications.labels(channel)
        for reason in CATCH_ALL_REASONS:
            metrics.catch_all.labels(reason)
        return metrics


METRICS = web.AppKey("METRICS", OnCallMetrics)
