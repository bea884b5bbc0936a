"""A fake of incident management over real HTTP.

It correlates by service and severity, and can be unavailable, slow or wrong.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from aiohttp import web

from tests.fakes.answers import refuse
from tests.support.ports import free_port
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import AlertsInUse, AlertState, CorrelateAlerts, Correlation, Correlations
from tocsin.kernel.ids import new_id
from tocsin.kernel.responses import respond


@dataclass
class Known:
    """A received alert."""

    incident_id: UUID
    state: AlertState
    attached_version: int
    action: AlertAction


class FakeIncidents:
    """Records the alerts that it receives."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.statuses: deque[int] = deque()
        """Status codes for the next calls, before it works normally again; 0 closes the connection."""
        self.refuses: Callable[[AlertState], bool] = lambda _: False
        """A batch with such an alert gets a 422."""
        self.holds_up: Callable[[AlertState], bool] = lambda _: False
        """Such an alert is left out of the response, like one that waits for a lock."""
        self.batches: list[list[AlertState]] = []
        """Received alerts, rejected ones included."""
        self.keys: list[str] = []
        self.request_ids: list[str] = []
        self.known: dict[UUID, Known] = {}
        self.loses_answers = 0
        """The number of calls that it executes and then fails with 503."""
        self.uses_alerts = False
        """Whether it has an unresolved incident with any alert."""
        self._open: dict[tuple[str, str], UUID] = {}
        self._resolved: set[UUID] = set()
        self._late: asyncio.Event | None = None
        self._answers = asyncio.Event()
        self._answers.set()
        self._runner: web.AppRunner | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Listen on a port of its own, which it keeps while it is unavailable."""
        await self.start()
        yield self
        self.release()
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=2**24)
        app.add_routes(
            [
                web.post("/api/v1/incidents/correlate", self._correlate),
                web.get("/api/v1/incidents/alerts-in-use", self._find_alerts_in_use),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        """Refuse connections from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    def hold(self) -> None:
        """Accept requests without responding."""
        self._answers.clear()

    def release(self) -> None:
        """Respond again, first to held requests."""
        self._answers.set()

    def delay_next(self) -> asyncio.Event:
        """Execute the next call at once, and respond once the returned event is set."""
        self._late = asyncio.Event()
        return self._late

    def resolve(self, incident_id: UUID) -> None:
        """Resolve an incident, as a person would."""
        self._resolved.add(incident_id)
        self._open = {slot: known for slot, known in self._open.items() if known != incident_id}

    @property
    def received(self) -> list[AlertState]:
        """Every received state, in order."""
        return [state for batch in self.batches for state in batch]

    async def _find_alerts_in_use(self, _request: web.Request) -> web.Response:
        if self.statuses:
            return refuse(self.statuses.popleft(), "not now")
        return respond(AlertsInUse(in_use=self.uses_alerts))

    async def _correlate(self, request: web.Request) -> web.Response:
        batch = CorrelateAlerts.model_validate_json(await request.read()).alerts
        self.batches.append(batch)
        self.keys.append(request.headers["Idempotency-Key"])
        self.request_ids.append(request.headers["X-Request-ID"])
        await self._answers.wait()
        if self.statuses:
            status = self.statuses.popleft()
            if status == 0 and request.transport is not None:
                request.transport.close()
            return web.Response(status=status or 500)
        if any(self.refuses(state) for state in batch):
            return refuse(422, "This alert is refused.")
        results = [self._place(state) for state in batch if not self.holds_up(state)]
        if self._late is not None:
            late, self._late = self._late, None
            await late.wait()
        if self.loses_answers:
            self.loses_answers -= 1
            return web.Response(status=503)
        return respond(Correlations(results=results))

    def _place(self, state: AlertState) -> Correlation:
        known = self.known.get(state.alert_id)
        if known is not None and (known.incident_id not in self._resolved or state.status is AlertStatus.RESOLVED):
            repeat = state.version > known.attached_version
            known.state = max(known.state, state, key=lambda reported: reported.version)
            action = AlertAction.REPEATED if repeat else known.action
            if state.status is AlertStatus.RESOLVED:
                action = AlertAction.RESOLVED
            return Correlation(
                alert_id=state.alert_id, incident_id=known.incident_id, action=action, joined=known.action
            )
        slot = (state.service, state.severity)
        action = AlertAction.ATTACHED if slot in self._open else AlertAction.NEW_INCIDENT
        incident_id = self._open.setdefault(slot, new_id())
        self.known[state.alert_id] = Known(incident_id, state, state.version, action)
        return Correlation(alert_id=state.alert_id, incident_id=incident_id, action=action, joined=action)
