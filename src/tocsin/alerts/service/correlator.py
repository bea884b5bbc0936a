"""Calls to incident management: send the state of alerts, and link them to the incidents in the response."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from tocsin.alerts.domain import StoredAlert
from tocsin.alerts.metrics import RESULT_OF, AlertMetrics
from tocsin.alerts.repository import forwarding
from tocsin.clients.incidents import IncidentsClient
from tocsin.contracts.incidents import AlertState, CorrelateAlerts, Correlation
from tocsin.kernel import clock
from tocsin.kernel.db import Database, autocommit
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.http_client import Budget
from tocsin.kernel.ids import new_id
from tocsin.kernel.tracing import TRACING

FORWARD: Final = Failpoint("alerts.forward")
LINK: Final = Failpoint("alerts.link")
FAILURE_THRESHOLD: Final = 3
"""Consecutive failures that open the circuit breaker."""
Results: TypeAlias = dict[UUID, tuple[StoredAlert, Correlation]]
"""By alert."""


@dataclass(slots=True)
class CircuitBreaker:
    """Fails fast while incident management does not respond, so that senders do not wait for it."""

    seconds: float
    """How long it stays open; after that, calls are allowed until one fails."""
    failures: int = 0
    """Consecutive failures."""
    open_until: float = 0.0
    """By the monotonic clock."""

    def allows(self) -> bool:
        """Return whether a call is allowed."""
        return clock.monotonic() >= self.open_until

    def succeeded(self) -> None:
        """Close the breaker."""
        self.failures = 0

    def failed(self) -> None:
        """Open after the third consecutive failure, and again after each further one."""
        self.failures += 1
        if self.failures >= FAILURE_THRESHOLD:
            self.open_until = clock.monotonic() + self.seconds


class Correlator:
    """Sends alerts to incident management, and links them to their incidents."""

    def __init__(self, db: Database, incidents: IncidentsClient, metrics: AlertMetrics) -> None:
        self._db = db
        self._incidents = incidents
        self._metrics = metrics

    async def forward(
        self, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str], *, seconds: float
    ) -> None:
        """Send the state of *alerts* to incident management, and link them to the incidents in its response.

        Raise UpstreamError without a response within *seconds*, RejectedError for a rejection, or
        DatabaseUnavailableError if the links cannot be written. It is safe to retry: incident management returns the
        same result for a version that it has received before.
        """
        results = await self.send(alerts, trace_contexts, seconds=seconds)
        await self.link(list(results.values()))

    async def send(
        self, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str], *, seconds: float
    ) -> Results:
        """Send the state of *alerts*; return the results. Raise UpstreamError, RejectedError.

        *trace_contexts* has the trace context of each alert's request: the call's span continues the first trace and
        links the others.
        """
        traced = [trace_contexts[alert.id] for alert in alerts if alert.id in trace_contexts] if trace_contexts else []
        if not traced:
            return await self._post(alerts, trace_contexts, seconds)
        first, *others = traced
        with TRACING.span("forward alerts", parent=first, links=others, tocsin__alerts=len(alerts)):
            return await self._post(alerts, trace_contexts, seconds)

    async def _post(self, alerts: Sequence[StoredAlert], trace_contexts: Mapping[UUID, str], seconds: float) -> Results:
        states = [_state(alert, trace_contexts.get(alert.id)) for alert in alerts]
        batch = CorrelateAlerts.model_construct(alerts=states)
        budget = Budget(attempts=1, seconds=seconds, attempt_seconds=seconds)
        self._metrics.forwarded.inc(len(alerts))
        with self._metrics.stage.labels("forward").time():
            async with FORWARD():
                response = await self._incidents.correlate(batch, idempotency_key=str(new_id()), budget=budget)
        sent = {alert.id: alert for alert in alerts}
        return {
            result.alert_id: (sent[result.alert_id], result) for result in response.results if result.alert_id in sent
        }

    async def link(self, results: Sequence[tuple[StoredAlert, Correlation]]) -> None:
        """Link alerts to their incidents. Raise DatabaseUnavailableError."""
        with self._metrics.stage.labels("link").time():
            async with LINK(), autocommit(self._db) as cur:
                await forwarding.link_alerts(cur, results)
        for alert, correlation in results:
            result = RESULT_OF.get(correlation.action)
            if result is not None and alert.incident_id != correlation.incident_id:
                self._metrics.correlated.labels(result).inc()


def _state(alert: StoredAlert, trace_context: str | None) -> AlertState:
    return AlertState.model_construct(
        alert_id=alert.id,
        version=alert.version,
        status=alert.status,
        service=alert.service,
        severity=alert.severity,
        message=alert.message,
        labels=alert.labels,
        source=alert.source,
        dedup_key=alert.dedup_key,
        occurrences=alert.occurrences,
        remark=alert.remark,
        fired_at=alert.fired_at,
        last_seen_at=alert.last_seen_at,
        trace_context=trace_context,
    )
