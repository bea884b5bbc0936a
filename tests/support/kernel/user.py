"""An HTTP client of the four services."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession

from tocsin.kernel.ids import new_id


@dataclass(slots=True)
class User:
    """An HTTP client of the services."""

    session: ClientSession
    urls: Mapping[str, str]

    async def get(self, service: str, path: str, /, **query: str) -> Any:
        """Return the JSON of the response, which must be a success."""
        async with self.session.get(self.urls[service] + path, params=query) as answer:
            assert answer.status < 400, f"{path} {query}: {await answer.text()}"
            return await answer.json()

    async def change(self, service: str, path: str, body: Any, *, method: str = "POST") -> Any:
        """Send a change twice with one key, like a client that lost the first response; return the second response."""
        headers = {"Idempotency-Key": str(new_id())}
        found: Any = None
        for _ in range(2):
            async with self.session.request(method, self.urls[service] + path, json=body, headers=headers) as answer:
                assert answer.status < 400, f"{method} {path} {body}: {await answer.text()}"
                found = await answer.json()
        return found

    async def remove(self, service: str, path: str) -> None:
        """DELETE *path*."""
        async with self.session.delete(self.urls[service] + path) as answer:
            assert answer.status < 400, f"{path}: {await answer.text()}"

    async def items(self, service: str, noun: str = "", /, **query: str) -> Any:
        """Return the first page of a list."""
        return (await self.get(service, f"/api/v1/{noun or service}", **query))["items"]

    async def next_event(self, last_event_id: str = "") -> str:
        """Return the id of the first event of a new stream, which goes on after *last_event_id*."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with self.session.get(self.urls["incidents"] + "/api/v1/incidents/stream", headers=headers) as answer:
            async for line in answer.content:
                if line.startswith(b"id:"):
                    return line.removeprefix(b"id:").strip().decode()
        message = "the stream ended without an event"
        raise AssertionError(message)

    async def stopped(self, incident_id: str) -> bool:
        """Return whether paging has stopped for an incident."""
        escalation = await self.get("oncall", f"/api/v1/escalations/{incident_id}")
        return bool(escalation["stopped_at"])

    async def is_rolled_up(self) -> bool:
        """Return whether the summary is read from the roll-up, as it is once there are incidents in it."""
        summary = await self.get("incidents", "/api/v1/incidents/stats/summary")
        return summary["as_of"] is not None

    async def has_followed(self, incident_id: str) -> bool:
        """Return whether the next person has been paged after the time-out."""
        escalation = await self.get("oncall", f"/api/v1/escalations/{incident_id}")
        return bool(escalation["step"] > 1)

    async def ask_every_question(self, service: str, samples: Mapping[str, str]) -> None:
        """GET each path with each of its documented parameters, one at a time and all together."""
        await self.get(service, "/health/ready")
        async with self.session.get(self.urls[service] + "/metrics") as scraped:
            assert scraped.status == 200
        description = await self.get(service, "/openapi.json")
        for path, operations in description["paths"].items():
            if "get" not in operations or not path.startswith("/api/") or path.endswith("/stream"):
                continue
            place = path.format_map(samples)
            parameters = [p for p in operations["get"].get("parameters", []) if p["in"] == "query"]
            required = {p["name"]: samples[p["name"]] for p in parameters if p.get("required")}
            filters = {p["name"]: samples[p["name"]] for p in parameters if p["name"] != "cursor"}
            queries = [{}, *({name: value} for name, value in filters.items()), filters]
            if "sort" in filters:
                queries += [{**query, "sort": filters["sort"]} for query in queries]
            for query in queries:
                page = await self.get(service, place, **{**required, **query})
                if query.keys() - {"sort"} == {"limit"} and page.get("next_cursor"):
                    await self.get(service, place, **query, cursor=str(page["next_cursor"]))
