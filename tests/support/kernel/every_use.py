"""A client that uses every endpoint, while the services start one after the other; and every use of accounts."""

import importlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from aiohttp import ClientSession, web
from psycopg2.extensions import make_dsn

from tests.support.e2e.system import PRIMARY, World
from tests.support.kernel.every_use_of_audit import use_audit
from tests.support.kernel.user import User
from tests.support.oncall.every_use_of_managers import use_managers
from tests.support.ports import free_port
from tests.support.settings_page import settings_of
from tests.support.system import QUICK, URL_OF
from tests.support.waiting import eventually
from tests.support.web.every_use_of_accounts import use_accounts
from tocsin.kernel.clock import now
from tocsin.kernel.ids import new_id

ALERT: Final = {"service": "checkout", "severity": "critical", "message": "answers 5xx", "dedup_key": "checkout-5xx"}
IMPATIENT: Final = {"RECONCILE_SECONDS": "0.3", "FORWARD_GRACE_SECONDS": "0.2"}
PATIENT: Final = {"LEASE_SECONDS": "10", "ESCALATION_TIMEOUT_MINUTES": "0.2", "DB_STATEMENT_TIMEOUT_SECONDS": "30"}
"""On a busy machine a lease of one second ends before the call is over, pages come faster than they are sent, and a
request waits for a connection for seconds."""


class Services:
    """The four services with a database, in this process, each started when it is wanted.

    Each has the rights of its own role, and so sees its own schema only.
    """

    def __init__(self, dsn: str, environment: Mapping[str, str]) -> None:
        self._ports = {service: free_port() for service in URL_OF}
        self.urls = {service: f"http://127.0.0.1:{port}" for service, port in self._ports.items()}
        self.dsn = dsn
        neighbours = {name: self.urls[service] for service, name in URL_OF.items()}
        self._environment = {**QUICK, **IMPATIENT, **PATIENT, **environment, **neighbours}

    @asynccontextmanager
    async def running(self, service: str) -> AsyncIterator[None]:
        """Run *service* itself."""
        values = {name.lower(): value for name, value in self._environment.items()}
        own = {"port": self._ports[service], "database_url": make_dsn(self.dsn, options=f"-c role=tocsin_{service}")}
        settings = settings_of(service).model_validate({**values, **own})
        async with self._listening(service, importlib.import_module(f"tocsin.{service}.app").create_app(settings)):
            yield

    @asynccontextmanager
    async def refusing(self, service: str, *statuses: int) -> AsyncIterator[Counter[str]]:
        """Respond in place of *service* to each method and path with *statuses* in turn, repeating the last one.

        Yield how often each method and path was requested.
        """
        requests: Counter[str] = Counter()

        async def refuse(request: web.Request) -> web.Response:
            place = f"{request.method} {request.path}"
            requests[place] += 1
            return web.json_response({"detail": "not now"}, status=statuses[min(requests[place], len(statuses)) - 1])

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", refuse)
        async with self._listening(service, app):
            yield requests

    @asynccontextmanager
    async def _listening(self, service: str, app: web.Application) -> AsyncIterator[None]:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._ports[service]).start()
            yield
        finally:
            await runner.cleanup()


async def use_everything(services: Services, session: ClientSession, world: World) -> None:
    """Run every use case once, with one failure of each service that it depends on."""
    user = User(session, services.urls)
    async with AsyncExitStack() as up:
        await up.enter_async_context(services.running("alerts"))
        async with services.refusing("incidents", 503) as requests:
            fired = await user.change("alerts", "/api/v1/alerts", ALERT)
            # by the request at most twice, since it is sent twice; then by the worker
            await eventually(lambda: requests["POST /api/v1/incidents/correlate"] >= 3)
        await up.enter_async_context(services.running("incidents"))
        async with services.refusing("oncall", 503, 422) as requests:
            await eventually(lambda: requests["POST /api/v1/escalations"] >= 2)  # refused finally
            await eventually(lambda: requests["GET /api/v1/escalations"] >= 2)  # found by the reconciliation
        async with services.running("notifications"):
            await _have_a_late_page_cancelled(user)
        await up.enter_async_context(services.running("oncall"))
        for team in (world.team, {**world.team, "team": "Logistics", "services": []}):
            schedule = await user.change("oncall", "/api/v1/schedules", team)
            more = {**team, "services": [*team["services"], f"{team['team']}-new"]}
            await user.change("oncall", f"/api/v1/schedules/{schedule['id']}", more, method="PUT")
        await up.enter_async_context(services.running("notifications"))
        await _send_alerts(user)
        await _have_an_alert_move(user)
        await _have_a_page_refused(user, world)
        await _have_an_escalation_stopped(user)
        page = await world.first_page((await user.get("alerts", f"/api/v1/alerts/{fired['alert_id']}"))["incident_id"])
        await eventually(lambda: user.has_followed(str(page.incident_id)))
        await _work_on(user, str(page.incident_id))
        samples = {
            "alert_id": fired["alert_id"],
            "fingerprint": (await user.get("alerts", f"/api/v1/alerts/{fired['alert_id']}"))["fingerprint"],
            "id": str(page.incident_id),
            "incident_id": str(page.incident_id),
            "notification_id": page.delivery_id,
            "recipient": f"{world.url}/priya",
            "schedule_id": (await user.items("oncall", "schedules"))[0]["id"],
            **await _have_people(user),
        }
        await _ask(user, samples)
    await use_managers(services.dsn, samples["person_id"])
    await use_accounts(services.dsn)
    await use_audit(services.dsn)


async def _have_people(user: User) -> dict[str, str]:
    team = (await user.items("oncall", "teams"))[0]["id"]
    ids = []
    for name in ("Ines", "Kofi"):
        person = {"name": name, "email": f"{name.lower()}@example.org"}
        ids.append((await user.change("oncall", "/api/v1/people", person))["id"])
        await user.change("oncall", f"/api/v1/teams/{team}/people/{ids[-1]}", {"role": "manager"}, method="PUT")
    await user.change("oncall", f"/api/v1/people/{ids[0]}", {"email": "ines@example.net"}, method="PATCH")
    await user.remove("oncall", f"/api/v1/teams/{team}/people/{ids[0]}")
    await user.remove("oncall", f"/api/v1/people/{ids[0]}")
    return {"person_id": ids[1], "team_id": team}


async def _send_alerts(user: User) -> None:
    for change in ({}, {"dedup_key": None}, {"status": "resolved"}, {"status": "resolved", "dedup_key": "unknown"}):
        await user.change("alerts", "/api/v1/alerts", {**ALERT, **change})
    alert = {"startsAt": "2026-11-02T03:04:05Z", "endsAt": "0001-01-01T00:00:00Z", "annotations": {}}
    for status in ("firing", "resolved", "firing"):
        alerts = [
            {**alert, "status": status, "labels": {"alertname": name}, "fingerprint": name}
            for name in ("DiskFull", "NoBackup")
        ]
        body = {"version": "4", "status": status, "receiver": "tocsin", "groupKey": "{}", "alerts": alerts}
        await user.change("alerts", "/api/v1/receivers/alertmanager", body)


async def _have_an_alert_move(user: User) -> None:
    firing = {**ALERT, "service": "mail", "dedup_key": "mail-queue"}
    fired = await user.change("alerts", "/api/v1/alerts", firing)

    async def incident_id() -> Any:
        return (await user.get("alerts", f"/api/v1/alerts/{fired['alert_id']}"))["incident_id"]

    one = f"/api/v1/incidents/{await eventually(incident_id)}"
    await user.change("incidents", one, {"status": "resolved"}, method="PATCH")
    await user.change("alerts", "/api/v1/alerts", firing)

    async def moved() -> Any:
        return (await user.get("incidents", one))["moved_alerts"]

    await eventually(moved)


async def _have_an_escalation_stopped(user: User) -> None:
    """Stop an escalation directly, and wait until the reconciliation has resumed it."""
    body = {"title": "Scanners are offline", "service": "scanners", "severity": "high"}
    incident = await user.change("incidents", "/api/v1/incidents", body)
    await eventually(lambda: user.items("oncall", "escalations", incident_id=incident["id"]))
    stop = {"reason": "resolved", "actor": "somebody"}
    await user.change("oncall", f"/api/v1/escalations/{incident['id']}/stop", stop)

    async def runs() -> bool:
        return not await user.stopped(incident["id"])

    await eventually(runs)


async def _have_a_page_refused(user: User, world: World) -> None:
    world.refused.add("labels")
    body = {"title": "Label printers are offline", "service": "labels", "severity": "high"}
    incident = await user.change("incidents", "/api/v1/incidents", body)
    (failed,) = await eventually(lambda: user.items("notifications", status="failed", incident_id=incident["id"]))
    await user.change("notifications", f"/api/v1/notifications/{failed['id']}/redeliver", None)
    for escalate in ({}, {"team": "Logistics"}):
        await user.change("oncall", "/api/v1/escalate", {"incident_id": incident["id"], **escalate})
    notify = {"incident_id": incident["id"], "channel": "mock", "recipient": "Priya", "message": "The printers again."}
    await user.change("notifications", "/api/v1/notify", notify)


async def _work_on(user: User, incident: str) -> None:
    before = await user.next_event()
    one = f"/api/v1/incidents/{incident}"
    for step in ({"status": "acknowledged"}, {"notes": "a look at it"}, {"severity": "high"}, {"status": "resolved"}):
        await user.change("incidents", one, {**step, "actor": PRIMARY}, method="PATCH")
    await user.next_event(before)
    await eventually(lambda: user.stopped(incident))
    answered = await user.get("incidents", f"/api/v1/incidents/{(await user.get('incidents', one))['number']}")

    async def late_page_cancelled_on_arrival() -> bool:
        queued = await user.change("notifications", "/api/v1/notify", _late_page(answered))
        return bool(queued["status"] == "voided")

    await eventually(late_page_cancelled_on_arrival)


async def _have_a_late_page_cancelled(user: User) -> None:
    """Send a page of an acknowledged incident while no on-call service runs, whose cancellation would come first."""
    body = {"title": "The lobby screen is dark", "service": "lobby", "severity": "low"}
    incident = await user.change("incidents", "/api/v1/incidents", body)
    one = f"/api/v1/incidents/{incident['id']}"
    acknowledged = await user.change("incidents", one, {"status": "acknowledged", "actor": PRIMARY}, method="PATCH")
    await user.change("notifications", "/api/v1/notify", _late_page(acknowledged))
    await eventually(lambda: user.items("notifications", status="voided", incident_id=incident["id"]))


def _late_page(incident: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page for an incident that has been acknowledged meanwhile."""
    brief = {name: incident[name] for name in ("number", "title", "service", "severity", "created_at")}
    page = {"step": 9, "level": "primary", "person": PRIMARY, "reason": "the printers again", "incident": brief}
    message = {"incident_id": incident["id"], "channel": "mock", "recipient": PRIMARY, "message": "The printers again."}
    return {**message, "kind": "page", "page": page, "notification_id": str(new_id())}


async def _ask(user: User, samples: Mapping[str, str]) -> None:
    shared = {
        "action": "new_incident",
        "assigned_to": PRIMARY,
        "at": "2026-11-02T03:04:05Z",
        "by": "week",
        "channel": "webhook",
        "counted_for": PRIMARY,
        "days": "7",
        "days_since": (now() - timedelta(days=13)).isoformat(),
        "ends": str(new_id()),
        "integration": "generic",
        "limit": "1",
        "open_limit": "1",
        "person": PRIMARY,
        "q": "printers",
        "resolved": "1",
        "resolved_since": (now() - timedelta(days=7)).isoformat(),
        "service": "checkout",
        "severity": "critical",
        "sort": "severity",
        "starts": str(UUID(int=0)),
        "since": (now() - timedelta(days=30)).isoformat(),
        "team": "Payments",
        "until": (now() + timedelta(days=30)).isoformat(),
    }
    for service, status in (("alerts", "firing"), ("incidents", "resolved"), ("oncall", ""), ("notifications", "sent")):
        await user.ask_every_question(service, {**shared, **samples, "status": status})
    await eventually(user.is_rolled_up)
    long_ago = (now() - timedelta(days=400)).isoformat()
    await user.get("incidents", "/api/v1/incidents/stats/summary", until=long_ago)
    unknown = {"team": "Nobody"}
    async with user.session.get(f"{user.urls['oncall']}/api/v1/oncall/current", params=unknown) as response:
        assert response.status == 404, "names the teams that exist"
