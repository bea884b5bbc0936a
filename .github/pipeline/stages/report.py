"""The result of a run, stage by stage: a table for the screen and a page in Markdown. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from rollout.exit_codes import ExitCode

STAGES: Final = ("quality", "security", "build", "scan", "test", "deploy", "verify")
SHOWN_CHECKS: Final = 5
"""How many of the longest checks the report names."""


class Outcome(StrEnum):
    """The outcome of a check or a stage."""

    RUNNING = "running"
    PASSED = "passed"
    FINDING = "finding"
    ROLLED_BACK = "rolled back"
    ROLLBACK_FAILED = "rollback failed"
    ERROR = "error"


EXIT_CODES: Final = {
    Outcome.PASSED: ExitCode.OK,
    Outcome.ERROR: ExitCode.ERROR,
    Outcome.ROLLED_BACK: ExitCode.ROLLED_BACK,
    Outcome.ROLLBACK_FAILED: ExitCode.ROLLBACK_FAILED,
    Outcome.FINDING: ExitCode.FINDING,
}
WORST_FIRST: Final = (ExitCode.ROLLBACK_FAILED, ExitCode.ROLLED_BACK, ExitCode.FINDING, ExitCode.ERROR)
_MARKS: Final = {Outcome.PASSED: "✓", Outcome.RUNNING: "…"}


@dataclass(slots=True)
class TimedCheck:
    """A check and its duration."""

    name: str
    seconds: float


@dataclass(slots=True)
class StageResult:
    """The result of a stage."""

    stage: str
    outcome: Outcome = Outcome.RUNNING
    seconds: float = 0.0
    figures: list[str] = field(default_factory=list)
    checks: list[TimedCheck] = field(default_factory=list)

    def to_json(self) -> str:
        """Return the result as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "StageResult":
        """Parse the output of `to_json`. Raise ValueError, KeyError or TypeError for anything else."""
        values = json.loads(text)
        return cls(
            stage=str(values["stage"]),
            outcome=Outcome(values["outcome"]),
            seconds=float(values["seconds"]),
            figures=[str(figure) for figure in values["figures"]],
            checks=[TimedCheck(str(check["name"]), float(check["seconds"])) for check in values["checks"]],
        )


def table(rows: Mapping[str, StageResult]) -> str:
    """Return a line for each stage: its result, its duration and its figures."""
    lines = [("", "stage", "result", "seconds", "details")]
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
        f"{mark:{widths[0]}} {stage:{widths[1]}}  {result:{widths[2]}}  {seconds:>{widths[3]}}  {details}".rstrip()
        for mark, stage, result, seconds, details in lines
    )


def longest(rows: Mapping[str, StageResult]) -> list[str]:
    """Return the longest checks, the longest first."""
    timed = [(check.seconds, f"{row.stage}: {check.name}") for row in rows.values() for check in row.checks]
    return [f"{seconds:.1f} s {name}" for seconds, name in sorted(timed, reverse=True)[:SHOWN_CHECKS]]


def markdown(revision: str, rows: Mapping[str, StageResult]) -> str:
    """Return the page of a run, which GitHub shows as a job's summary."""
    lines = [
        f"# Pipeline of {revision}",
        "",
        "| stage | result | seconds | details |",
        "| --- | --- | ---: | --- |",
    ]
    for stage in STAGES:
        row = rows.get(stage)
        if row is None:
            lines.append(f"| {stage} | not run | | |")
        else:
            lines.append(f"| {stage} | {row.outcome.value} | {row.seconds:.1f} | {_cell(row.figures)} |")
    lines += ["", "Longest checks:", "", *(f"- {line}" for line in longest(rows)), ""]
    return "\n".join(lines)


def not_passed(rows: Mapping[str, StageResult]) -> list[str]:
    """Return the stages that did not pass, including those that never reported."""
    return [stage for stage in STAGES if stage not in rows or rows[stage].outcome is not Outcome.PASSED]


def _cell(figures: Sequence[str]) -> str:
    return ", ".join(figures).replace("|", "\\|").replace("\n", " ")
