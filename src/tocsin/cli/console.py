"""What the command says to people: where it goes, and how expected errors end."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH: Final = 240
"""Columns of a table that no terminal shows: its reader wants whole lines."""
CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
"""All but tab and new line."""
Cell: TypeAlias = str | Text | None


PROGRAM: Final = "tocsin" if shutil.which("tocsin") else os.path.relpath(Path(sys.executable).with_name("tocsin"))
"""What a person types to run the command: `make run` puts it into .venv/bin, where no shell looks."""


class CommandError(Exception):
    """A command cannot do what it was asked: what happened, and what to do about it."""

    def __init__(self, message: str = "", advice: str = "", *, status: int = 1) -> None:
        super().__init__(message)
        self.advice = advice
        self.status = status


class Output(Console):
    """A console whose reader may go away, as `head` does: then the command ends in order, and without a word."""

    def on_broken_pipe(self) -> None:
        """Raise CommandError where rich would end the process on the spot, with services still running."""
        try:
            super().on_broken_pipe()
        except SystemExit as exc:
            raise CommandError from exc


OUT: Final = Output(highlight=False, soft_wrap=True)
"""Answers."""
ERR: Final = Output(stderr=True, highlight=False, soft_wrap=True)
"""Everything that is not an answer: progress, warnings, errors."""


def report(error: CommandError) -> None:
    """Print an expected error: what happened in red, what to do below it."""
    if str(error):
        ERR.print(f"tocsin: {error}", style="bold red", markup=False)
    if error.advice:
        ERR.print(error.advice, markup=False)


@dataclass(frozen=True, slots=True)
class Voice:
    """How a long-running command speaks: among the services' lines, or beside them when those are raw JSON."""

    raw: bool = False

    @property
    def console(self) -> Console:
        """Where to speak."""
        return ERR if self.raw else OUT

    def say(self, text: str) -> None:
        """Tell something good to know."""
        self.console.print(text, style="bold", markup=False)

    def alarm(self, text: str) -> None:
        """Tell something that went wrong."""
        self.console.print(f"!! {text}", style="bold red", markup=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show that something is going on: a spinner on a terminal, a line elsewhere."""
        if self.console.is_terminal and not self.raw:
            with self.console.status(text):
                yield
        else:
            self.say(f"{text} …")
            yield


def harmless(text: str) -> str:
    """Return *text* with control characters spelled out: what senders wrote must not steer the reader's terminal."""
    return text.translate(CONTROLS)


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """Return a plain table. Cells are words, not markup: they hold what senders wrote."""
    made = Table(*header, box=None, show_header=bool(header), header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(harmless(cell) if cell else "-") for cell in row))
    return made


def show_table(made: Table) -> None:
    """Print a table; on a terminal it wraps inside its columns."""
    console = OUT if OUT.is_terminal else Output(file=sys.stdout, width=PIPE_WIDTH)
    console.print(made, soft_wrap=False)


def span(seconds: float | None) -> str:
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


def moment(instant: datetime) -> str:
    """Return an instant in this machine's time zone, to the second."""
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S %Z}"
