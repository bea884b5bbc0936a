"""One click for many incidents: each is changed for itself, and what became of each is said."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tocsin.clients.incidents import INCIDENTS
from tocsin.contracts.incidents import ChangeIncident, IncidentStatus
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.web import forms
from tocsin.web.views.standing import Standing, standing_of

AT_ONCE: Final = 8
"""Changes under way at a time: more would only wait for each other in the database."""
CONFLICT: Final = 409
VERBS: Final = {"acknowledge": IncidentStatus.ACKNOWLEDGED, "resolve": IncidentStatus.RESOLVED}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one incident."""

    ref: str
    title: str
    done: bool
    """It is so now, and whoever asked made it so, just now or before."""
    standing: Standing | None
    """How it stands; None where that is not known."""
    problem: str
    """Why it was not changed; empty where it was, or where how it stands says enough."""


class Bulk:
    """One submission of the form."""

    def __init__(self, app: web.Application, form: Mapping[str, str], verb: str, actor: str) -> None:
        self._client = app[INCIDENTS]
        self._form = form
        self._status = VERBS[verb]
        self._actor = actor
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._away = ""

    async def run(self, refs: Sequence[str]) -> list[Outcome]:
        """Change each incident of *refs*; return what became of them, in their order."""
        return list(await asyncio.gather(*(self._one(ref) for ref in dict.fromkeys(refs))))

    async def _one(self, ref: str) -> Outcome:
        async with self._slots:
            if self._away:
                return Outcome(ref, "", done=False, standing=None, problem=f"Not tried: {self._away}")
            try:
                return await self._change(ref)
            except UpstreamError as exc:
                self._away = str(exc)
                unknown = "Whether it was changed is not known; what is done is not done twice. "
                return Outcome(ref, "", done=False, standing=None, problem=unknown + str(exc))
            except RejectedError as exc:
                return Outcome(ref, "", done=False, standing=None, problem=str(exc))

    async def _change(self, ref: str) -> Outcome:
        key = forms.idempotency_key(self._form, "bulk", ref, self._status, self._actor)
        change = ChangeIncident(status=self._status, actor=self._actor)
        try:
            incident = await self._client.change(ref, change, idempotency_key=key)
        except RejectedError as exc:
            if exc.status != CONFLICT:
                raise
            incident = await self._client.find(ref)
        standing = standing_of(incident)
        # What it is already is no error to the service; whoever asked is told all the same who it was.
        done = incident.status is self._status and standing.by == self._actor
        return Outcome(ref, incident.title, done=done, standing=standing, problem="")
