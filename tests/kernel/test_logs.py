"""Logs: one JSON object a line, whatever a caller sent."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextvars import Context
from typing import Any, TypeAlias

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import AN_HOUR
from tocsin.kernel import logs
from tocsin.kernel.line_writer import STANDARD_OUTPUT
from tocsin.kernel.request_id import REQUEST_ID

Capture: TypeAlias = pytest.CaptureFixture[str]
HOSTILE = ["a\r\nb", '{"event": "forged"}\n{"level": "error"}', "\x1b[2Jred", "\u2028\u2029\x85", "\0"]


@pytest.fixture
def written(capfd: Capture) -> Iterator[Capture]:
    """Configure logging for this test; what it writes is captured."""
    root = logging.getLogger()
    handlers, level, asyncio_level = root.handlers, root.level, logging.getLogger("asyncio").level
    others = structlog.get_config()
    logs.configure(service="alerts", level="INFO", instance="one")
    yield capfd
    structlog.configure(**others)
    root.handlers = handlers
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(asyncio_level)


def lines(written: Capture) -> list[dict[str, Any]]:
    STANDARD_OUTPUT.flush(AN_HOUR)
    text = written.readouterr().out
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert all(len(line) <= logs.MAX_LINE for line in text.split("\n"))
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_a_line_has_the_event_the_logger_the_time_and_the_request(written: Capture) -> None:
    REQUEST_ID.set("r-1")
    structlog.get_logger("x").info("something", number=1)
    (line,) = lines(written)
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "event": "something",
        "number": 1,
        "level": "info",
        "service": "alerts",
        "instance": "one",
        "request_id": "r-1",
    }


def test_events_below_the_level_are_not_written(written: Capture) -> None:
    structlog.get_logger("x").debug("unheard")
    logging.getLogger("x").debug("unheard")
    assert lines(written) == []


def test_the_loggers_of_the_standard_library_have_the_same_format(written: Capture) -> None:
    REQUEST_ID.set("r-1")
    logging.getLogger("aiohttp.server").error("went %s", "wrong", extra={"peer": "a\nb"})
    (line,) = lines(written)
    assert (line["event"], line["level"], line["service"]) == ("went wrong", "error", "alerts")
    assert (line["peer"], line["request_id"]) == ("a\nb", "r-1")


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_is_logged_unchanged_in_one_line(written: Capture, text: str) -> None:
    structlog.get_logger("x").info("request", path=text)
    logging.getLogger("x").warning("%s", text)
    first, second = lines(written)
    assert first["path"] == text
    assert second["event"] == text


def test_half_a_surrogate_pair_is_written_as_an_escape(written: Capture) -> None:
    structlog.get_logger("x").info("request", path="\ud800")
    (line,) = lines(written)
    assert line["path"] == "\ud800"


@pytest.mark.parametrize("text", ["x" * 2**20, "\x00" * 2**20, "\N{POLICE CARS REVOLVING LIGHT}" * 2**18])
def test_a_line_is_bounded_whatever_it_contains(written: Capture, text: str) -> None:
    structlog.get_logger("x").info("request", path=text, agent=text, nested={"a": [text]}, number=7)
    logging.getLogger("x").info(text, extra={"peer": text})
    first, _ = lines(written)
    assert first["number"] == 7
    assert first["path"].startswith(text[:10])
    assert first["path"].endswith("\N{HORIZONTAL ELLIPSIS}")


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "exception"]), st.text(max_size=20)), st.integers(1, 2_000))
def test_no_line_is_too_long_or_broken(fields: dict[str, str], times: int) -> None:
    line = logs.render(None, "info", {"event": "x", **{name: text * times for name, text in fields.items()}})
    assert len(line) <= logs.MAX_LINE
    assert line.isascii()
    assert json.loads(line)["event"] == "x"


def fail(depth: int) -> None:
    if depth == 0:
        message = "the end of a long story"
        raise ValueError(message)
    try:
        fail(depth - 1)
    except ValueError as exc:
        message = "x" * 500
        raise ValueError(message) from exc


@pytest.mark.parametrize("library", ["structlog", "logging"])
def test_a_traceback_is_part_of_its_line_and_keeps_its_end(written: Capture, library: str) -> None:
    try:
        fail(40)
    except ValueError:
        if library == "structlog":
            structlog.get_logger("x").exception("broke")
        else:
            logging.getLogger("x").exception("broke")
    (line,) = lines(written)
    assert line["level"] == "error"
    assert line["exception"].rstrip().endswith("x" * 100)


def test_values_without_a_json_form_are_logged_as_their_repr(written: Capture) -> None:
    structlog.get_logger("x").info("x", value={1, 2}, kind=ValueError("no"))
    (line,) = lines(written)
    assert (line["value"], line["kind"]) == ("{1, 2}", "ValueError('no')")


def test_dropped_lines_are_reported_in_the_same_format(written: Capture) -> None:
    line = json.loads(Context().run(STANDARD_OUTPUT.notice, 3))
    assert line.pop("timestamp")
    assert line == {
        "event": "log lines were dropped",
        "lines": 3,
        "level": "warning",
        "service": "alerts",
        "instance": "one",
    }
    assert lines(written) == []


def test_an_instance_without_a_name_is_named_by_its_process_id() -> None:
    program = (
        "import structlog; from tocsin.kernel import logs;"
        "logs.configure(service='x', level='INFO'); structlog.get_logger().info('x')"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)  # noqa: S603
    assert json.loads(process.stdout)["instance"].isdigit()
