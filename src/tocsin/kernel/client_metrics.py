"""Metrics of calls to other services."""

from dataclasses import dataclass
from typing import Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram


@dataclass(frozen=True, slots=True)
class ClientMetrics:
    """Calls to other services."""

    seconds: Histogram
    retries: Counter

    @classmethod
    def register(cls, registry: CollectorRegistry) -> Self:
        """Declare the metrics on *registry*."""
        return cls(
            Histogram(
                "tocsin_client_request_duration_seconds",
                "Duration of an attempt to call another service.",
                ["peer", "outcome"],
                registry=registry,
            ),
            Counter(
                "tocsin_client_retries_total", "Attempts that were retried.", ["peer", "reason"], registry=registry
            ),
        )


CLIENT_METRICS = web.AppKey("CLIENT_METRICS", ClientMetrics)
