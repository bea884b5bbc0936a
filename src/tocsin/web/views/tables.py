"""Figures as a table that people read and programs download: one source for both."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Value: TypeAlias = str | int | float | None
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a text (OWASP, "CSV Injection")."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading on the page, and its name, with the unit, in a file."""

    word: str
    name: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """One value, as people read it and as it is."""

    shown: str
    value: Value

    @classmethod
    def plain(cls, value: str | int) -> "Cell":
        """Return a cell that reads as it is; thousands are set apart."""
        return cls(f"{value:,}" if isinstance(value, int) else value, value)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first column names the row."""

    name: str
    """Of the file: `time-to-answer`."""
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    def as_csv(self) -> str:
        """Write the values as RFC 4180 has it; nothing in them can become a formula."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([column.name for column in self.columns])
        writer.writerows([_harmless(cell.value) for cell in row] for row in self.rows)
        return text.getvalue()


def _harmless(value: Value) -> Value:
    if isinstance(value, float):
        return round(value, 3)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value
