"""Play the demo world into an empty system, through its API. A second time adds nothing."""

from typing import Final
from uuid import UUID

from tocsin.cli.console import CommandError
from tocsin.cli.demo import store
from tocsin.cli.demo.dataset import HISTORY, KEY_PREFIX, SCENES, TEAMS, Scene
from tocsin.cli.gateway import Gateway, open_gateway
from tocsin.contracts.incidents import IncidentStatus
from tocsin.kernel import clock
from tocsin.kernel.errors import RejectedError, UpstreamError

CORRELATION_SECONDS: Final = 15.0
"""How long an alert may wait for its incident while the services warm up."""
RANK: Final = {status: rank for rank, status in enumerate(IncidentStatus)}
"""Incidents only move forward through these."""


async def seed(url: str, dsn: str) -> None:
    """Add what is missing of the demo world; raise CommandError when a service does not play along."""
    try:
        async with open_gateway(url) as gateway:
            await _play(gateway, dsn)
    except (UpstreamError, RejectedError) as exc:
        msg = f"the demo world cannot be set up: {exc}"
        raise CommandError(msg, "Do without it, or try again: it continues where it stopped.") from exc


async def _play(gateway: Gateway, dsn: str) -> None:
    teams = {schedule.team for schedule in (await gateway.oncall.schedules(limit=200)).items}
    for schedule in TEAMS:
        if schedule.team not in teams:
            await gateway.oncall.create_schedule(schedule, idempotency_key=f"{KEY_PREFIX}{schedule.team}")
    await store.add_history(dsn, HISTORY)
    for scene in SCENES:
        await _perform(gateway, scene)


async def _perform(gateway: Gateway, scene: Scene) -> None:
    incident_id = await _opened(gateway, scene)
    incident = await gateway.incidents.find(incident_id)
    for answer in scene.answers:
        # Never back: on a later start somebody may have gone further than the scene does.
        if answer.status is not None and RANK[answer.status] > RANK[incident.status]:
            key = f"{KEY_PREFIX}{scene.service}:{answer.status}"
            incident = await gateway.incidents.change(incident_id, answer, idempotency_key=key)


async def _opened(gateway: Gateway, scene: Scene) -> UUID:
    """Return the scene's incident; send the alerts that open it where they never were."""
    known = await gateway.alerts.list(service=scene.service)
    if known.items:
        return await _incident_of(gateway, known.items[-1].id)
    accepted = [
        await gateway.alerts.send(alert, idempotency_key=f"{KEY_PREFIX}{scene.service}:alert:{number}")
        for number, alert in enumerate(scene.alerts)
    ]
    return await _incident_of(gateway, accepted[0].alert_id)


async def _incident_of(gateway: Gateway, alert_id: UUID) -> UUID:
    deadline = clock.monotonic() + CORRELATION_SECONDS
    while clock.monotonic() < deadline:
        alert = await gateway.alerts.find(alert_id)
        if alert.incident_id is not None:
            return alert.incident_id
        await clock.sleep(0.1)
    msg = f"alert {alert_id} of the demo world got no incident within {CORRELATION_SECONDS:g} s"
    raise CommandError(msg, "Look at the log of incidents; try again: it continues where it stopped.")
