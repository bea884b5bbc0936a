"""Metrics of oncall-service."""

from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from tocsin.channels import CHANNELS

CATCH_ALL_REASONS: Final = ("nobody_on_call", "undeliverable")


@dataclass(frozen=True, slots=True)
class OnCallMetrics:
    """Counters and gauges. The label `team` is part of the documented names; teams are few."""

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
                "Pages accepted by notification-service.",
                ["channel"],
                registry=registry,
            ),
            escalations=Counter(
                "escalations_total", "Escalation steps after the first one of an incident.", ["team"], registry=registry
            ),
            catch_all=Counter(
                "tocsin_oncall_catch_all_pages_total",
                "Pages to the catch-all contact: nobody was on call, or no page could be delivered.",
                ["reason"],
                registry=registry,
            ),
            current=Gauge(
                "oncall_current",
                "1 for the person currently paged first.",
                ["team", "person"],
                registry=registry,
            ),
            overdue=Gauge("tocsin_oncall_overdue_steps", "Escalation steps that are overdue.", registry=registry),
            without_next_action=Gauge(
                "tocsin_oncall_incidents_without_next_action",
                "Running escalations without a next action. Must be 0.",
                registry=registry,
            ),
            oldest_due=Gauge("tocsin_oncall_due_oldest_seconds", "Age of the oldest overdue step.", registry=registry),
        )
        for channel in CHANNELS.names:
            metrics.notifications.labels(channel)
        for reason in CATCH_ALL_REASONS:
            metrics.catch_all.labels(reason)
        return metrics


METRICS = web.AppKey("METRICS", OnCallMetrics)
