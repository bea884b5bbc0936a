"""The progress of the paging for an incident: the next page, who was paged, the escalation steps."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from tocsin.contracts.escalations import CATCH_ALL_PERSON, Escalation, EscalationPage, Level
from tocsin.web.ui import format as fmt

MAX_NAMES: Final = 2
"""The maximum number of people that the next page is announced for by name; more are `everyone`."""
STEPS_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class NextPage:
    """The next page, and how long until then."""

    who: str
    short: str
    """The same with first names only."""
    at: datetime
    left: float
    """Seconds; 0 when it is due."""
    full: float
    """Seconds from the page before to this one."""


@dataclass(frozen=True, slots=True)
class LastPage:
    """The last page."""

    people: list[str]
    at: datetime
    channels: int


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """One executed step of the escalation."""

    number: int
    people: list[str]
    level: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Paging:
    """The paging for one incident, as its page and its card show it."""

    team: str | None
    team_reason: str | None
    next_page: NextPage | None
    last_page: LastPage | None
    steps: list[EscalationStep]
    next_number: int
    next_level: str
    stopped_at: datetime | None
    time_per_level: str


def paging_of(escalation: Escalation, now: datetime) -> Paging:
    """Return the paging that *escalation* describes, as of *now*."""
    pages = sorted(escalation.pages, key=lambda page: page.step)
    executed = [(number, list(group)) for number, group in groupby(pages, key=lambda page: page.step)]
    steps = [
        EscalationStep(number, _people(group), fmt.LEVEL_LABELS[group[0].level], group[0].created_at)
        for number, group in executed
    ]
    return Paging(
        team=escalation.team,
        team_reason=escalation.team_reason,
        next_page=_next_page(escalation, now),
        last_page=_last_page(executed[-1][1]) if executed else None,
        steps=steps[-STEPS_SHOWN:],
        next_number=escalation.step + 1,
        next_level=fmt.LEVEL_LABELS[escalation.next_level] if escalation.next_level else "",
        stopped_at=escalation.stopped_at,
        time_per_level=fmt.duration(escalation.timeout_seconds),
    )


def _people(pages: list[EscalationPage]) -> list[str]:
    return list(dict.fromkeys(page.person for page in pages))


def _last_page(pages: list[EscalationPage]) -> LastPage:
    return LastPage(_people(pages), pages[0].created_at, len({page.channel for page in pages}))


def _next_page(escalation: Escalation, now: datetime) -> NextPage | None:
    if escalation.next_action_at is None or escalation.stopped_at is not None:
        return None
    people = escalation.next_people
    if escalation.next_level is Level.EVERYONE or len(people) > MAX_NAMES:
        who = short = "everyone"
    elif escalation.next_level is Level.CATCH_ALL or not people:
        who = short = CATCH_ALL_PERSON
    else:
        who, short = fmt.listed(people), fmt.listed([person.split(" ")[0] for person in people])
    left = fmt.since(now, escalation.next_action_at)
    return NextPage(who, short, escalation.next_action_at, left, max(float(escalation.timeout_seconds), left))
