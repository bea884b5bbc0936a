"""How the commands talk to a running Tocsin: typed clients, all through the one door."""

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer
from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from tocsin.cli.console import PROGRAM, CommandError
from tocsin.clients.alerts import AlertsClient
from tocsin.clients.incidents import IncidentsClient
from tocsin.clients.oncall import OnCallClient
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.http_client import ClientMetrics, ServiceClient
from tocsin.kernel.ids import new_id
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.settings import http_url

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8080"

JSONOption = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]
URLOption = Annotated[
    str, typer.Option("--url", envvar="TOCSIN_URL", help="Where Tocsin is.", show_default=True, metavar="URL")
]


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running Tocsin."""

    url: str
    alerts: AlertsClient
    incidents: IncidentsClient
    oncall: OnCallClient


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Gateway]:
    """Yield clients of the Tocsin at *url*; nothing connects before the first call. All calls share one request id."""
    REQUEST_ID.set(str(new_id()))
    metrics = ClientMetrics.register(CollectorRegistry())
    gateway = Gateway(url, AlertsClient(url, metrics), IncidentsClient(url, metrics), OnCallClient(url, metrics))
    async with AsyncExitStack() as stack:
        for client in (gateway.alerts, gateway.incidents, gateway.oncall):
            await stack.enter_async_context(_session(client))
        yield gateway


def ask(url: str, question: Callable[[Gateway], Awaitable[T]]) -> T:
    """Ask the Tocsin at *url*; raise CommandError where it cannot be reached or refuses."""

    async def conversation() -> T:
        async with connected(checked(url)) as gateway:
            return await question(gateway)

    try:
        return asyncio.run(conversation())
    except UpstreamError as exc:
        msg = f"{url}: {exc}"
        raise CommandError(msg, f"Is it running? To see: {PROGRAM} check. To start it: {PROGRAM} up") from exc
    except RejectedError as exc:
        raise CommandError(str(exc)) from exc


def checked(url: str) -> str:
    """Return *url* without a slash at its end; raise CommandError where it is none."""
    try:
        return http_url(url)
    except ValueError as exc:
        msg = f"TOCSIN_URL is {url!r}, which is {exc}"
        raise CommandError(msg, f"Without it, {DEFAULT_URL} is meant.", status=os.EX_USAGE) from exc


def refused(error: ValidationError) -> CommandError:
    """Say what of the command line the API would not take."""
    problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False))
    return CommandError("\n".join(problems), status=os.EX_USAGE)


def user_name() -> str:
    """Return who acts: the name of the user at the terminal."""
    with suppress(OSError, KeyError):  # a container's user id may have no name
        return getpass.getuser()
    return f"user {os.getuid()}"


@asynccontextmanager
async def _session(client: ServiceClient) -> AsyncIterator[None]:
    async with asynccontextmanager(client.context)(web.Application()):
        yield
