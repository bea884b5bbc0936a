"""A fake of the timeline of incident-management."""

from typing import Any

from aiohttp import web

from tests.fakes.peer import FakePeer
from tocsin.kernel.ids import new_id


class FakeTimeline(FakePeer):
    """Accepts timeline entries, once per incident and event key."""

    def __init__(self) -> None:
        super().__init__([web.post("/api/v1/incidents/{incident_id}/timeline", self._append)])
        self._entries: dict[tuple[str, str], dict[str, Any]] = {}

    def entries(self, incident_id: str) -> list[dict[str, Any]]:
        """Return the entries of an incident in order of arrival."""
        return [entry for (incident, _), entry in self._entries.items() if incident == incident_id]

    def texts(self, incident_id: str) -> list[tuple[str, str]]:
        """Return type and text of the entries of an incident."""
        return [(entry["event_type"], entry["detail"]) for entry in self.entries(incident_id)]

    async def _append(self, request: web.Request) -> web.Response:
        body = await request.json()
        entry = {"id": str(new_id()), "created_at": "2026-10-22T01:00:00Z", **body}
        kept = self._entries.setdefault((request.match_info["incident_id"], body["event_key"]), entry)
        return web.json_response(kept, status=201)
