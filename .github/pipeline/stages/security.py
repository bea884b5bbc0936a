"""Security: secrets in the tree and the history, weaknesses in the source, and a lock file that matches the project."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from rollout.base_images import pinned
from stages import packages, source
from stages.checks import Stage
from stages.report import Outcome
from stages.scanner import container, start

GITLEAKS = "zricethezav/gitleaks:v8.30.1"
OPTIONS = ("--config=/gitleaks.toml", "--no-banner", "--no-color", "--redact", "--verbose", "--exit-code=42")
CODES = {0: Outcome.PASSED, 42: Outcome.FINDING}


def run(stage: Stage) -> None:
    """Run gitleaks and bandit, and check the lock file."""
    if git("rev-parse", "--is-shallow-repository") == "true":
        stage.fail("the history is incomplete: git fetch --unshallow", Outcome.ERROR)
    history = Path(git("rev-parse", "--path-format=absolute", "--git-common-dir"))
    find_secrets(stage, "secrets in the history", "git", history, counted=r"([1-9]\d* commits) scanned")
    with tempfile.TemporaryDirectory() as folder:
        # The files that a commit could include, without those that git ignores.
        for name in git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
            if name and not Path(name).is_dir():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(name, Path(folder) / name, follow_symlinks=False)
        find_secrets(stage, "secrets in the tree", "dir", Path(folder), counted=r"scanned ~[1-9]\d* bytes \(([^)]*)\)")
    packages.install(stage)
    source.check_security(stage)
    stage.check("lock file", "uv", "lock", "--check", "--quiet")


def find_secrets(stage: Stage, name: str, command: str, path: Path, *, counted: str) -> None:
    """Scan *path* with gitleaks, which exits with 0 even if it could read nothing: its output must match *counted*."""
    files = {"/gitleaks.toml": Path(".gitleaks.toml"), "/scanned": path}
    image = pinned(Path(), GITLEAKS)
    with container(image, command, "/scanned", *OPTIONS, options=("--network", "none"), files=files) as scanner:
        stage.check(name, *start(scanner), codes=CODES, figure=counted, reject=r"\bERR\b|partial scan")


def git(*arguments: str) -> str:
    """Return the output of git without the final newline."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.rstrip("\n")
