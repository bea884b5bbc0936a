"""A clone of this repository in which a test commits defects and runs the pipeline's commands."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from stages.records import Records
from stages.report import StageResult
from tests.support.containers.stack import ROOT, SERVICES, docker
from tests.support.ports import free_port

ADDRESS = "127.0.0.1"
PUBLISHED = [*SERVICES.values(), "web-ui-https", "prometheus", "grafana"]
FEW_TESTS = ("tests/kernel/test_pagination.py", "tests/containers/")


@dataclass(frozen=True, slots=True)
class Result:
    """The exit code and the output of a command."""

    code: int
    text: str


class Checkout:
    """The clone, its state and cache folders, and the compose project that it deploys."""

    def __init__(self, folder: Path, project: str) -> None:
        self.folder = folder / "clone"
        self.state = folder / "state"
        self.project = project
        self.keep = folder / "keep"
        self.state.mkdir()
        self.keep.mkdir()
        if (ROOT / ".uv").is_dir():
            (self.keep / ".uv").symlink_to(ROOT / ".uv")
        self.run("git", "clone", "--quiet", str(ROOT), str(self.folder))
        self.run("git", "config", "user.name", "Somebody")
        self.run("git", "config", "user.email", "somebody@halyard.example")
        self._commit_local_changes()
        self.base = self.head()
        self.ports = {name: free_port(ADDRESS) for name in PUBLISHED}
        numbers = [f"{name.upper().replace('-', '_')}_PORT={port}" for name, port in self.ports.items()]
        self.settings(f"BIND_ADDRESS={ADDRESS}", *numbers)

    def settings(self, *lines: str) -> None:
        """Add lines to the settings of the deployed system."""
        with (self.state / "settings.env").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _commit_local_changes(self) -> None:
        listed = self.run("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z").text
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name, follow_symlinks=False)
            else:
                (self.folder / name).unlink(missing_ok=True)
        if self.run("git", "status", "--porcelain").text:
            self.commit("tests: Add uncommitted changes.")

    def begin(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in the clone."""
        return subprocess.Popen(  # noqa: S603
            command,
            cwd=self.folder if self.folder.exists() else ROOT,
            env={**os.environ, "TOCSIN_STATE": str(self.state), "COMPOSE_PROJECT_NAME": self.project, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, **environment: str) -> Result:
        """Run a command in the clone."""
        with self.begin(*command, **environment) as process:
            text, _ = process.communicate()
        return Result(process.returncode, text)

    def reset(self) -> None:
        """Return to the commit that was cloned."""
        self.run("git", "reset", "--quiet", "--hard", self.base)
        self.run("git", "clean", "--quiet", "--force", "-d")

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        """Replace a piece of a file, which must contain it."""
        text = (self.folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new))

    def delete_most_tests(self) -> None:
        """Delete all tests but a few fast ones and those that a stage runs by name."""
        for name in self.run("git", "ls-files", "tests/*test_*.py").text.split():
            if not name.startswith(FEW_TESTS):
                (self.folder / name).unlink()

    def commit(self, message: str) -> str:
        """Commit everything and return the commit's name."""
        self.run("git", "add", "--all")
        done = self.run("git", "commit", "--quiet", "--no-verify", f"--message={message}")
        assert done.code == 0, done.text
        return self.head()

    def head(self) -> str:
        """Return the name of the commit that is checked out."""
        return self.run("git", "rev-parse", "HEAD").text.strip()

    def stage(self, name: str) -> Result:
        """Run one stage."""
        return self.run(str(self.folder / ".github/pipeline/stage"), name, KEEP=str(self.keep))

    def pipeline(self, **environment: str) -> Result:
        """Run the whole pipeline with act."""
        return self.run("make", "pipeline", f"OPTIONS=--env COMPOSE_PROJECT_NAME={self.project}", **environment)

    def begin_pipeline(self) -> subprocess.Popen[str]:
        """Start the process that `make pipeline` starts."""
        options = ("--env", f"COMPOSE_PROJECT_NAME={self.project}")
        return self.begin(sys.executable, "-m", "stages.push", *options, PYTHONPATH=".github/pipeline")

    def rows(self) -> dict[str, StageResult]:
        """Return the rows of the commit that is checked out."""
        return Records(self.state, self.head()).read()

    def versions(self) -> set[str]:
        """Return the versions that the edge routes to."""
        found = set()
        for name in SERVICES.values():
            for _ in range(4):
                with urlopen(f"http://{ADDRESS}:{self.ports[name]}/health/ready", timeout=10) as answer:
                    found.add(str(json.load(answer)["version"]))
        return found

    def deployed(self) -> list[str]:
        """Return the traces of a deploy: its state files and its containers."""
        files = [path.name for path in self.state.glob("*.json") if path.name in {"good.json", "attempt.json"}]
        mine = ("--filter", f"label=com.docker.compose.project={self.project}")
        return files + docker("ps", "--all", "--format", "{{.Names}}", *mine).split()
