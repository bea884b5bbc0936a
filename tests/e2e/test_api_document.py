"""Every example of `docs/api.md`, run in its order against the five services."""

import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

import pytest
from aiohttp import ClientSession

from tests.support.system import System, running_system
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
PAGE: Final = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLE: Final = re.compile(r"```sh\n(curl .*?)\n```\n\n→ (\d{3})\n\n```json\n(.*?)\n```", re.DOTALL)
CLOSED_SETS: Final = {
    "action",
    "channel",
    "event_type",
    "kind",
    "level",
    "outcome",
    "severity",
    "status",
    "title",
    "type",
}
"""Fields whose value, not only its kind, is what the page says."""


@dataclass(slots=True)
class Call:
    """What one curl command does."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None


def parsed(command: str, variables: Mapping[str, str]) -> Call:
    """Read a curl command with -X, -H and --json, with its shell variables replaced."""
    words = iter(shlex.split(Template(command).substitute(variables))[1:])
    call = Call("GET", "", {}, None)
    for word in words:
        if word == "-X":
            call.method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            call.headers[name] = value
        elif word == "--json":
            call.body = next(words)
            call.headers["Content-Type"] = "application/json"
            call.method = "POST" if call.method == "GET" else call.method
        else:
            call.url = word
    return call


def differences(shown: Any, real: Any, place: str = "") -> Iterator[str]:
    """Yield where what the page shows is not in what the service answered; one item of a list must be as shown."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            if not isinstance(real, dict) or name not in real:
                yield f"{place}.{name} is not there"
            elif name in CLOSED_SETS and value != real[name]:
                yield f"{place}.{name} is {real[name]!r}, not {value!r}"
            else:
                yield from differences(value, real[name], f"{place}.{name}")
    elif isinstance(shown, list) and shown:
        if not isinstance(real, list) or not real:
            yield f"{place} is {real!r}"
        else:
            yield from min((list(differences(shown[0], item, f"{place}[]")) for item in real), key=len)
    elif kind(shown) != kind(real):
        yield f"{place} is {real!r}, of another kind than {shown!r}"


def kind(value: Any) -> str:
    """Return what JSON calls the kind of *value*."""
    kinds = (("boolean", bool), ("number", (int, float)), ("string", str), ("array", list), ("object", dict))
    return next((name for name, types in kinds if isinstance(value, types)), "null")


async def expect(session: ClientSession, call: Call, status: int, shown: Any) -> Any:
    """Make the call; return the answer, which must be as shown: at once, or for a GET soon."""
    found: list[str] = []
    body: Any = None

    async def as_shown() -> bool:
        nonlocal found, body
        async with session.request(call.method, call.url, headers=call.headers, data=call.body) as response:
            body = await response.json(content_type=None)
            found = [f"status {response.status}: {body}"] if response.status != status else []
        found += differences(shown, body)
        return not found or call.method != "GET"

    try:
        await eventually(as_shown)  # what a change sets off can be read a moment later
    finally:
        assert not found, f"{call}: {found}"
    return body


@pytest.fixture
async def system(db_dsn: str, tmp_path: Path) -> AsyncIterator[System]:
    """Five processes, and nothing in them yet. Nobody but the first is paged."""
    async with running_system(db_dsn, tmp_path, {"ESCALATION_TIMEOUT_MINUTES": "5"}) as running:
        yield running


async def test_the_examples_return_what_the_page_documents(system: System) -> None:
    text = PAGE.read_text().replace("http://127.0.0.1:8080", system["web"].url)
    assert len(EXAMPLE.findall(text)) == text.count("```sh")
    variables: dict[str, str] = {}
    for command, status, shown in EXAMPLE.findall(text):
        call = parsed(command, variables)
        body = await expect(system.session, call, int(status), json.loads(shown))
        for name, value in body.items():
            if name.endswith("_id") and value is not None:
                variables.setdefault(name.upper(), value)
