"""Add the demo data to a running system, through its API. A repeat adds what is missing."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from uuid import UUID

from tocsin.cli.console import CommandError, escape_control
from tocsin.cli.demo.dataset import DEMO_INCIDENTS, HISTORY, KEY_PREFIX, TEAMS, DemoIncident
from tocsin.cli.demo.history import add_history, back_date
from tocsin.cli.gateway import Gateway, open_gateway
from tocsin.contracts.incidents import EventType, IncidentStatus
from tocsin.kernel import clock
from tocsin.kernel.errors import RejectedError, UpstreamError

T = TypeVar("T")
WAIT_SECONDS: Final = 60.0
"""How long an alert may take to get its incident, and an incident its first page, just after the services started."""
POLL_SECONDS: Final = 0.1
RANK: Final = {status: rank for rank, status in enumerate(IncidentStatus)}
"""Incidents move forward through these statuses only."""


async def seed(url: str, dsn: str, token: str | None = None) -> None:
    """Add the missing demo data, with *token* or that of the user.

    Raise CommandError if a service fails or rejects a request.
    """
    try:
        async with open_gateway(url, token) as gateway:
            await _seed(gateway, dsn)
    except (UpstreamError, RejectedError) as exc:
        msg = f"the demo data cannot be added: {escape_control(str(exc))}"
        raise CommandError(msg, "Try again: it continues where it stopped. Or start without --demo.") from exc


async def _seed(gateway: Gateway, dsn: str) -> None:
    teams = {schedule.team for schedule in (await gateway.oncall.schedules(limit=200)).items}
    for schedule in TEAMS:
        if schedule.team not in teams:
            await gateway.oncall.create_schedule(schedule, idempotency_key=f"{KEY_PREFIX}{schedule.team}")
    await add_history(dsn, HISTORY)
    for demo in DEMO_INCIDENTS:
        await _add_incident(gateway, dsn, demo)


async def _add_incident(gateway: Gateway, dsn: str, demo: DemoIncident) -> None:
    """Open the incident, wait for its first page, change it, and back-date everything."""
    incident_id = await _opened(gateway, demo)
    incident = await gateway.incidents.find(incident_id)
    if demo.changes and incident.status is IncidentStatus.OPEN:
        await _poll(lambda: _is_paged(gateway, incident_id))
    for change in demo.changes:
        # Only forward: since an earlier start, a person may have moved the incident further.
        if change.status is not None and RANK[change.status] > RANK[incident.status]:
            key = f"{KEY_PREFIX}{demo.service}:{change.status}"
            incident = await gateway.incidents.change(incident_id, change, idempotency_key=key)
    if demo.changes:
        await back_date(dsn, incident_id, demo)


async def _opened(gateway: Gateway, demo: DemoIncident) -> UUID:
    """Return the id of the incident; send its alerts unless they were sent before."""
    known = await gateway.alerts.list(service=demo.service)
    if known.items:
        return await _incident_of(gateway, known.items[-1].id)
    accepted = [
        await gateway.alerts.send(alert, idempotency_key=f"{KEY_PREFIX}{demo.service}:alert:{number}")
        for number, alert in enumerate(demo.alerts)
    ]
    return await _incident_of(gateway, accepted[0].alert_id)


async def _incident_of(gateway: Gateway, alert_id: UUID) -> UUID:
    async def incident_id() -> UUID | None:
        return (await gateway.alerts.find(alert_id)).incident_id

    found = await _poll(incident_id)
    if found is None:
        msg = f"alert {alert_id} of the demo data got no incident within {WAIT_SECONDS:g} s"
        raise CommandError(msg, "See the log of incident-management. Try again: it continues where it stopped.")
    return found


async def _is_paged(gateway: Gateway, incident_id: UUID) -> bool:
    timeline = (await gateway.incidents.find(incident_id)).timeline
    return any(entry.event_type == EventType.DELIVERED for entry in timeline)


async def _poll(probe: Callable[[], Awaitable[T | None]]) -> T | None:
    """Return the first true result of *probe*; None after WAIT_SECONDS."""
    deadline = clock.monotonic() + WAIT_SECONDS
    while clock.monotonic() < deadline:
        if found := await probe():
            return found
        await clock.sleep(POLL_SECONDS)
    return None
