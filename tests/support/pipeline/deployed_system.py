"""A system that the deploy command starts, and releases for it: the real one, and cheap layers on top of it."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rollout.image_tags import BY_COMMIT, BY_INPUTS, build_environment
from tests.support.containers.stack import GRAFANA, ROOT, SERVICES, Stack, docker, labelled

DEPLOY: Final = ROOT / ".github" / "pipeline" / "deploy"
FIRST: Final = "pipeline-first"
EXITS_IMMEDIATELY: Final = {
    "web-ui": 'ENTRYPOINT ["python", "-c", "raise SystemExit(\'broken on purpose: it exits\')"]'
}


def _breaking(package: str, function: str, user: int, statement: str) -> str:
    """Return Dockerfile lines that insert a statement at the beginning of a function; building fails without one."""
    files = f"grep -rl 'async def {function}' /opt/tocsin/tocsin/{package}"
    insert = f"sed -i '/async def {function}/a\\{statement}'"
    return f"USER 0\nRUN {files} | xargs {insert}\nUSER {user}:{user}"


NEVER_READY: Final = {
    "oncall-service": _breaking(
        "kernel",
        "connection(self)",
        10003,
        '        raise DatabaseUnavailableError("broken on purpose: no database")',
    )
}
NEVER_PAGES: Final = {
    "notification-service": _breaking(
        "channels/console.py",
        "send(self",
        10004,
        '        raise RuntimeError("broken on purpose: no page")',
    )
}
FAILS_UNDER_LOAD: Final = {
    "incident-management": _breaking(
        "incidents",
        "list_incidents(request",
        10002,
        # Not a request of the drill itself, which would fail before the load is counted.
        '    if "service" not in request.query and __import__("random").random() < 0.2: '
        'raise RuntimeError("broken on purpose: under load")',
    )
}


def build() -> None:
    """Build this checkout as the first release; images named by their inputs only if they do not exist."""
    environment = {**os.environ, **build_environment(ROOT, FIRST)}
    targets = [*BY_COMMIT]
    for name in BY_INPUTS:
        existing = docker("image", "ls", "--quiet", f"tocsin/{name}:{environment[f'{name.upper()}_TAG']}")
        if not existing and (name != "grafana" or docker("image", "ls", "--quiet", GRAFANA)):
            targets.append(name)
    docker("buildx", "bake", "--file", str(ROOT / "compose.yaml"), *targets, environment=environment)


def layer(tag: str, defects: Mapping[str, str] | None = None) -> str:
    """Derive a release from the first one: another version, with additional lines for some of its images."""
    targets = {}
    for name in BY_COMMIT:
        text = f"FROM tocsin/{name}:{FIRST}\nENV TOCSIN_VERSION={tag}\n{(defects or {}).get(name, '')}\n"
        targets[name] = {"dockerfile-inline": text, "tags": [f"tocsin/{name}:{tag}"]}
    docker("buildx", "bake", "--file", "-", *targets, stdin=json.dumps({"target": targets}))
    return tag


class DeployedSystem(Stack):
    """One system, and the stored state of its deploys."""

    def __init__(self, project: str, state: Path, environment: Mapping[str, str]) -> None:
        super().__init__(project, {"TAG": FIRST, "TOCSIN_READY_SECONDS": "40", **environment})
        self.state = state
        self.verified: dict[str, Any] = {}
        """The figures of the last verification."""
        self._begun: list[subprocess.Popen[str]] = []

    def begin(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a deploy command."""
        excluded = {} if docker("image", "ls", "--quiet", GRAFANA) else {"TOCSIN_WITHOUT": "grafana"}
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, DEPLOY, *arguments],
            env={**self.environment, "TOCSIN_STATE": str(self.state), **excluded, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begun.append(process)
        return process

    def deploy(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a deploy command."""
        with self.begin(*arguments, **environment) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def release(self, tag: str) -> None:
        """Deploy, verify and promote; each must succeed."""
        for command in ("up", "verify", "promote"):
            done = self.deploy(command, tag)
            assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        self.verified = json.loads((self.state / "verify.json").read_text())

    async def versions(self) -> set[str]:
        """Return the versions that the edge routes to."""
        found = [(await self.get(name, "/health"))["version"] for name in SERVICES for _ in range(4)]
        return set(found)

    def replicas(self) -> dict[str, str]:
        """Return each container of the project with its state."""
        return {one["Id"]: one["State"]["Status"] for one in self.all_containers()}

    def edge_log(self) -> str:
        """Return the edge's log, which has the failed requests."""
        return docker("logs", "--tail", "50", *self.containers("edge"))

    def tear_down(self) -> None:
        """Remove everything, and first the processes that could start it again."""
        for process in self._begun:
            process.kill()
        with (self.state / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the engine finishes the commands of a killed deploy
        docker("compose", "--project-name", self.project, "down", "--volumes", "--remove-orphans", "--timeout", "5")
        assert labelled("container", self.project) == []
