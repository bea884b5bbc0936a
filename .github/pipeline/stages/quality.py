"""Quality: static checks, and then the fast tests with a coverage floor."""

from pathlib import Path
from typing import Final

from stages import packages, source
from stages.checks import TOOL_CODES, Stage, StopError
from stages.report import Outcome

FLOOR: Final = 92
"""The minimum coverage of the fast tests in per cent, which may only be raised. All tests together have their own."""
CONFIGURATION: Final = ".github/pipeline/coverage.toml"
COMPOSE_CODES: Final = {**TOOL_CODES, 14: Outcome.FINDING, 15: Outcome.FINDING}
COVERAGE_CODES: Final = {**TOOL_CODES, 2: Outcome.FINDING}


def run(stage: Stage) -> None:
    """Run the checks; the tests run only if all others passed. Raise StopError if one did not."""
    packages.install(stage)
    packages.install_promtool(stage)
    source.check(stage)
    stage.check("compose", "docker", "compose", "config", "--quiet", codes=COMPOSE_CODES)
    stage.check("promtool", "promtool", "check", "rules", *sorted(map(str, Path("prometheus/rules").iterdir())))
    if stage.result.outcome is not Outcome.RUNNING:
        raise StopError
    stage.environment |= {"HYPOTHESIS_PROFILE": "quick"}  # as in `make test-fast`
    coverage = ("--cov", f"--cov-config={CONFIGURATION}", "--cov-report=", "--cov-fail-under=0")
    fast = ("-n", "3", "--dist", "worksteal", "-m", "not slow and not pipeline")
    stage.require("tests", "pytest", "-q", *fast, *coverage, figure=r"(\d+ passed)")
    report = (f"--rcfile={CONFIGURATION}", f"--fail-under={FLOOR}")
    stage.check("coverage", "coverage", "report", *report, codes=COVERAGE_CODES, figure=r"TOTAL.* (\d+%)")
