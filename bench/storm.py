"""A storm: 20,000 alerts of 2,000 services in batches of 100, while browsers look at the Now page."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import web

from bench.ingestion import correlated
from bench.processes import Running
from bench.responses import Responses
from bench.usage import cpu_seconds
from bench.views import Views, read
from tocsin.kernel import clock, randomness, tasks

ALERTS: Final = 20_000
SERVICES: Final = 2_000
BATCH: Final = 100
SENDERS: Final = 8
"""Requests in progress at the same time."""
BROWSERS: Final = 30
REFRESH_SECONDS: Final = 0.8
"""The interval at which an open page follows events, as `web/static/live.js` does."""
PAGED_SECONDS: Final = 120
ALERTMANAGER: Final = "/api/v1/receivers/alertmanager"


class PagedIncidents:
    """A webhook receiver that collects the incidents that its messages name."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.messages = 0

    async def receive(self, request: web.Request) -> web.Response:
        """Collect the incident of a page, or those of a digest, and respond 204."""
        body = await request.json()
        self.messages += 1
        self.seen.add(body["incident_id"])
        self.seen.update(entry["incident_id"] for entry in body.get("digest") or ())
        return web.Response(status=204)


@dataclass(frozen=True, slots=True)
class Storm:
    """The figures of a storm, in seconds unless named otherwise."""

    posted: float
    """From the first request to the last response."""
    correlated: float
    """From the last response until every alert was correlated."""
    paged: float | None
    """From the last response until a delivered page had named every incident; None after PAGED_SECONDS."""
    incidents: int
    named: int
    messages: int
    views: Views
    """What a person saw meanwhile."""
    refreshes: Responses
    """The requests of the open pages."""
    web_cores: float
    """Processor time of the web service, with BROWSERS pages open, per second."""


async def storm(running: Running, pages: PagedIncidents) -> Storm:
    """Send the storm, and measure until every incident has been named by a page."""
    timeout = aiohttp.ClientTimeout(total=60, sock_read=30)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(raise_for_status=True, timeout=timeout, connector=connector) as session:
        views, refreshes = Views(), Responses()
        watching = [
            tasks.create_task(_browse(session, running, refreshes), name=f"browser-{n}") for n in range(BROWSERS)
        ]
        watching.append(tasks.create_task(_look(session, running, views), name="reader"))
        cpu, started = cpu_seconds(running), clock.monotonic()
        await _post_all(session, running.url(8001) + ALERTMANAGER)
        posted = clock.monotonic()
        await correlated(running)
        done = clock.monotonic()
        used, took = cpu_seconds(running)["web"] - cpu["web"], done - started
        paged = await _wait_until_named(pages, posted)
        await tasks.cancel(*watching)
    return Storm(
        posted=posted - started,
        correlated=done - posted,
        paged=paged,
        incidents=SERVICES,
        named=len(pages.seen),
        messages=pages.messages,
        views=views,
        refreshes=refreshes,
        web_cores=used / took,
    )


async def _post_all(session: aiohttp.ClientSession, url: str) -> None:
    batches = iter([range(first, first + BATCH) for first in range(0, ALERTS, BATCH)])

    async def send() -> None:
        for batch in batches:
            async with session.post(url, json=_group(batch)):
                pass

    async with tasks.task_group() as senders:
        for number in range(SENDERS):
            senders.create_task(send(), name=f"sender-{number}")


def _group(numbers: range) -> dict[str, Any]:
    alerts = [
        {
            "status": "firing",
            "labels": {
                "alertname": f"Storm{n // SERVICES}",
                "service": f"storm-{n % SERVICES}",
                "severity": "critical",
            },
            "annotations": {"summary": "connection refused"},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": f"{n:016x}",
        }
        for n in numbers
    ]
    return {"version": "4", "status": "firing", "receiver": "tocsin", "groupKey": "{}", "alerts": alerts}


async def _wait_until_named(pages: PagedIncidents, since: float) -> float | None:
    while len(pages.seen) < SERVICES:
        if clock.monotonic() - since > PAGED_SECONDS:
            return None
        await clock.sleep(0.1)
    return clock.monotonic() - since


async def _browse(session: aiohttp.ClientSession, running: Running, refreshes: Responses) -> None:
    """Keep the Now page open as a browser does: fetch its blocks after events, at most once in REFRESH_SECONDS."""
    changed = asyncio.Event()
    stream = running.url(8080) + "/api/v1/incidents/stream"
    blocks = partial(read, session, running.url(8080) + "/", {"HX-Request": "true"})

    async def follow() -> None:
        async with session.get(stream, timeout=aiohttp.ClientTimeout(total=None)) as response:
            async for chunk in response.content.iter_any():  # parsing lines here would slow down what is measured
                if b"data:" in chunk:
                    changed.set()

    async def refresh() -> None:
        while True:
            await changed.wait()
            changed.clear()
            await refreshes.record(blocks)
            await clock.sleep(REFRESH_SECONDS + randomness.uniform(0, 0.1))

    async with tasks.task_group() as group:
        group.create_task(follow(), name="follow")
        group.create_task(refresh(), name="refresh")


async def _look(session: aiohttp.ClientSession, running: Running, views: Views) -> None:
    while True:
        await views.look(session, running)
        await clock.sleep(0.2)
