"""The name under which the commands act."""

import asyncio
import os
import pty
from pathlib import Path

import pytest

from tests.cli.conftest import FakeGateway, problem
from tests.cli.test_commands import INCIDENT, ONE
from tests.support.cli.processes import TOCSIN, tocsin
from tests.support.web import demo_data
from tocsin.contracts.model import Page
from tocsin.contracts.people import Person

ACKNOWLEDGE = ("incidents", "ack", "12")
PEOPLE = "GET /api/v1/people"


async def on_a_terminal(typed: str, **environment: str) -> str:
    """Acknowledge the incident on a terminal on which this is *typed*; return what the command prints there."""
    ours, its_own = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        str(TOCSIN), *ACKNOWLEDGE, env={**os.environ, **environment}, stdin=its_own, stdout=its_own, stderr=its_own
    )
    os.close(its_own)
    os.write(ours, typed.encode())
    output = await asyncio.to_thread(_read_to_end, ours)
    os.close(ours)
    assert await process.wait() == 0, output
    return output


def _read_to_end(terminal: int) -> str:
    output = b""
    while True:
        try:
            output += os.read(terminal, 4096)
        except OSError:  # the process has ended
            return output.decode()


@pytest.fixture
def people(gateway: FakeGateway) -> FakeGateway:
    gateway.responses[f"PATCH {ONE}"] = (200, INCIDENT)
    page = Page[Person](items=[demo_data.person("Tomás Rivera"), demo_data.person("ann\x1b[2J")], next_cursor=None)
    gateway.responses[PEOPLE] = (200, page.model_dump(mode="json"))
    return gateway


def actors(gateway: FakeGateway) -> list[str]:
    return [body["actor"] for target, _, body in gateway.requests if target == f"PATCH {ONE}"]


async def test_the_first_change_on_a_terminal_asks_who_makes_it_and_the_next_one_knows(people: FakeGateway) -> None:
    output = await on_a_terminal("2\n")
    assert "Who are you?" in output
    assert "1  ann\\x1b[2J" in output
    assert "2  Tomás Rivera" in output
    output = await on_a_terminal("")
    assert "Who are you?" not in output
    await tocsin(*ACKNOWLEDGE)
    assert actors(people) == ["Tomás Rivera"] * 3


@pytest.mark.parametrize(("typed", "name"), [("Zoë\n", "Zoë"), ("\n", "grace"), ("3\n", "3"), ("²\n", "²")])
async def test_another_name_can_be_typed_and_the_user_of_the_machine_is_the_default(
    people: FakeGateway, typed: str, name: str
) -> None:
    await on_a_terminal(typed, LOGNAME="grace")
    assert actors(people) == [name]


async def test_without_the_on_call_service_the_name_is_typed(people: FakeGateway) -> None:
    people.responses[PEOPLE] = (422, problem(422, "not now"))
    assert "Who are you?" in await on_a_terminal("Ann\n")
    assert actors(people) == ["Ann"]


async def test_a_name_that_cannot_be_kept_is_used_all_the_same(people: FakeGateway, tmp_path: Path) -> None:
    file = tmp_path / "no-folder"
    file.touch()
    output = await on_a_terminal("Ann\n", XDG_CONFIG_HOME=str(file))
    assert "cannot be kept" in output
    assert "TOCSIN_ACTOR" in output
    assert actors(people) == ["Ann"]


async def test_the_environment_overrides_the_choice(people: FakeGateway) -> None:
    await on_a_terminal("1\n")
    assert "Who are you?" not in await on_a_terminal("", TOCSIN_ACTOR="Dele")
    assert actors(people) == ["ann\x1b[2J", "Dele"]
