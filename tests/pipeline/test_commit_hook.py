"""The pre-commit hook: gitleaks scans what is staged, and nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GITLEAKS = """#!/bin/sh
cat > "$SCANNED"
! grep -q secret "$SCANNED"
"""
NO_DOCKER = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the hook, and a staged and an unstaged change."""
    subprocess.run(["git", "init", "--quiet", tmp_path / "repository"], check=True)  # noqa: S603, S607
    root = tmp_path / "repository"
    (root / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci" / "find-staged-secrets", root / ".ci")
    (root / "staged.txt").write_text("harmless\n")
    subprocess.run(["git", "add", "staged.txt"], cwd=root, check=True)  # noqa: S607
    (root / "unstaged.txt").write_text("secret\n")
    return root


def hook(repository: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run the hook with only these programs and the system's own."""
    folder = repository.parent / "bin"
    folder.mkdir(exist_ok=True)
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:/usr/bin:/bin", "SCANNED": str(repository.parent / "scanned")}
    command = [repository / ".ci" / "find-staged-secrets"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def test_gitleaks_scans_the_staged_changes_only(repository: Path) -> None:
    assert hook(repository, gitleaks=GITLEAKS).returncode == 0
    assert "harmless" in (repository.parent / "scanned").read_text()
    (repository / "staged.txt").write_text("secret\n")
    subprocess.run(["git", "add", "staged.txt"], cwd=repository, check=True)  # noqa: S607
    assert hook(repository, gitleaks=GITLEAKS).returncode == 1


def test_without_gitleaks_a_commit_succeeds_and_the_hook_reports_that(repository: Path) -> None:
    done = hook(repository, docker=NO_DOCKER)
    assert done.returncode == 0
    assert "gitleaks is not installed" in done.stdout
