"""Every interaction of the services once, driven by a client that retries and records what was accepted."""

import asyncio
import json
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import psycopg2
from aiohttp import ClientError, ClientTimeout

from tests.support.e2e.system import PRIMARY, SECONDARY, World
from tests.support.postgres import run
from tests.support.system import SystemClient
from tests.support.waiting import NotYet, eventually
from tocsin.kernel import clock, tasks
from tocsin.kernel.ids import new_id

PATIENCE_SECONDS = 120.0
IN_FLIGHT_SECONDS = 3.0
"""How long after an incident changed a page that was already checked may still arrive: it is sent while its lease of a
second lasts; the rest is for the transport and the event loop of these tests."""
ATTEMPT = ClientTimeout(total=2)


@dataclass(slots=True)
class Drill:
    """Incidents of one run; each run has service names of its own, so that runs can share a system."""

    system: SystemClient
    world: World
    dsn: str
    name: str
    patience: float = PATIENCE_SECONDS
    """How long one request, with its retries, or one expected effect may take, in seconds."""
    accepted: set[UUID] = field(default_factory=set)
    answered: dict[str, str] = field(default_factory=dict)
    """The incident of each alert whose response named it."""
    changed_at: dict[str, float] = field(default_factory=dict)
    """When each incident was acknowledged or resolved, by this process's clock."""

    async def play(self) -> None:
        """Run all scenes concurrently; raise where one fails."""
        async with tasks.task_group() as scenes:
            scenes.create_task(self._recovers_by_itself())
            scenes.create_task(self._is_handled_by_hand())
            scenes.create_task(self._pages_the_next_person())
            scenes.create_task(self._loses_its_escalation())
            scenes.create_task(self._streams_to_a_team_of_its_own())

    async def request(self, method: str, service: str, path: str, body: Any = None) -> Any:
        """Retry until it succeeds; all attempts carry one idempotency key."""
        headers = {"Idempotency-Key": str(new_id())}

        async def attempt() -> tuple[Any] | NotYet:
            url = self.system.url(service) + path
            try:
                async with self.system.session.request(
                    method, url, json=body, headers=headers, timeout=ATTEMPT
                ) as response:
                    if response.status < 400:
                        return (await response.json(),)
                    reason = f"{method} {path}: {response.status} {await response.text()}"
                    assert response.status >= 500, reason
                    return NotYet(reason)
            except (ClientError, TimeoutError, OSError) as exc:
                return NotYet(f"{method} {path}: {exc!r}")

        (found,) = await eventually(attempt, timeout=self.patience, every=0.05)
        return found

    async def fire(self, scene: str, *, key: str | None = None, status: str = "firing") -> Any:
        """Send an alert of *scene*'s service and record that it was accepted."""
        body = {"service": f"{self.name}-{scene}", "severity": "high", "message": scene, "status": status}
        answer = await self.request("POST", "alerts", "/api/v1/alerts", {**body, **({"dedup_key": key} if key else {})})
        self.accepted.add(UUID(answer["alert_id"]))
        if answer["incident_id"]:
            self.answered[answer["alert_id"]] = answer["incident_id"]
        return answer

    async def opened(self, scene: str, **alert: str) -> str:
        """Send an alert and return its incident, which may take until incident management is back."""
        answer = await self.fire(scene, **alert)

        async def incident() -> str:
            stored = await self.request("GET", "alerts", f"/api/v1/alerts/{answer['alert_id']}")
            return stored["incident_id"] or ""

        return await eventually(incident, timeout=self.patience)

    async def change(self, incident: str, status: str) -> None:
        """Change an incident's status."""
        body = {"status": status, "actor": "drill"}
        await self.request("PATCH", "incidents", f"/api/v1/incidents/{incident}", body)
        self.changed_at.setdefault(incident, clock.monotonic())

    async def _recovers_by_itself(self) -> None:
        key = f"{self.name}-{new_id()}"
        incident = await self.opened("recovers", key=key)
        await self.fire("recovers", key=key)
        await self.world.first_page(incident, seconds=self.patience)
        await self.fire("recovers", key=key, status="resolved")

        async def resolved() -> bool:
            found = await self.request("GET", "incidents", f"/api/v1/incidents/{incident}")
            return bool(found["status"] == "resolved")

        await eventually(resolved, timeout=self.patience)
        self.changed_at[incident] = clock.monotonic()

    async def _is_handled_by_hand(self) -> None:
        body = {"title": "opened by hand", "service": f"{self.name}-hand", "severity": "critical"}
        opened = await self.request("POST", "incidents", "/api/v1/incidents", body)
        incident = str(opened["id"])
        assert await self.opened("hand") != incident  # another severity: another incident
        await self.world.first_page(incident, seconds=self.patience)
        await self.change(incident, "acknowledged")
        await self.request("PATCH", "incidents", f"/api/v1/incidents/{incident}", {"notes": "the printer is on fire"})
        await self.change(incident, "resolved")
        other = await self.opened("hand")
        await self.change(other, "in_progress")

    async def _pages_the_next_person(self) -> None:
        self.world.refused.add(f"{self.name}-refused")
        incident = await self.opened("refused")
        page = await self.world.first_page(incident, seconds=self.patience)
        assert page.person == SECONDARY
        path = f"/api/v1/notifications?incident_id={incident}&status=failed"
        failed = await eventually(lambda: self._items(path), timeout=self.patience)
        self.world.refused.discard(f"{self.name}-refused")
        await self.request("POST", "oncall", "/api/v1/escalate", {"incident_id": incident, "reason": "drill"})
        await self.request("POST", "notifications", f"/api/v1/notifications/{failed[0]['id']}/redeliver")
        await eventually(
            lambda: any(page.person == PRIMARY for page in self.world.pages_for(incident)), timeout=self.patience
        )
        await self.change(incident, "acknowledged")

    async def _loses_its_escalation(self) -> None:
        incident = await self.opened("lost")
        await self.world.first_page(incident, seconds=self.patience)
        # Nothing of its start is on its way any more.
        confirmed = "SELECT id FROM incidents.incident WHERE id = %(id)s AND escalation_confirmed_at IS NOT NULL"
        await eventually(partial(self._finds, confirmed, id=incident), timeout=self.patience, every=0.2)
        # As after a restore of on-call's schema from an older backup.
        for statement in (
            "DELETE FROM oncall.escalation WHERE incident_id = %(id)s",
            "DELETE FROM oncall.idempotency WHERE resource_id = %(id)s",
            "UPDATE incidents.incident SET escalation_confirmed_at = NULL WHERE id = %(id)s",
            "UPDATE incidents.incident SET created_at = created_at - interval '1 hour' WHERE id = %(id)s",
        ):
            await eventually(partial(self._run, statement, id=incident), timeout=self.patience, every=0.2)
        before = len(self.world.pages_for(incident))
        await eventually(lambda: len(self.world.pages_for(incident)) > before, timeout=self.patience)
        await self.change(incident, "acknowledged")

    def _finds(self, query: str, **values: str) -> bool:
        """Return whether the database could be reached and a query has a row."""
        try:
            return bool(run(self.dsn, query, values))
        except psycopg2.OperationalError:
            return False

    def _run(self, statement: str, **values: str) -> bool:
        """Run a statement; return whether the database could be reached."""
        try:
            run(self.dsn, statement, values)
        except psycopg2.OperationalError:
            return False
        return True

    async def _streams_to_a_team_of_its_own(self) -> None:
        team = {**self.world.team, "team": self.name, "services": [f"{self.name}-own"]}
        schedule = await self.request("POST", "oncall", "/api/v1/schedules", team)
        more = {**team, "services": [*team["services"], f"{self.name}-new"]}
        await self.request("PUT", "oncall", f"/api/v1/schedules/{schedule['id']}", more)
        person = {"name": "Eve", "email": f"eve@{self.name}.example"}
        person_id = (await self.request("POST", "oncall", "/api/v1/people", person))["id"]
        await self.request("PATCH", "oncall", f"/api/v1/people/{person_id}", {"name": "Eva"})
        teams = (await self.request("GET", "oncall", "/api/v1/teams?limit=200"))["items"]
        (team_id,) = [found["id"] for found in teams if found["name"] == self.name]
        await self.request("PUT", "oncall", f"/api/v1/teams/{team_id}/people/{person_id}", {"role": "manager"})
        incident = await self.opened("own")
        watcher = asyncio.get_running_loop().create_task(self._watch(incident, "acknowledged"))
        await self.world.first_page(incident, seconds=self.patience)
        await self.change(incident, "acknowledged")
        await watcher

    async def _watch(self, incident: str, wanted: str) -> None:
        """Follow the event stream until an event of type *wanted*; a broken stream is resumed after its last event."""
        position = "0-0"

        async def received() -> bool:
            nonlocal position
            with suppress(ClientError, TimeoutError, OSError):
                async with self.system.session.get(
                    self.system.url("incidents") + "/api/v1/incidents/stream",
                    headers={"Last-Event-ID": position},
                    timeout=ClientTimeout(total=None, sock_read=5),
                ) as response:
                    async for line in response.content:
                        name, _, value = line.decode().strip().partition(": ")
                        if name == "id":
                            position = value
                        elif name == "data" and incident in value and f'"event_type":"{wanted}"' in value:
                            return True
            return False

        await eventually(received, timeout=self.patience, every=0.05)

    async def _items(self, path: str) -> list[Any]:
        items: list[Any] = (await self.request("GET", "notifications", path))["items"]
        return items

    def late_pages(self, grace: float = IN_FLIGHT_SECONDS, *, unchecked: AbstractSet[str] = frozenset()) -> list[str]:
        """Return pages that arrived more than *grace* seconds after their incident changed, except *unchecked* ones."""
        return [
            f"{page.person} {page.at - self.changed_at[str(page.incident_id)]:.1f} s after the change: {page.body}"
            for page in self.world.received
            if page.at > self.changed_at.get(str(page.incident_id), float("inf")) + grace
            and page.delivery_id not in unchecked
        ]

    def lost_pages(self) -> list[str]:
        """Return the delivery ids of this run that are recorded as sent but were never received."""
        sent = run(
            self.dsn,
            """
            SELECT COALESCE(n.digest_id, n.id)::text AS id
            FROM notifications.notification AS n JOIN incidents.incident AS i ON i.id = n.incident_id
            WHERE i.service LIKE %(services)s AND n.channel = 'webhook' AND n.status = 'sent'
            """,
            {"services": f"{self.name}-%"},
        )
        return sorted({row["id"] for row in sent} - {page.delivery_id for page in self.world.received})

    def doubled_pages(self) -> list[str]:
        """Return the delivery ids that more than one person received."""
        people: dict[str, set[str]] = {}
        for page in self.world.received:
            people.setdefault(page.delivery_id, set()).add(page.person)
        return [delivery for delivery, found in people.items() if len(found) > 1]


def unchecked_in(log: str) -> set[str]:
    """Return the messages that were sent without checking their incidents, by their sender's *log*."""
    lines = [
        json.loads(line) for line in log.splitlines() if '"incident states unknown: pages are sent unchecked"' in line
    ]
    return {notification for line in lines for notification in line["notification_ids"]}
