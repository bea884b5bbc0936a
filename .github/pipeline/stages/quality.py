"""Is the source as it should be, and do the fast tests pass? The tests only after everything that is quick."""

from pathlib import Path
from typing import Final

from stages import packages, source
from stages.checks import TOOL, Stage, StopError
from stages.report import Outcome

FLOOR: Final = 92
"""Percentage of the source that the fast tests must run; only ever raised. All tests together have one of their own."""
CONFIGURATION: Final = ".github/pipeline/coverage.toml"
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
    stage.environment |= {"HYPOTHESIS_PROFILE": "quick"}  # as `make test-fast`
    covered = ("--cov", f"--cov-config={CONFIGURATION}", "--cov-report=", "--cov-fail-under=0")
    fast = ("-n", "3", "--dist", "worksteal", "-m", "not slow and not pipeline")
    stage.need("tests", "pytest", "-q", *fast, *covered, figure=r"(\d+ passed)")
    report = (f"--rcfile={CONFIGURATION}", f"--fail-under={FLOOR}")
    stage.check("coverage", "coverage", "report", *report, means=COVERAGE, figure=r"TOTAL.* (\d+%)")
