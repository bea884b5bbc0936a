"""A fake of the part of notification-service that on-call uses."""

from typing import Any

from aiohttp import web

from tests.fakes.peer import FakePeer


class FakeNotifications(FakePeer):
    """Accepts pages, once per notification id, and cancellations."""

    def __init__(self) -> None:
        super().__init__(
            [
                web.post("/api/v1/notify", self._notify),
                web.post("/api/v1/notifications/void", self._cancel),
            ]
        )
        self.pages: dict[str, dict[str, Any]] = {}
        """Accepted pages by notification id."""
        self.cancelled: list[dict[str, Any]] = []

    def paged(self, incident_id: str) -> list[tuple[int, str, str]]:
        """Return step, person and channel of each page accepted for an incident, in order of the steps."""
        accepted = [page for page in self.pages.values() if page["incident_id"] == incident_id]
        return sorted((page["page"]["step"], page["page"]["person"], page["channel"]) for page in accepted)

    async def _notify(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.pages.setdefault(body["notification_id"], body)
        return web.json_response({"notification_id": body["notification_id"], "status": "queued"}, status=202)

    async def _cancel(self, request: web.Request) -> web.Response:
        self.cancelled.append(await request.json())
        return web.json_response({"voided": 0})
