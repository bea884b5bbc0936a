"""Change many incidents with one click: each on its own, with a result for each."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tocsin.clients.incidents import INCIDENTS
from tocsin.contracts.incidents import ChangeIncident, IncidentStatus
from tocsin.kernel import tasks
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.web.ui import forms
from tocsin.web.ui.conflict import CurrentState, current_state

CONCURRENCY: Final = 8
"""Changes in flight: more would only wait for each other in the database."""
CONFLICT: Final = 409
VERBS: Final = {"acknowledge": IncidentStatus.ACKNOWLEDGED, "resolve": IncidentStatus.RESOLVED}


@dataclass(frozen=True, slots=True)
class BulkResult:
    """The result for one incident."""

    ref: str
    title: str
    done: bool
    """Whether the visitor changed it, now or before."""
    state: CurrentState | None
    """None if it is not known."""
    problem: str
    """Why it was not changed; empty if it was, or if the state explains it."""


class BulkChange:
    """One submission of the form."""

    def __init__(self, app: web.Application, form: Mapping[str, str], verb: str, actor: str) -> None:
        self._client = app[INCIDENTS]
        self._form = form
        self._status = VERBS[verb]
        self._actor = actor
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._unavailable = ""

    async def run(self, refs: Sequence[str]) -> list[BulkResult]:
        """Change each incident of *refs*; return their results in the same order."""
        return await tasks.gather(*(self._one(ref) for ref in dict.fromkeys(refs)))

    async def _one(self, ref: str) -> BulkResult:
        async with self._slots:
            if self._unavailable:
                return _failed(ref, f"Not tried: {self._unavailable}")
            try:
                return await self._change(ref)
            except UpstreamError as exc:
                self._unavailable = str(exc)
                return _failed(ref, f"It may or may not have been changed; trying again is safe. {exc}")
            except RejectedError as exc:
                return _failed(ref, str(exc))

    async def _change(self, ref: str) -> BulkResult:
        key = forms.idempotency_key(self._form, "bulk", ref, self._status, self._actor)
        change = ChangeIncident(status=self._status, actor=self._actor)
        try:
            incident = await self._client.change(ref, change, idempotency_key=key)
        except RejectedError as exc:
            if exc.status != CONFLICT:
                raise
            incident = await self._client.find(ref)
        state = current_state(incident)
        # The service accepts a status that the incident already has; the visitor still learns who was first.
        done = incident.status is self._status and state.by == self._actor
        return BulkResult(ref, incident.title, done=done, state=state, problem="")


def _failed(ref: str, problem: str) -> BulkResult:
    return BulkResult(ref, "", done=False, state=None, problem=problem)
