"""One page's questions to the services: what is away becomes part of the page, not an error of it."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from aiohttp import web

from tocsin.kernel import clock
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.http_client import Budget
from tocsin.web.views.answer import Answer
from tocsin.web.views.away import Degraded, degraded

T = TypeVar("T")
REMEMBERED: Final = 500
"""How many answers a process keeps: one for the strip, one an incident looked at."""


@dataclass(slots=True)
class Memory:
    """What this process knows of the services between two pages."""

    away: dict[str, datetime] = field(default_factory=dict)
    """Since when a service has not answered."""
    _known: dict[str, Answer[Any]] = field(default_factory=dict)

    def recall(self, key: str) -> Answer[Any] | None:
        """Return what was last known under *key*."""
        return self._known.get(key)

    def keep(self, key: str, answer: Answer[Any]) -> None:
        """Remember *answer*, and forget what has not been renewed for longest once there is too much."""
        self._known.pop(key, None)
        self._known[key] = answer
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]


MEMORY = web.AppKey("MEMORY", Memory)


class Round:
    """The questions of one page, all within the same short time."""

    def __init__(self, memory: Memory, seconds: float) -> None:
        self.at: Final = clock.now()
        self.budget: Final = Budget(attempts=1, seconds=seconds, attempt_seconds=seconds)
        self._memory = memory
        self._asked: set[str] = set()
        self._failed: set[str] = set()

    async def ask(self, peer: str, question: Awaitable[T]) -> T | None:
        """Await *question*; None where *peer* is away, or refuses it because something vanished since it was listed."""
        self._asked.add(peer)
        try:
            return await question
        except UpstreamError:
            self._failed.add(peer)
        except RejectedError:
            return None
        return None

    async def recall(self, key: str, peer: str, question: Awaitable[T]) -> Answer[T]:
        """Ask, and remember the answer under *key*; where *peer* is away, return what was last known."""
        value = await self.ask(peer, question)
        if value is None:
            return self._memory.recall(key) or Answer(None, self.at, fresh=False)
        self._memory.keep(key, Answer(value, self.at, fresh=False))
        return Answer(value, self.at, fresh=True)

    def close(self) -> Degraded:
        """Take down who answered and who did not; say what that means."""
        for peer in self._asked - self._failed:
            self._memory.away.pop(peer, None)
        for peer in self._failed:
            self._memory.away.setdefault(peer, self.at)
        return degraded({peer: self._memory.away[peer] for peer in self._failed}, self._asked, self.at)
