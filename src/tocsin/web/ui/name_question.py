"""Ask who the visitor is, before the first action that is recorded under their name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tocsin.clients.oncall import ONCALL
from tocsin.clients.oncall import PEER as ONCALL_SERVICE
from tocsin.contracts.people import Person
from tocsin.kernel.pagination import MAX_LIMIT
from tocsin.web.ui import preferences, templating
from tocsin.web.ui.page_loader import PageLoader

UNPROCESSABLE: Final = 422


@dataclass(frozen=True, slots=True)
class Choice:
    """A name to choose."""

    name: str
    teams: str
    """The teams of whoever has this name, such as `Payments, Search`."""


async def ask_name(request: web.Request, fields: Iterable[tuple[str, str]]) -> web.Response:
    """Respond with the question, whose answer submits the form with these *fields* again, with a name.

    It offers the newest people; while the on-call service is unavailable, those that were loaded last.
    """
    load = PageLoader(request.app)
    response = request.app[ONCALL].people(budget=load.budget, limit=MAX_LIMIT)
    people = await load.fetch_cached("people", ONCALL_SERVICE, response)
    context = {
        "choices": choices_of(people.value.items if people.value else []),
        "anonymous": preferences.ANONYMOUS,
        "action": request.path,
        "fields": [(name, value) for name, value in fields if name != "actor"],
    }
    template = "ui/name_question.html"
    return templating.render(request, template, blocks=("notices",), context=context, status=UNPROCESSABLE)


def choices_of(people: Iterable[Person]) -> Sequence[Choice]:
    """Return the names to choose from, in their order. Equal names are one choice: the name is what is recorded."""
    teams: dict[str, set[str]] = {}
    for person in people:
        teams.setdefault(person.name, set()).update(item.team for item in person.teams)
    return [Choice(name, ", ".join(sorted(teams[name]))) for name in sorted(teams, key=str.casefold)]
