"""Format the services' JSON log lines for a terminal: time, service, event, and the other fields dimmed."""

import json
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from tocsin.cli.console import Reporter, encoded, escape_control, indent_lines, styled
from tocsin.kernel.line_writer import STANDARD_OUTPUT

COLOURS: Final = {
    "alerts": "cyan",
    "incidents": "magenta",
    "oncall": "yellow",
    "notifications": "green",
    "web": "blue",
    "postgresql": "bright_black",
    "tocsin": "bold",
}
WIDTH: Final = max(map(len, COLOURS))
LEVEL_STYLES: Final = {"warning": "yellow", "error": "red", "critical": "bold red"}
SHOWN: Final = frozenset({"timestamp", "level", "service", "instance", "logger", "event"})
"""Fields that are not repeated: they are shown in another form, or implied by the prefix."""


def show(service: str, line: bytes, reporter: Reporter) -> None:
    """Print one line of a service's output; if the output is raw, only control and format characters are escaped."""
    text = line.decode(errors="replace").rstrip()
    if text:
        shown = escape_control(text) if reporter.raw else render(service, text, coloured=reporter.coloured)
        STANDARD_OUTPUT.write(encoded(shown))


def render(service: str, line: str, *, coloured: bool = False) -> str:
    """Return *line* formatted. A line that is not a JSON object is shown whole.

    Fields may contain text of senders: they are escaped, so that one line of output stays one line here.
    """
    prefix = (f"{service:<{WIDTH}} ", COLOURS.get(service, ""))
    entry = _entry(line)
    if entry is None:
        parts = [prefix, (escape_control(line), "")]
    else:
        parts = [
            (_clock(entry.get("timestamp")), "bright_black"),
            prefix,
            (escape_control(_message(entry)), _style(entry)),
            (escape_control(_rest(entry)), "bright_black"),
            (f"\n{indent_lines(str(entry['exception']))}" if "exception" in entry else "", "red"),
        ]
    return "".join(styled(text, style) if coloured else text for text, style in parts)


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _clock(timestamp: object) -> str:
    """Return the local time of day; empty for a value that is not a timestamp."""
    try:
        return f"{datetime.fromisoformat(str(timestamp)).astimezone():%H:%M:%S} "
    except (ValueError, OverflowError):  # the year 1 has no local time west of Greenwich
        return ""


def _message(entry: dict[str, Any]) -> str:
    if _is_request(entry):
        return f"{entry['method']} {entry['path']} {entry['status']} in {1000 * entry['seconds']:.1f} ms"
    return str(entry.get("event", ""))


def _style(entry: dict[str, Any]) -> str:
    """Return a line's style: by its level, a request's by its status."""
    status = entry.get("status") if _is_request(entry) else None
    if isinstance(status, int):
        return (
            "red"
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR
            else "yellow"
            if status >= HTTPStatus.BAD_REQUEST
            else "dim"
        )
    return LEVEL_STYLES.get(str(entry.get("level")), "")


def _rest(entry: dict[str, Any]) -> str:
    shown = SHOWN | {"exception"}
    if _is_request(entry):
        shown |= {"method", "path", "route", "status", "seconds", "bytes_in", "remote"}
    return "".join(f"  {name}={_value(value)}" for name, value in entry.items() if name not in shown)


def _is_request(entry: dict[str, Any]) -> bool:
    is_event = entry.get("event") == "request" and {"method", "path", "status"} <= entry.keys()
    return is_event and isinstance(entry.get("seconds"), float)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
