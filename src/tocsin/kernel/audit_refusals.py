"""Refused requests and log-ins, counted for a minute: however many an attacker makes, the audit gets few entries.

They change nothing, and so have no transaction: they wait in memory, and a worker delivers them. Those of the last
minute are lost if the process is killed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter

from tocsin.kernel.audit_entry import Entry, Subject, what, who
from tocsin.kernel.audit_queue import Send
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.authentication import AUTHENTICATOR
from tocsin.kernel.client_address import client_address
from tocsin.kernel.client_network import network_of
from tocsin.kernel.errors import DomainError, ForbiddenError, RejectedError, UnauthenticatedError, UnavailableError
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import NOBODY, Principal, Scope
from tocsin.kernel.problems import status_of
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.routing import scope_of
from tocsin.kernel.shared_time import SharedTime
from tocsin.kernel.workers import Context, worker

log = structlog.get_logger(__name__)
REQUEST_REFUSED: Final = "request.refused"
MINUTE: Final = 60.0
MAX_COUNTED: Final = 60
"""The maximum of a minute and process: entries of accounts, and as many of clients without one, so that their flood
hides no account's. Further refusals are only counted by a metric."""
MAX_WAITING: Final = 600
"""Entries that wait for the web service or its database."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Refusals:
    """The refusals of the present minute, and those that could not be delivered yet."""

    service: str
    time: SharedTime
    dropped: Counter
    _counted: dict[bool, dict[tuple[str, ...], Entry]] = field(default_factory=lambda: {True: {}, False: {}})
    """The entries of the minute, of accounts and of clients without one."""
    _waiting: list[Entry] = field(default_factory=list)

    @classmethod
    def of(cls, service: str, time: SharedTime, registry: CollectorRegistry) -> Self:
        """Declare the metric on *registry*."""
        return cls(
            service,
            time,
            Counter(
                "tocsin_audit_dropped_refusals_total",
                "Refused requests and log-ins that the audit does not have, because there were too many.",
                registry=registry,
            ),
        )

    def add(self, action: str, principal: Principal, address: str, subject: Subject, after: Mapping[str, Any]) -> None:
        """Count a refusal. The callers of one network without an account count as one."""
        by = NOBODY if principal.id is None else principal
        client = network_of(address) if principal.id is None else address
        key = (action, str(by.id or client), str(subject.id), *map(str, after.values()))
        counted = self._counted[principal.id is not None]
        entry = counted.get(key)
        if entry is not None:
            entry["count"] += 1
        elif len(counted) >= MAX_COUNTED:
            self.dropped.inc()
        else:
            counted[key] = {
                "id": str(new_id()),
                "at": datetime.fromtimestamp(self.time.seconds(), UTC).isoformat(),
                "service": self.service,
                "action": action,
                **who(by, client),
                "object": what(subject),
                "after": dict(after),
                "count": 1,
                "request_id": REQUEST_ID.get(),
            }

    def close_minute(self) -> list[Entry]:
        """Begin to count anew, and return the entries to deliver; those beyond MAX_WAITING are dropped."""
        for counted in self._counted.values():
            self._waiting += counted.values()
            counted.clear()
        surplus = self._waiting[MAX_WAITING:]
        self.dropped.inc(sum(entry["count"] for entry in surplus))
        del self._waiting[MAX_WAITING:]
        return list(self._waiting)

    def delivered(self, number: int) -> None:
        """Forget the oldest *number* entries."""
        del self._waiting[:number]


REFUSALS: Final = web.AppKey("REFUSALS", Refusals)


@web.middleware
async def refusals_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count a request that is refused for an invalid credential or a missing permission; closed mode only."""
    try:
        return await handler(request)
    except (UnauthenticatedError, ForbiddenError) as exc:
        if scope_of(request.match_info.route) is not Scope.PUBLIC:  # what is public refuses log-ins
            _count(request, exc)
        raise


def _count(request: web.Request, exc: DomainError) -> None:
    if isinstance(exc, UnauthenticatedError) and not request.app[AUTHENTICATOR].has_credential(request):
        return  # a page was opened before a log-in: that is no attempt
    resource = request.match_info.route.resource
    method = request.method if request.method in METHODS else "other"
    route = f"{method} {'unmatched' if resource is None else resource.canonical}"
    principal = request.get(PRINCIPAL, NOBODY)
    subject = Subject("route", route, route)
    after = {"status": int(status_of(type(exc)))}
    request.app[REFUSALS].add(REQUEST_REFUSED, principal, client_address(request), subject, after)


def refusals_worker(send: Send) -> Context:
    """Return the cleanup context that delivers the refusals of each minute by *send*."""

    async def tick(app: web.Application) -> bool:
        await deliver_refusals(app, send)
        return False

    return worker("audit_refusals", tick, interval=MINUTE)


async def deliver_refusals(app: web.Application, send: Send) -> None:
    """Deliver the refusals up to now; while that is not possible, they wait."""
    entries = app[REFUSALS].close_minute()
    if not entries:
        return
    try:
        await send(app, entries)
    except (UnavailableError, RejectedError) as exc:
        log.warning("refusals are not in the audit yet", entries=len(entries), reason=str(exc))
    else:
        app[REFUSALS].delivered(len(entries))
