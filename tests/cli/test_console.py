"""How lines, durations and versions come out."""

import json
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cli.processes import tocsin
from tocsin.cli import logs
from tocsin.cli.console import span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0, "0 s"),
        (59.6, "1 min"),
        (130.4, "2 min 10 s"),
        (3_600, "1 h"),
        (12_000, "3 h 20 min"),
        (90_061, "1 d 1 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float | None, words: str) -> None:
    assert span(seconds) == words


def test_a_request_becomes_a_short_line() -> None:
    entry = {
        "event": "request",
        "level": "info",
        "timestamp": "2026-11-21T10:00:00Z",
        "service": "alert-ingestion",
        "instance": "12",
        "request_id": "r-1",
        "method": "POST",
        "route": "/api/v1/alerts",
        "path": "/api/v1/alerts",
        "status": 201,
        "seconds": 0.0042,
        "bytes_in": 10,
        "remote": "127.0.0.1",
    }
    shown = logs.render("alerts", json.dumps(entry)).plain
    assert shown[8:] == " alerts        POST /api/v1/alerts 201 in 4.2 ms  request_id=r-1"


def test_an_event_keeps_what_it_says_beside_its_name() -> None:
    shown = logs.render("oncall", '{"event": "escalated", "level": "warning", "team": "Payments", "step": 2}').plain
    assert shown == "oncall        escalated  team=Payments  step=2"


def test_an_exception_follows_its_line() -> None:
    shown = logs.render("oncall", '{"event": "broke", "exception": "Traceback\\n  boom", "level": "error"}').plain
    assert shown == "oncall        broke\nTraceback\n  boom"


def test_what_is_not_json_keeps_its_words() -> None:
    assert logs.render("web", 'Fatal: "[1]" is no port').plain == 'web           Fatal: "[1]" is no port'


NAMES = st.text() | st.sampled_from(["event", "method", "path", "status", "seconds", "timestamp", "level", "exception"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("request") | st.lists(st.text())


REQUEST = st.fixed_dictionaries(
    {"event": st.just("request"), "method": VALUES, "path": VALUES, "status": VALUES, "seconds": VALUES}
)


@given(st.text() | (REQUEST | st.dictionaries(NAMES, VALUES)).map(json.dumps))
def test_whatever_a_service_prints_can_be_shown_and_steers_no_terminal(line: str) -> None:
    shown = logs.render("web", line).plain
    assert shown.lstrip("0123456789: ").startswith("web ")
    assert not set(shown) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}


async def test_the_version_is_printed() -> None:
    assert (await tocsin("--version")).out == f"tocsin {version('tocsin')}\n"


async def test_the_command_without_arguments_explains_itself() -> None:
    said = await tocsin()
    for name in ("up", "serve", "migrate", "alert", "incidents", "oncall", "check", "demo"):
        assert name in said.out + said.err


async def test_an_unknown_command_is_refused_with_where_to_look() -> None:
    said = await tocsin("upp")
    assert said.status == 2
    assert "No such command 'upp'" in said.err
