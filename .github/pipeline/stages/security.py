"""Nothing secret in the tree or in the history, no known weakness in the source, a lock file that fits the project."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from stages import packages, source
from stages.checks import Stage
from stages.report import Outcome
from stages.scanner import container, start

GITLEAKS = "zricethezav/gitleaks:v8.30.1"
OPTIONS = ("--config=/gitleaks.toml", "--no-banner", "--no-color", "--redact", "--verbose", "--exit-code=42")
FOUND = {0: Outcome.GOOD, 42: Outcome.FINDING}


def run(stage: Stage) -> None:
    """Find secrets with gitleaks, weaknesses with bandit, and a lock file of other dependencies."""
    if git("rev-parse", "--is-shallow-repository") == "true":
        stage.fail("the history is not here: git fetch --unshallow", Outcome.BROKE)
    history = Path(git("rev-parse", "--path-format=absolute", "--git-common-dir"))
    find_secrets(stage, "secrets in the history", "git", history, counted=r"([1-9]\d* commits) scanned")
    with tempfile.TemporaryDirectory() as folder:
        # What a commit could take: neither the virtual environment nor other things that git ignores.
        for name in git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
            if name and not Path(name).is_dir():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(name, Path(folder) / name, follow_symlinks=False)
        find_secrets(stage, "secrets in the tree", "dir", Path(folder), counted=r"scanned ~[1-9]\d* bytes \(([^)]*)\)")
    packages.install(stage)
    source.check_security(stage)
    stage.check("lock file", "uv", "lock", "--check", "--quiet")


def find_secrets(stage: Stage, name: str, command: str, path: Path, *, counted: str) -> None:
    """Have gitleaks look at *path*; it ends with 0 where it could read nothing, so what it *counted* must be there."""
    files = {"/gitleaks.toml": Path(".gitleaks.toml"), "/scanned": path}
    with container(GITLEAKS, command, "/scanned", *OPTIONS, options=("--network", "none"), files=files) as scanner:
        stage.check(name, *start(scanner), means=FOUND, figure=counted, never=r"\bERR\b|partial scan")


def git(*arguments: str) -> str:
    """Return what git prints, without the end of the line."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.rstrip("\n")
