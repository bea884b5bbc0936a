"""How log lines, durations and versions are printed."""

import json
import re
import unicodedata
from importlib.metadata import version

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.cli.processes import tocsin
from tocsin.cli import console, logs
from tocsin.cli.console import INDENT, UNSAFE, CommandError, Reporter, duration, print_error


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
def test_a_duration_is_written_in_its_two_largest_units(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


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
    shown = logs.render("alerts", json.dumps(entry))
    assert shown[8:] == " alerts        POST /api/v1/alerts 201 in 4.2 ms  request_id=r-1"


def test_an_event_is_followed_by_its_fields() -> None:
    shown = logs.render("oncall", '{"event": "escalated", "level": "warning", "team": "Payments", "step": 2}')
    assert shown == "oncall        escalated  team=Payments  step=2"


def test_an_exception_follows_its_line_indented() -> None:
    shown = logs.render("oncall", '{"event": "broke", "exception": "Traceback\\n  boom", "level": "error"}')
    assert shown == "oncall        broke\n    Traceback\n      boom"


def test_a_line_that_is_not_json_is_shown_whole() -> None:
    assert logs.render("web", 'Fatal: "[1]" is no port') == 'web           Fatal: "[1]" is no port'


@pytest.mark.parametrize(
    "line",
    [
        "[" * 60_000,
        '{"event": "x", "a": ' + "[" * 900 + "]" * 900 + "}",
        '{"event": "request", "method": "GET", "path": "/", "status": 200, "seconds": 1' + "0" * 4_000 + "}",
        '{"event": "request", "method": "GET", "path": "/", "status": 200, "seconds": 1e999}',
        '{"event": "x", "timestamp": "0001-01-01T00:00:00+23:00"}',
        '{"event": "x", "timestamp": "9999-12-31T23:59:59-23:00"}',
    ],
)
def test_a_line_that_cannot_be_formatted_is_shown_all_the_same(line: str) -> None:
    assert "web  " in logs.render("web", line)


def test_a_terminal_gets_colours_and_the_same_text() -> None:
    line = '{"event": "broke", "level": "error", "timestamp": "2026-11-21T10:00:00Z", "team": "\\u001b[2J"}'
    shown = logs.render("web", line, coloured=True)
    assert "\x1b[31mbroke\x1b[0m" in shown
    assert re.sub(r"\x1b\[[0-9;]+m", "", shown) == logs.render("web", line)


NAMES = st.text() | st.sampled_from(["event", "method", "path", "status", "seconds", "timestamp", "level", "exception"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("request") | st.lists(st.text())


REQUEST = st.fixed_dictionaries(
    {"event": st.just("request"), "method": VALUES, "path": VALUES, "status": VALUES, "seconds": VALUES}
)


@given(st.text() | (REQUEST | st.dictionaries(NAMES, VALUES)).map(json.dumps))
def test_no_line_of_a_service_can_control_the_terminal_or_forge_another_line(line: str) -> None:
    shown = logs.render("web", line)
    assert shown.lstrip("0123456789: ").startswith("web ")
    first, *others = shown.split("\n")
    assert not any(unicodedata.category(character) in UNSAFE for character in first + "".join(others))
    assert all(other.startswith(INDENT) for other in others)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "down\n12:00:00 oncall        stopped",
            r"down\n12:00:00 oncall        stopped",
        ),
        ("\u202edevloser", r"\u202edevloser"),
        ("\x1b[2J\x9b2J", r"\x1b[2J\x9b2J"),
        ("\u2028next\U000e0041", r"\u2028next\U000e0041"),
        ("one\r12:00:00 oncall        stopped", r"one\r12:00:00 oncall        stopped"),
        ("\u2029\u200d\u2066\ufeff\x85\ud800", r"\u2029\u200d\u2066\ufeff\x85\ud800"),
    ],
)
def test_an_alert_cannot_forge_a_log_line(message: str, shown: str) -> None:
    line = json.dumps({"event": "alert", "message": message})
    assert logs.render("alerts", line) == f"alerts        alert  message={shown}"
    assert logs.render("alerts", json.dumps({"event": message})) == f"alerts        {shown}"


class Terminal:
    """Collects what is printed."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, line: bytes) -> None:
        self.text += line.decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    for module in (logs, console):
        monkeypatch.setattr(module, "STANDARD_OUTPUT", made)
    return made


@given(line=st.binary() | st.text().map(str.encode), raw=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_output_of_a_service_is_one_line_without_control_characters(
    terminal: Terminal, line: bytes, *, raw: bool
) -> None:
    terminal.text = ""
    logs.show("web", line.replace(b"\n", b" "), Reporter(raw=raw))
    assert terminal.text.count("\n") <= 1
    assert not any(unicodedata.category(character) in UNSAFE for character in terminal.text.replace("\n", ""))


def test_a_structured_log_line_is_unchanged_in_raw_output(terminal: Terminal) -> None:
    line = json.dumps({"event": "alert", "message": "\u202e\r\x1b"}).encode()
    logs.show("web", line, Reporter(raw=True))
    assert terminal.text == f"{line.decode()}\n"


def test_a_warning_is_one_line(terminal: Terminal) -> None:
    Reporter().warn("PostgreSQL: a\r\nb\u202e")
    assert terminal.text == "!! PostgreSQL: a\\r\\nb\\u202e\n"


@pytest.mark.parametrize("text", ["a\rb", "a\u202eb", "a\x1b[2Kb", "a\ud800b", ":kiss_man_man:"])
def test_an_error_that_quotes_another_process_is_escaped(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_error(CommandError(f"first\n{text}", text))
    shown = text.encode("unicode_escape").decode()
    assert capsys.readouterr().err == f"tocsin: first\n{shown}\n{shown}\n"


def test_a_log_line_keeps_letters_of_every_script() -> None:
    assert logs.render("web", '{"event": "zażółć 監視 سلام"}') == "web           zażółć 監視 سلام"


async def test_the_version_is_printed() -> None:
    assert (await tocsin("--version")).out == f"tocsin {version('tocsin')}\n"


async def test_the_command_without_arguments_prints_its_help() -> None:
    result = await tocsin()
    for name in ("up", "serve", "migrate", "alert", "incidents", "oncall", "check", "demo"):
        assert name in result.out + result.err


async def test_an_unknown_command_is_refused() -> None:
    result = await tocsin("upp")
    assert result.status == 2
    assert "No such command 'upp'" in result.err
