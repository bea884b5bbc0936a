"""Is the source as it should be, and do the fast tests pass? The tests only after everything that is quick."""

from pathlib import Path
from typing import Final

from stages import packages, source
from stages.checks import TOOL, Stage, StopError
from stages.report import Outcome

FLOOR: Final = 92
"""Percentage of the source that the fast tests must run; only ever raised. All tests together have one of their own."""
COMPOSE: Final = {**TOOL, 14: Outcome.FINDING, 15: Outcome.FINDING}
COVERAGE: Final = {**TOOL, 2: Outcome.FINDING}


def run(stage: Stage) -> None:
    """Raise StopError where something is not good."""
    packages.install(stage)
    packages.have_promtool(stage)
    source.check(stage)
    stage.check("compose", "docker", "compose", "config", "--quiet", means=COMPOSE)
    stage.check("promtool", "promtool", "check", "rules", *sorted(map(str, Path("prometheus/rules").iterdir())))
    if stage.row.outcome is not Outcome.RUNNING:
        raise StopError
    fast = ("-n", "3", "--dist", "worksteal", "-m", "not slow and not pipeline", "-q", "--cov", "--cov-report=", "--cov-fail-under=0")
    stage.need("tests", "pytest", *fast, figure=r"(\d+ passed)")
    report = ("coverage", "report", "--skip-covered", f"--fail-under={FLOOR}")
    stage.check("coverage", *report, means=COVERAGE, figure=r"TOTAL.* (\d+%)")
