"""The static checks of the source: `make lint`, and the first part of Quality."""

import subprocess
import sys
from pathlib import Path

from stages.checks import Stage
from stages.report import EXIT_CODES, Outcome

ZIZMOR_CODES = {0: Outcome.PASSED, **dict.fromkeys(range(11, 15), Outcome.FINDING)}
"""Its exit code is the severity of its worst finding."""


def check(stage: Stage) -> None:
    """Run every check, even after a failed one."""
    stage.check("ruff", "ruff", "check", "--quiet")
    stage.check("format", "ruff", "format", "--check", "--quiet")
    stage.check("mypy", "mypy")
    stage.check("layers", "lint-imports")
    stage.check(
        "complexity", "xenon", "--max-absolute=C", "--max-modules=B", "--max-average=A", "src", ".github/pipeline"
    )
    stage.check("duplication", ".ci/check-duplication", "3", figure=r"duplicated: (\S+ %)")
    stage.check("templates", "djlint", "--lint", "--quiet", "src/tocsin/web")
    stage.check("scripts and styles", "biome", "check", "--error-on-warnings")
    stage.check("migrations", "squawk", *sorted(map(str, Path("sql").glob("*.sql"))))
    stage.check("hadolint", "hadolint", "docker/Dockerfile")
    stage.check("actionlint", "actionlint")
    stage.check("zizmor", "zizmor", "--offline", "--quiet", ".github/workflows", codes=ZIZMOR_CODES)
    stage.check("shellcheck", "shellcheck", *_scripts())


def check_security(stage: Stage) -> None:
    """Find weaknesses with bandit. The stage Security runs this too."""
    bandit = ("--quiet", "--recursive", "--severity-level=medium", "--configfile=pyproject.toml")
    stage.check("bandit", "bandit", *bandit, "src", ".github/pipeline")


def _scripts() -> list[str]:
    command = ["git", "grep", "--untracked", "-lI", "^#!/bin/sh"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


if __name__ == "__main__":
    lint = Stage("lint")
    check(lint)
    check_security(lint)
    lint.end()
    sys.exit(EXIT_CODES[lint.result.outcome])
