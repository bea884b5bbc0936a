"""The five services in one process, and the errors that they log."""

import logging
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict

from tests.support.fuzz.exchange import Request, Response, exchange, server_of
from tests.support.waiting import PATIENT
from tocsin.alerts.app import create_app as alerts_app
from tocsin.alerts.settings import Settings as AlertSettings
from tocsin.channels.transports import ssrf
from tocsin.incidents.app import create_app as incidents_app
from tocsin.incidents.settings import Settings as IncidentSettings
from tocsin.kernel.middlewares import HTTP_METRICS
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.notifications.app import create_app as notifications_app
from tocsin.notifications.settings import Settings as NotificationSettings
from tocsin.oncall.app import create_app as oncall_app
from tocsin.oncall.settings import Settings as OnCallSettings
from tocsin.web.app import create_app as web_app
from tocsin.web.settings import Settings as WebSettings

URLS: Final = {
    "alerts": "alert_ingestion_url",
    "incidents": "incident_management_url",
    "oncall": "oncall_service_url",
    "notifications": "notification_service_url",
}
MAX_ERRORS: Final = 20
REMEMBERED: Final = 500


@dataclass(slots=True)
class ErrorLog:
    """What the services log as an error, such as an exception that nobody expected."""

    errors: list[str] = field(default_factory=list)
    requests: dict[str, bytes] = field(default_factory=dict)
    """The last requests by id, to show the one that an error is about."""

    def remember(self, request_id: str, request: bytes) -> None:
        """Remember a request."""
        self.requests[request_id] = request
        if len(self.requests) > REMEMBERED:
            del self.requests[next(iter(self.requests))]

    def install(self) -> None:
        """Take the place of the logs of this process."""
        structlog.configure(
            processors=[self._record], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
        )
        handler = logging.Handler(logging.ERROR)
        handler.emit = lambda record: self._add(record.getMessage(), record.exc_info)  # type: ignore[method-assign]
        logging.getLogger().handlers = [handler]

    def _record(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        given = event.pop("exc_info", None)
        if given:  # what is an error of the operator's has none
            self._add(repr(event), sys.exc_info() if given is True else given)
        raise structlog.DropEvent

    def _add(self, text: str, exc_info: Any) -> None:
        if isinstance(exc_info, tuple) and isinstance(exc_info[1], HttpProcessingError):
            return  # a request that is not HTTP
        if len(self.errors) < MAX_ERRORS:
            frames = "".join(traceback.format_exception(*exc_info)) if isinstance(exc_info, tuple) else ""
            request_id = REQUEST_ID.get()
            self.errors.append(f"{request_id}: {text}\n{self.requests.get(request_id)!r}\n{frames}")


@dataclass(slots=True)
class Services:
    """The five applications, running."""

    runners: dict[str, web.AppRunner] = field(default_factory=dict)

    @property
    def apps(self) -> Mapping[str, web.Application]:
        """The applications by name."""
        return {name: runner.app for name, runner in self.runners.items()}

    async def send(self, request: Request) -> Response:
        """Send *request* to its service."""
        return await exchange(server_of(self.runners[request.service]), request)

    def statuses(self) -> dict[tuple[str, str, str, int], int]:
        """Return the number of responses by service, method, route and status."""
        found: dict[tuple[str, str, str, int], int] = {}
        for name, app in self.apps.items():
            for (method, route, status), histogram in app[HTTP_METRICS].known.items():
                found[name, method, route, status] = round(sum(bucket.get() for bucket in histogram._buckets))  # noqa: SLF001
        return found


@asynccontextmanager
async def running_services(dsn: str) -> AsyncIterator[Services]:
    """Run the five services on the database *dsn*. Webhooks reach nobody."""
    ssrf.refusal = lambda address, allowed: f"{address} is none of {allowed}, and this is a test"
    services = Services()
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in URLS}
    urls = {URLS[name]: f"http://127.0.0.1:{found.getsockname()[1]}" for name, found in sockets.items()}
    shared = {**urls, "allow_open_network": True}  # otherwise `Forwarded` is all that is seen of a request
    given: dict[str, Any] = {"database_url": dsn, "db_pool_size": 5, "log_level": "ERROR", **shared, **PATIENT}
    apps = {
        "alerts": alerts_app(AlertSettings.model_validate(given)),
        "incidents": incidents_app(IncidentSettings.model_validate(given)),
        "oncall": oncall_app(OnCallSettings.model_validate(given)),
        "notifications": notifications_app(NotificationSettings.model_validate(given)),
        "web": web_app(WebSettings.model_validate({"part_seconds": 20.0, **shared})),
    }
    async with AsyncExitStack() as stack:
        for name, app in apps.items():
            runner = services.runners[name] = web.AppRunner(
                app, access_log=None, auto_decompress=False, shutdown_timeout=1.0
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            if name in sockets:
                await web.SockSite(runner, sockets[name]).start()
        yield services
