"""The services' JSON log lines in a form for people: time, service, what happened, the rest dimmed behind it."""

import json
import sys
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from rich.text import Text

from tocsin.cli.console import OUT, harmless

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
LOUD: Final = {"warning": "yellow", "error": "red", "critical": "bold red"}
IMPLIED: Final = frozenset({"timestamp", "level", "service", "instance", "logger", "event"})
"""Shown in their own place, or said by the prefix."""


def show(service: str, line: bytes, *, raw: bool) -> None:
    """Print one line of a service's output: as it is, or in the form for people."""
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
    """Return *line* for a terminal. What is not a JSON object keeps its words."""
    prefix = Text(f"{service:<{WIDTH}} ", style=COLOURS.get(service, ""))
    entry = _entry(line)
    if entry is None:
        return Text.assemble(prefix, harmless(line))
    return Text.assemble(
        (_clock(entry.get("timestamp")), "bright_black"),
        prefix,
        (harmless(_message(entry)), _style(entry)),
        (harmless(_rest(entry)), "bright_black"),
        (f"\n{harmless(str(entry['exception']))}" if "exception" in entry else "", "red"),
    )


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _clock(timestamp: object) -> str:
    """Return the time of day here; what cannot be read as an instant is left out."""
    try:
        return f"{datetime.fromisoformat(str(timestamp)).astimezone():%H:%M:%S} "
    except ValueError:
        return ""


def _message(entry: dict[str, Any]) -> str:
    if _is_request(entry):
        return f"{entry['method']} {entry['path']} {entry['status']} in {1000 * entry['seconds']:.1f} ms"
    return str(entry.get("event", ""))


def _style(entry: dict[str, Any]) -> str:
    """Return how loud a line is: by its level, a request by its answer."""
    status = entry.get("status") if _is_request(entry) else None
    if isinstance(status, int):
        return (
            "red"
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR
            else "yellow"
            if status >= HTTPStatus.BAD_REQUEST
            else "dim"
        )
    return LOUD.get(str(entry.get("level")), "")


def _rest(entry: dict[str, Any]) -> str:
    said = IMPLIED | {"exception"}
    if _is_request(entry):
        said |= {"method", "path", "route", "status", "seconds", "bytes_in", "remote"}
    return "".join(f"  {name}={_value(value)}" for name, value in entry.items() if name not in said)


def _is_request(entry: dict[str, Any]) -> bool:
    named = entry.get("event") == "request" and {"method", "path", "status"} <= entry.keys()
    return named and isinstance(entry.get("seconds"), int | float)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
