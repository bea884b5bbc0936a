"""The statements that the services run, with their place and values."""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import aiopg
import psycopg2.extensions
import pytest

from tocsin.kernel.prepared import PreparedStatement

SOURCE: Final = Path(__file__).parents[3] / "src" / "tocsin"
DRIVER: Final = SOURCE / "kernel" / "db.py"
VERBS: Final = ("SELECT ", "SELECT\n", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH ")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as the server got it."""

    place: str
    """File and function."""
    template: str
    literal: str
    """With its values in it, as psycopg2 sends it: the planner sees constants."""
    options: str
    """The search path of the connection, which resolves unqualified names."""


class Recorder:
    """Keeps one example of each statement, and one more for each combination of values that are absent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._seen: dict[tuple[str, frozenset[str], str], Statement] = {}
        prepared: dict[str, str] = {}
        original, original_prepare = aiopg.Cursor.mogrify, PreparedStatement.prepare

        def mogrify(cursor: Any, operation: str, parameters: Mapping[str, Any] | None = None) -> bytes:
            template = prepared.get(operation, operation)
            if template.strip().startswith(VERBS):
                self._keep(template, parameters or {}, cursor.raw)
            return original(cursor, operation, parameters)

        async def prepare(statement: PreparedStatement, cursor: Any) -> str:
            prepared[statement.execution] = statement.sql
            return await original_prepare(statement, cursor)

        monkeypatch.setattr(aiopg.Cursor, "mogrify", mogrify)
        monkeypatch.setattr(PreparedStatement, "prepare", prepare)

    @property
    def statements(self) -> list[Statement]:
        """The statements, in the order in which they first ran."""
        return list(self._seen.values())

    def _keep(self, template: str, parameters: Mapping[str, Any], cursor: psycopg2.extensions.cursor) -> None:
        absent = frozenset(name for name, value in parameters.items() if value is None)
        options = cursor.connection.info.options
        literal = cursor.mogrify(template, parameters or None).decode()
        place = _place(sys._getframe(2))  # noqa: SLF001
        self._seen[template, absent, options] = Statement(place, template, literal, options)


def _place(frame: FrameType | None) -> str:
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(SOURCE) and path != DRIVER:
            return f"{path.relative_to(SOURCE)}:{frame.f_code.co_name}"
        frame = frame.f_back
    return "a test"


def written_statements() -> Iterator[tuple[str, str]]:
    """Yield place and text of each statement in the source."""
    for path in SOURCE.glob("*/**/*.py"):
        if path == DRIVER or path.relative_to(SOURCE).parts[0] == "cli":  # commands that a person runs may be slow
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip().startswith(VERBS):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node.value
