"""How far the paging for an incident has come: the fuse, who was paged, the ladder."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from tocsin.contracts.escalations import Escalation, EscalationPage, Level
from tocsin.web.views import words

NAMED: Final = 2
"""How many people a fuse names; more are everyone."""
RUNGS: Final = 4
"""How many steps of the past a ladder shows."""


@dataclass(frozen=True, slots=True)
class Fuse:
    """The next page, and how long until then."""

    who: str
    at: datetime
    left: float
    """Seconds; 0 when it is due."""
    full: float


@dataclass(frozen=True, slots=True)
class Paged:
    """The last page."""

    people: list[str]
    at: datetime
    channels: int


@dataclass(frozen=True, slots=True)
class Rung:
    """One step that was taken."""

    number: int
    people: list[str]
    level: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Paging:
    """The paging for one incident, as its page and its card show it."""

    team: str | None
    team_reason: str | None
    fuse: Fuse | None
    last: Paged | None
    rungs: list[Rung]
    next_number: int
    next_level: str
    stopped_at: datetime | None
    minutes_a_level: str


def paging_of(escalation: Escalation, now: datetime) -> Paging:
    """Read *escalation* as of *now*."""
    steps = [(number, list(pages)) for number, pages in groupby(_in_order(escalation), key=lambda page: page.step)]
    rungs = [
        Rung(number, _people(pages), words.LEVEL_WORDS[pages[0].level], pages[0].created_at) for number, pages in steps
    ]
    return Paging(
        team=escalation.team,
        team_reason=escalation.team_reason,
        fuse=_fuse(escalation, now),
        last=_last(steps[-1][1]) if steps else None,
        rungs=rungs[-RUNGS:],
        next_number=escalation.step + 1,
        next_level=words.LEVEL_WORDS[escalation.next_level] if escalation.next_level else "",
        stopped_at=escalation.stopped_at,
        minutes_a_level=words.lasting(escalation.timeout_seconds),
    )


def _in_order(escalation: Escalation) -> list[EscalationPage]:
    return sorted(escalation.pages, key=lambda page: page.step)


def _people(pages: list[EscalationPage]) -> list[str]:
    return list(dict.fromkeys(page.person for page in pages))


def _last(pages: list[EscalationPage]) -> Paged:
    return Paged(_people(pages), pages[0].created_at, len({page.channel for page in pages}))


def _fuse(escalation: Escalation, now: datetime) -> Fuse | None:
    if escalation.next_action_at is None or escalation.stopped_at is not None:
        return None
    people = escalation.next_people
    everyone = escalation.next_level is Level.EVERYONE or len(people) > NAMED
    who = "everyone" if everyone else words.listed(people) or "the catch-all contact"
    left = words.since(now, escalation.next_action_at)
    return Fuse(who, escalation.next_action_at, left, max(float(escalation.timeout_seconds), left))
