"""Terminal output: results, progress, tables and expected errors."""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.kernel import line_writer
from tocsin.kernel.line_writer import STANDARD_ERROR, STANDARD_OUTPUT

PIPE_WIDTH: Final = 1_000
"""Columns of a table that is not written to a terminal, so that each row stays one line."""
UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, break a line, change the direction of text, or have no encoding."""
INDENT: Final = "    "
SGR: Final = {
    "bold": "1",
    "bold red": "1;31",
    "bright_black": "90",
    "dim": "2",
    **{
        colour: str(number)
        for number, colour in enumerate(("red", "green", "yellow", "blue", "magenta", "cyan"), start=31)
    },
}
"""The parameters of the terminal's control sequence for each style."""
Cell: TypeAlias = str | Text | None


PROGRAM: Final = "tocsin" if shutil.which("tocsin") else os.path.relpath(Path(sys.executable).with_name("tocsin"))
"""How a person runs this command: `make run` installs it into .venv/bin, which is not on the PATH."""


class CommandError(Exception):
    """A command failed for an expected reason; *advice* says what to do about it."""

    def __init__(self, message: str = "", advice: str = "", *, status: int = 1) -> None:
        super().__init__(message)
        self.advice = advice
        self.status = status


class Output(Console):
    """A console that ends the command cleanly and silently when its reader closes the pipe, as `head` does."""

    def on_broken_pipe(self) -> None:
        """Raise CommandError; rich would exit immediately, with services still running."""
        try:
            super().on_broken_pipe()
        except SystemExit as exc:
            raise CommandError from exc


# Without `emoji`: it would turn `:dizzy:` in a sender's text into another character, or into format characters.
OUT: Final = Output(highlight=False, soft_wrap=True, emoji=False)
"""Results."""
ERR: Final = Output(stderr=True, highlight=False, soft_wrap=True, emoji=False)
"""Progress, warnings and errors."""


def print_error(error: CommandError) -> None:
    """Print an expected error below the lines that are being written: what happened in red, then what to do.

    It may contain the output of another process: only line feeds are printed unescaped.
    """
    line_writer.flush(line_writer.EXIT_SECONDS)
    if str(error):
        ERR.print(_escape_lines(f"tocsin: {error}"), style="bold red", markup=False)
    if error.advice:
        ERR.print(_escape_lines(error.advice), markup=False)


def styled(text: str, style: str) -> str:
    """Return *text* in *style*, a key of SGR, for a terminal; unchanged if either is empty."""
    return f"\x1b[{SGR[style]}m{text}\x1b[0m" if text and style else text


@dataclass(frozen=True, slots=True)
class Reporter:
    """Progress of a long-running command, on standard error if standard output is raw JSON.

    A full disk, or a reader that stops, delays and fails nothing: see `line_writer`.
    """

    raw: bool = False
    coloured: bool = False

    def info(self, text: str) -> None:
        """Print a message."""
        self._print(text, "bold")

    def warn(self, text: str) -> None:
        """Print a warning, in one line."""
        self._print(f"!! {escape_control(text)}", "bold red")

    def _print(self, text: str, style: str) -> None:
        writer = STANDARD_ERROR if self.raw else STANDARD_OUTPUT
        writer.write(encoded(styled(text, style if self.coloured else "")))


def reporter(*, raw: bool) -> Reporter:
    """Return the reporter of a command whose standard output is *raw* JSON or not."""
    console = ERR if raw else OUT
    return Reporter(raw=raw, coloured=console.color_system is not None and not console.no_color)


def encoded(text: str) -> bytes:
    """Return *text* as a line in the terminal's encoding, which may lack characters of an alert."""
    return f"{text}\n".encode(OUT.encoding, errors="replace")


def escape_control(text: str) -> str:
    r"""Return *text* with control and format characters spelled out (`\n`, `\x1b`, `\u202e`).

    Senders choose much of this text: it must not move the cursor, reverse text or forge a line.
    """
    return text if text.isprintable() else "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    return character.encode("unicode_escape").decode() if unicodedata.category(character) in UNSAFE else character


def indent_lines(text: str) -> str:
    """Return text of several lines, each escaped and indented, so that none can be mistaken for our output."""
    return INDENT + _escape_lines(text).replace("\n", f"\n{INDENT}")


def _escape_lines(text: str) -> str:
    return "\n".join(map(escape_control, text.split("\n")))


def print_json(model: BaseModel) -> None:
    """Print *model* as JSON, in which control and format characters are escaped as JSON escapes them."""
    text = model.model_dump_json(indent=2)
    safe = (json.dumps(c)[1:-1] if c != "\n" and unicodedata.category(c) in UNSAFE else c for c in text)
    OUT.out("".join(safe))


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """Return a plain table. Cells are text, not markup: senders of alerts wrote some of them."""
    made = Table(*header, box=None, show_header=bool(header), header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(escape_control(cell) if cell else "-") for cell in row))
    return made


def print_table(made: Table) -> None:
    """Print a table; on a terminal it wraps inside its columns."""
    console = OUT if OUT.is_terminal else Output(file=sys.stdout, width=PIPE_WIDTH, emoji=False)
    console.print(made, soft_wrap=False)


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units, such as `3 h 20 min`."""
    if seconds is None:
        return "-"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def local_time(instant: datetime) -> str:
    """Return an instant in this machine's time zone, to the second."""
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S %Z}"
