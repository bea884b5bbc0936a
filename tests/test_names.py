"""Names that gave way to the field's own: none of them comes back as an identifier or a file name."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.support.repository import ROOT, tracked

FILES: Final = {
    *("addresses", "answer", "asking", "away", "child", "defences", "doorbell", "engine", "faults", "guard", "inputs"),
    *("intake", "judge", "leases", "leniency", "lookup", "machine", "metrics_overview", "mover", "nights", "once"),
    *("opening", "relevance"),
    *("outbox_rows", "outside", "packing", "picture", "plots", "port", "reach", "reading", "receivers"),
    *("review", "rollups", "rota", "rota_form", "rota_handlers", "rounds", "rows", "saved", "standing"),
    *("steps", "storing", "tally", "telling", "visitor", "vitals", "window", "words"),
}
IDENTIFIERS: Final = {
    *(
        "Clear",
        "Desk",
        "Doorbell",
        "Ending",
        "Face",
        "Fate",
        "FaultPoint",
        "Fuse",
        "Intake",
        "Lay",
        "LinkWrite",
        "Place",
    ),
    *(
        "RECEIVER",
        "Receipt",
        "Ring",
        "Row_",
        "Seen",
        "Submission",
        "Sweeper",
        "TakenStep",
        "Teller",
        "Touched",
        "Verdict",
    ),
    *(
        "Voice",
        "Waiting",
        "answered_before",
        "harmless",
        "judge",
        "lane",
        "nobody_answered",
        "ring",
        "seal",
        "take_steps",
    ),
    *("told", "told_version", "untold", "way_back"),
    *("MOST_SECONDS", "Reached", "ask_state_seconds", "bundle", "bundled", "cancel_unwanted", "is_wanted"),
    *("Child", "Embedded", "let_roles_log_in", "take_stale", "undone", "vitals"),
}


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def test_no_file_and_no_identifier_has_a_retired_name() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in tracked("src/*.py", ".github/*.py", "docker/*.py")
        for name in sorted(
            FILES & {*path.relative_to(ROOT).parts, path.stem}
            | IDENTIFIERS & set(identifiers(ast.parse(path.read_text(encoding="utf-8"))))
        )
    ]
    assert found == []
