"""Format the services' JSON log lines for a terminal: time, service, event, and the other fields dimmed."""

import json
import sys
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from rich.text import Text

from tocsin.cli.console import OUT, escape_control, indent_lines

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


def show(service: str, line: bytes, *, raw: bool) -> None:
    """Print one line of a service's output, unchanged with *raw*."""
    text = line.decode(errors="replace").rstrip("\r\n")
    if raw:
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            OUT.on_broken_pipe()
    elif text.strip():
        OUT.print(render(service, text))


def render(service: str, line: str) -> Text:
    """Return *line* formatted. A line that is not a JSON object is shown whole.

    Fields may contain text of senders: they are escaped, so that one line of output stays one line here.
    """
    prefix = Text(f"{service:<{WIDTH}} ", style=COLOURS.get(service, ""))
    entry = _entry(line)
    if entry is None:
        return Text.assemble(prefix, escape_control(line))
    return Text.assemble(
        (_clock(entry.get("timestamp")), "bright_black"),
        prefix,
        (escape_control(_message(entry)), _style(entry)),
        (escape_control(_rest(entry)), "bright_black"),
        (f"\n{indent_lines(str(entry['exception']))}" if "exception" in entry else "", "red"),
    )


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _clock(timestamp: object) -> str:
    """Return the local time of day; empty for a value that is not a timestamp."""
    try:
        return f"{datetime.fromisoformat(str(timestamp)).astimezone():%H:%M:%S} "
    except ValueError:
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
    return is_event and isinstance(entry.get("seconds"), int | float)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
