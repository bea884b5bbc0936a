"""Load the parts of one page: a service that is unavailable becomes part of the page, not an error."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from aiohttp import web

from tocsin.kernel import clock, tasks
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.http_client import Budget
from tocsin.kernel.principal import ON_BEHALF_OF, Principal, Scope
from tocsin.web.settings import SETTINGS
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.outages import Outages, outages_of

T = TypeVar("T")
SOON_SHARE: Final = 0.2
CACHE_SIZE: Final = 500
"""Values that a process keeps: one for the on-call strip, one for each incident viewed."""


@dataclass(slots=True)
class Cache:
    """The outages and responses of services that this process remembers from page to page."""

    unavailable_since: dict[str, datetime] = field(default_factory=dict)
    """When each unavailable service was first found to be so."""
    _values: dict[str, Cached[Any]] = field(default_factory=dict)

    def get(self, key: str) -> Cached[Any] | None:
        """Return the value last stored under *key*."""
        return self._values.get(key)

    def put(self, key: str, value: Cached[Any]) -> None:
        """Store *value*, and evict the least recently stored one when the cache is full."""
        self._values.pop(key, None)
        self._values[key] = value
        if len(self._values) > CACHE_SIZE:
            del self._values[next(iter(self._values))]


CACHE = web.AppKey("CACHE", Cache)
NO_ADDRESS: Final = "no address"
"""The readers who see no address: what is cached for them can be shown to everybody."""


def _reader(principal: Principal | None) -> str:
    """Return the same text for principals who get the same responses, in which some addresses are masked."""
    if principal is None or Scope.ADMIN in principal.scopes:
        return "every address"
    if principal.person_id is None:
        return NO_ADDRESS
    return f"{principal.person_id} {Scope.MANAGE in principal.scopes}"


class PageLoader:
    """The requests for one page, all within the same short time."""

    def __init__(self, app: web.Application) -> None:
        seconds = app[SETTINGS].part_seconds
        self.at: Final = clock.now()
        self.budget: Final = Budget(attempts=1, seconds=seconds, attempt_seconds=seconds)
        self._cache = app[CACHE]
        self._reader = _reader(ON_BEHALF_OF.get())
        self._requested: set[str] = set()
        self._failed: set[str] = set()

    async def fetch(self, peer: str, response: Awaitable[T]) -> T | None:
        """Await *response*; None if *peer* is unavailable, or rejects the request because the object was deleted."""
        self._requested.add(peer)
        try:
            return await response
        except UpstreamError:
            self._failed.add(peer)
        except RejectedError:
            return None
        return None

    async def fetch_cached(self, key: str, peer: str, response: Awaitable[T]) -> Cached[T]:
        """Await *response* and cache it under *key*; while *peer* is unavailable, return what is cached."""
        return self.remember(key, await self.fetch(peer, response))

    def remember(self, key: str, value: T | None) -> Cached[T]:
        """Cache *value* under *key*; if it could not be loaded, return what is cached for readers who see the same."""
        if value is None:
            found = self._cache.get(f"{self._reader} {key}") or self._cache.get(f"{NO_ADDRESS} {key}")
            return found or Cached(None, self.at, fresh=False)
        self._cache.put(f"{self._reader} {key}", Cached(value, self.at, fresh=False))
        return Cached(value, self.at, fresh=True)

    async def is_soon_done(self, task: asyncio.Task[Any]) -> bool:
        """Wait for *task*, on which another request depends, for a small part of the time that a request may take."""
        await tasks.wait({task}, seconds=self.budget.seconds * SOON_SHARE)
        return task.done()

    def outages(self) -> Outages:
        """Record which services responded and which did not; return the outages to show."""
        since = self._cache.unavailable_since
        for peer in self._requested - self._failed:
            since.pop(peer, None)
        for peer in self._failed:
            since.setdefault(peer, self.at)
        return outages_of({peer: since[peer] for peer in self._failed}, self._requested, self.at)
