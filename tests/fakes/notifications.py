"""notification-service, as on-call sees it."""

from typing import Any

from aiohttp import web

from tests.fakes.peer import FakePeer


class FakeNotifications(FakePeer):
    """Takes pages, each delivery id once, and stops an incident's pages when told to."""

    def __init__(self) -> None:
        super().__init__(
            [
                web.post("/api/v1/notify", self._notify),
                web.post("/api/v1/notifications/void", self._void),
            ]
        )
        self.pages: dict[str, dict[str, Any]] = {}
        """What was taken, by delivery id."""
        self.voided: list[dict[str, Any]] = []

    def paged(self, incident_id: str) -> list[tuple[int, str, str]]:
        """Return step, person and channel of each page taken for an incident, in the order of the steps."""
        taken = [page for page in self.pages.values() if page["incident_id"] == incident_id]
        return sorted((page["page"]["step"], page["page"]["person"], page["channel"]) for page in taken)

    async def _notify(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.pages.setdefault(body["notification_id"], body)
        return web.json_response({"notification_id": body["notification_id"], "status": "queued"}, status=202)

    async def _void(self, request: web.Request) -> web.Response:
        self.voided.append(await request.json())
        return web.json_response({"voided": 0})
