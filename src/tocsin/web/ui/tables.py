"""A table for the page and for download as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Value: TypeAlias = str | int | float | None
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""Prefixes that a spreadsheet evaluates as a formula (OWASP, "CSV Injection")."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading on the page, and its name, with the unit, in the file."""

    label: str
    name: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """One value, formatted and raw."""

    text: str
    value: Value

    @classmethod
    def plain(cls, value: str | int) -> "Cell":
        """Return a cell that needs no formatting but a thousands separator."""
        return cls(f"{value:,}" if isinstance(value, int) else value, value)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first column names the row."""

    name: str
    """Of the file: `time-to-acknowledge`."""
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    def as_csv(self) -> str:
        """Return the table as CSV (RFC 4180), with formulas escaped."""
        return csv_lines(
            [[column.name for column in self.columns], *([cell.value for cell in row] for row in self.rows)]
        )


def csv_lines(rows: Iterable[Sequence[Value]]) -> str:
    """Return *rows* as CSV (RFC 4180), with formulas escaped."""
    text = io.StringIO()
    csv.writer(text).writerows([_escape_formula(value) for value in row] for row in rows)
    return text.getvalue()


def _escape_formula(value: Value) -> Value:
    if isinstance(value, float):
        return round(value, 3)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value
