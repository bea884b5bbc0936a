"""What a run of the pipeline found, stage by stage: one table for the screen, one page in Markdown. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

STAGES: Final = ("quality", "security", "build", "scan", "test", "deploy", "verify")
LONGEST: Final = 5
"""How many checks the report names as those that took the time."""


class Outcome(StrEnum):
    """How a stage ended; `EXIT_CODES` says it to the caller."""

    RUNNING = "running"
    GOOD = "good"
    FINDING = "finding"
    ROLLED_BACK = "rolled back"
    NO_WAY_BACK = "no way back"
    BROKE = "broke"


EXIT_CODES: Final = {
    Outcome.GOOD: 0,
    Outcome.BROKE: 1,
    Outcome.ROLLED_BACK: 10,
    Outcome.NO_WAY_BACK: 20,
    Outcome.FINDING: 42,
}
_MARKS: Final = {Outcome.GOOD: "✓", Outcome.RUNNING: "…"}


@dataclass(slots=True)
class Timed:
    """One check of a stage, and its seconds."""

    name: str
    seconds: float


@dataclass(slots=True)
class Row:
    """What one stage reports."""

    stage: str
    outcome: Outcome = Outcome.RUNNING
    seconds: float = 0.0
    figures: list[str] = field(default_factory=list)
    checks: list[Timed] = field(default_factory=list)

    def to_json(self) -> str:
        """Return one line that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Row":
        """Read what `to_json` wrote. Raise ValueError, KeyError or TypeError where it is something else."""
        values = json.loads(text)
        return cls(
            stage=str(values["stage"]),
            outcome=Outcome(values["outcome"]),
            seconds=float(values["seconds"]),
            figures=[str(figure) for figure in values["figures"]],
            checks=[Timed(str(check["name"]), float(check["seconds"])) for check in values["checks"]],
        )


def table(rows: Mapping[str, Row]) -> str:
    """Return every stage on a line: its result, its seconds and the figures that matter."""
    lines = [("", "stage", "result", "seconds", "what it found")]
    for stage in STAGES:
        row = rows.get(stage)
        if row is None:
            lines.append(("-", stage, "not run", "", ""))
        else:
            mark = _MARKS.get(row.outcome, "✗")
            lines.append((mark, stage, row.outcome.value, f"{row.seconds:.1f}", ", ".join(row.figures)))
    total = sum(row.seconds for row in rows.values())
    lines.append(("", "", "", f"{total:.1f}", ""))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(
        f"{mark:{widths[0]}} {stage:{widths[1]}}  {result:{widths[2]}}  {seconds:>{widths[3]}}  {found}".rstrip()
        for mark, stage, result, seconds, found in lines
    )


def longest(rows: Mapping[str, Row]) -> list[str]:
    """Return where the time goes: the checks that took longest, the longest first."""
    timed = [(check.seconds, f"{row.stage}: {check.name}") for row in rows.values() for check in row.checks]
    return [f"{seconds:.1f} s {name}" for seconds, name in sorted(timed, reverse=True)[:LONGEST]]


def markdown(revision: str, rows: Mapping[str, Row]) -> str:
    """Return the page that is kept of a run, and that GitHub shows as the summary of a job."""
    lines = [
        f"# Pipeline of {revision}",
        "",
        "| stage | result | seconds | what it found |",
        "| --- | --- | ---: | --- |",
    ]
    for stage in STAGES:
        row = rows.get(stage)
        if row is None:
            lines.append(f"| {stage} | not run | | |")
        else:
            lines.append(f"| {stage} | {row.outcome.value} | {row.seconds:.1f} | {_cell(row.figures)} |")
    lines += ["", "Where the time goes:", "", *(f"- {line}" for line in longest(rows)), ""]
    return "\n".join(lines)


def missing(rows: Mapping[str, Row]) -> list[str]:
    """Return the stages that did not say good: those of which nothing was heard, too."""
    return [stage for stage in STAGES if stage not in rows or rows[stage].outcome is not Outcome.GOOD]


def _cell(figures: Sequence[str]) -> str:
    return ", ".join(figures).replace("|", "\\|").replace("\n", " ")
