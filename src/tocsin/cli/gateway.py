"""Call a running Tocsin: typed clients that go through its gateway."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

import typer
from aiohttp import ClientConnectorCertificateError, ClientConnectorSSLError, ServerDisconnectedError, web
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from tocsin.cli import credentials
from tocsin.cli.console import PROGRAM, CommandError, escape_control
from tocsin.clients.accounts import AccountsClient
from tocsin.clients.alerts import AlertsClient
from tocsin.clients.incidents import IncidentsClient
from tocsin.clients.oncall import OnCallClient
from tocsin.kernel.build_info import VERSION
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.http_client import ServiceClient, TransientError
from tocsin.kernel.ids import new_id
from tocsin.kernel.problems import DETAIL_OF
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.settings import http_url

T = TypeVar("T")
DEFAULT_URL: Final = "http://127.0.0.1:8080"
NO_RESPONSE: Final = frozenset({"connection", "timeout"})
"""Reasons of a TransientError without an HTTP response."""

JSONOption = Annotated[bool, typer.Option("--json", help="Print the API's response as JSON.")]
URLOption = Annotated[
    str, typer.Option("--url", envvar="TOCSIN_URL", help="Address of Tocsin.", show_default=True, metavar="URL")
]


@dataclass(frozen=True, slots=True)
class Gateway:
    """Clients of a running Tocsin."""

    url: str
    accounts: AccountsClient
    alerts: AlertsClient
    incidents: IncidentsClient
    oncall: OnCallClient


@asynccontextmanager
async def open_gateway(url: str, token: str | None = None) -> AsyncIterator[Gateway]:
    """Yield clients of the Tocsin at *url*, which connect at the first call. All calls share one request id.

    They prove who makes the calls by *token*, else by the one that the user has.
    """
    REQUEST_ID.set(str(new_id()))
    metrics = ClientMetrics.register(CollectorRegistry())
    gateway = Gateway(
        url,
        AccountsClient(url, metrics),
        AlertsClient(url, metrics),
        IncidentsClient(url, metrics),
        OnCallClient(url, metrics),
    )
    async with AsyncExitStack() as stack:
        for client in (gateway.accounts, gateway.alerts, gateway.incidents, gateway.oncall):
            client.headers = credentials.headers(token)
            await stack.enter_async_context(_session(client))
        yield gateway


def call(url: str, use: Callable[[Gateway], Awaitable[T]], *, token: str | None = None) -> T:
    """Call *use* with clients of the Tocsin at *url*, and *token* if given; return its result.

    Raise CommandError if Tocsin is unreachable or rejects a call.
    """

    async def work() -> T:
        async with open_gateway(check_url(url), token) as gateway:
            return await use(gateway)

    try:
        return asyncio.run(work())
    except UpstreamError as exc:
        raise _unavailable(url, exc) from exc
    except RejectedError as exc:
        if (exc.status, str(exc)) == (HTTPStatus.NOT_FOUND, DETAIL_OF[HTTPStatus.NOT_FOUND]):
            raise _not_tocsin(url) from exc  # the URL is that of a single service, or has a path
        if exc.status == HTTPStatus.UNAUTHORIZED:
            raise CommandError(escape_control(str(exc)), f"For a token: {PROGRAM} login, or TOCSIN_TOKEN") from exc
        raise CommandError(escape_control(str(exc))) from exc


def _unavailable(url: str, error: UpstreamError) -> CommandError:
    """Return the error to print: nothing responds, the server is not Tocsin, or a service behind it is down."""
    reason = error.reason if isinstance(error, TransientError) else None
    if isinstance(error.__cause__, ClientConnectorCertificateError):
        return CommandError(
            f"the certificate of {url} is not trusted ({error.__cause__.certificate_error})",
            "Set SSL_CERT_FILE to the certificate of its authority: `tocsin up --tls` names the one that it has made.",
        )
    if isinstance(error.__cause__, ClientConnectorSSLError | ServerDisconnectedError):
        scheme = "http" if url.startswith("https:") else "https"
        return CommandError(f"nothing responds at {url}", f"Perhaps the address begins with {scheme}://")
    if reason in NO_RESPONSE:
        fault = "in time" if reason == "timeout" else f"({_reason(error)})"
        return CommandError(
            f"nothing responds at {url} {fault}",
            f"Set --url or TOCSIN_URL to Tocsin's address. To start Tocsin: {PROGRAM} up",
        )
    if reason == "status":
        return CommandError(f"{url}: {escape_control(str(error))}", f"To see which services are down: {PROGRAM} check")
    return _not_tocsin(url)


def _reason(error: UpstreamError) -> str:
    """Return the operating system's message, without aiohttp's text around it."""
    system = getattr(error.__cause__, "os_error", error.__cause__)
    return os.strerror(system.errno) if isinstance(system, OSError) and system.errno else "no connection"


def _not_tocsin(url: str) -> CommandError:
    return CommandError(
        f"the server at {url} does not respond as Tocsin {VERSION} does",
        f"Set --url or TOCSIN_URL to Tocsin's address, such as {DEFAULT_URL}",
    )


def check_url(url: str, name: str = "--url or TOCSIN_URL") -> str:
    """Return *url*, given as *name*, without a trailing slash; raise CommandError if it is not an HTTP URL."""
    try:
        return http_url(url)
    except ValueError as exc:
        msg = f"{name} is {url!r}, which is {exc}"
        raise CommandError(msg, "Correct it, or omit it for its default.", status=os.EX_USAGE) from exc


def usage_error(error: ValidationError) -> CommandError:
    """Return the error of arguments that the API's models refuse."""
    problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False))
    return CommandError("\n".join(problems), status=os.EX_USAGE)


@asynccontextmanager
async def _session(client: ServiceClient) -> AsyncIterator[None]:
    async with asynccontextmanager(client.context)(web.Application()):
        yield
