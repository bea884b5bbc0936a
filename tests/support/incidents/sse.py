"""A client of server-sent events, as a browser reads them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse

from tests.support.incidents.api import Api
from tocsin.kernel import tasks

PATH = "/api/v1/incidents/stream"
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Received:
    """One event."""

    id: str
    event: str
    data: Any


class Stream:
    """A connection that events are read from one by one."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def line(self) -> str:
        """Return the next line; the end of the stream is an empty string, an empty line a line feed."""
        async with tasks.timeout(PATIENCE):
            return (await self.response.content.readline()).decode()

    async def next(self) -> Received:
        """Return the next event, over comments."""
        fields: dict[str, str] = {}
        while True:
            line = await self.line()
            assert line, "the stream has ended"
            name, _, value = line.rstrip("\r\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                return Received(fields["id"], fields["event"], json.loads(fields["data"]))

    async def take(self, number: int) -> list[Received]:
        """Return the next *number* events."""
        return [await self.next() for _ in range(number)]


@asynccontextmanager
async def follow(
    api: Api, last_event_id: str | None = None, *, query: str = ""
) -> AsyncIterator[tuple[Stream, Received]]:
    """Connect, resuming after *last_event_id*; yield the stream and its `ready` event."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with api.client.get(PATH + query, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        stream = Stream(response)
        yield stream, await stream.next()
