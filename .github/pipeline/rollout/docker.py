"""The `docker` command, and what it reports about a project's containers."""

import json
import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rollout.errors import RolloutError

PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
ONE_OFF: Final = "com.docker.compose.oneoff"
OLDEST_COMPOSE: Final = (2, 26)
COMMAND_TIMEOUT: Final = 120.0
"""Seconds."""
STOP_TIMEOUT: Final = 90.0
"""Seconds; longer than any container's stop_grace_period."""
GONE: Final = ("no such container", "is already in progress")
"""Errors about a container that another process has removed or is removing."""
SERVER_STATES: Final = r"exec 3<>/dev/tcp/127.0.0.1/8405 && printf 'show stat -1 4 -1\n' >&3 && cat <&3"
"""Queries HAProxy's statistics, inside the edge's container, for the state of each server."""
READINESS_PROBE: Final = """
import http.client, json, os, sys, time

def probe():
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=3)
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        body = response.read(2000).decode(errors="replace")
    except OSError as exc:
        return f"no response: {exc}"
    if response.status != 200:
        return f"{response.status} {body}"
    return None if json.loads(body).get("version") == sys.argv[1] else f"wrong version: {body}"

deadline, consecutive = time.monotonic() + float(sys.argv[4]), 0
while consecutive < int(sys.argv[2]):
    error = probe()
    consecutive = consecutive + 1 if error is None else 0
    if error is not None and time.monotonic() > deadline:
        sys.exit(error)
    time.sleep(float(sys.argv[3]))
"""
"""Runs inside a container until enough consecutive probes succeeded: `docker exec` takes longer than a probe."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the project, as the engine reports it."""

    id: str
    name: str
    service: str
    labels: Mapping[str, str]
    image: str
    """The image's ID."""
    status: str
    """One of created, running, paused, restarting, removing, exited, dead."""
    health: str | None
    """The result of its health check: starting, healthy or unhealthy; None without one."""
    restarts: int
    addresses: frozenset[str]

    @property
    def one_off(self) -> bool:
        """Whether `docker compose run` created it."""
        return self.labels.get(ONE_OFF) == "True"

    @property
    def healthy(self) -> bool:
        """Whether it is running and its health check, if it has one, succeeds."""
        return self.status == "running" and self.health in {None, "healthy"}


class Docker:
    """Runs the `docker` command for one compose project."""

    def __init__(self, project: str, *, lock_file: int | None = None) -> None:
        self.project = project
        self.lock_file = lock_file

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = COMMAND_TIMEOUT
    ) -> str:
        """Return the standard output of a docker command. Raise RolloutError with its error output.

        Ctrl-C reaches this process only, which then reverses what the command has begun. A command that survives a kill
        of this process holds the lock until it exits.
        """
        try:
            done = subprocess.run(
                ["docker", *arguments],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=timeout,
                start_new_session=True,
                pass_fds=() if self.lock_file is None else (self.lock_file,),
            )
        except FileNotFoundError:
            message = "the command docker is not installed"
            raise RolloutError(message) from None
        except subprocess.TimeoutExpired:
            message = f"docker {_abbreviate(arguments)} did not finish within {timeout:.0f} s"
            raise RolloutError(message) from None
        if done.returncode != 0:
            message = f"docker {_abbreviate(arguments)}: {_last_lines(done.stderr or done.stdout)}"
            raise RolloutError(message)
        return done.stdout

    def compose(self, file: Path, *arguments: str) -> str:
        """Run docker compose on a rendered file, which already contains everything that the environment sets."""
        neutral = {"COMPOSE_FILE": "", "COMPOSE_PROFILES": "", "COMPOSE_ENV_FILES": os.devnull}
        selected = ("--project-name", self.project, "--file", str(file))
        return self.run("compose", "--progress", "plain", *selected, *arguments, environment=neutral)

    def check(self) -> None:
        """Raise RolloutError if the engine or compose is missing or too old."""
        self.run("version", "--format", "{{.Server.Version}}", timeout=20)
        version = self.run("compose", "version", "--short").strip().removeprefix("v")
        if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < OLDEST_COMPOSE:
            message = f"Docker Compose {version} is too old: {'.'.join(map(str, OLDEST_COMPOSE))} or newer is required"
            raise RolloutError(message)

    def containers(self) -> list[Container]:
        """Return all containers of the project, including exited ones."""
        for _ in range(5):
            ids = self.run(
                "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT}={self.project}"
            ).split()
            try:
                found = json.loads(self.run("inspect", "--type", "container", *ids)) if ids else []
            except RolloutError as error:
                if "no such container" not in str(error).lower():
                    raise
                continue  # one was removed between the two commands
            return [_parse_container(raw) for raw in found]
        message = "containers change faster than they can be inspected: does another program manage this project?"
        raise RolloutError(message)

    def remove(self, ids: Collection[str]) -> None:
        """Stop containers gracefully and remove them; containers that are already gone are not an error.

        The engine finishes the commands of a killed run, which may be removing the same containers.
        """
        for command, timeout in (("stop",), STOP_TIMEOUT), (("rm", "--force", "--volumes"), COMMAND_TIMEOUT):
            try:
                self.run(*command, *sorted(ids), timeout=timeout)
            except RolloutError as error:
                if not all(any(gone in line.lower() for gone in GONE) for line in str(error).splitlines()):
                    raise

    def images(self, names: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the engine's description of each image that exists, by name."""
        found = {}
        for name in set(names):
            try:
                (found[name],) = json.loads(self.run("image", "inspect", name))
            except RolloutError as error:
                if "no such image" not in str(error).lower():
                    raise
        return found

    def readiness_error(self, container: str, *, version: str, times: int, pause: float, seconds: float) -> str | None:
        """Probe a service until *times* consecutive probes find it ready in this version; then return None.

        Return the last error if that takes longer than *seconds*.
        """
        probe = ("python", "-I", "-S", "-c", READINESS_PROBE, version, str(times), str(pause), str(seconds))
        try:
            self.run("exec", container, *probe, timeout=10 + seconds + times * (3 + pause))
        except RolloutError as error:
            return str(error).removeprefix("docker exec: ")
        return None

    def routed_servers(self, edge: str) -> set[tuple[str, str]]:
        """Return the service and address of each server to which the edge sends requests."""
        try:
            lines = self.run("exec", edge, "bash", "-c", SERVER_STATES, timeout=10).strip().splitlines()
        except RolloutError:
            return set()  # it is starting or stopping
        if not lines or not lines[0].startswith("# "):
            return set()
        names = lines[0].removeprefix("# ").split(",")
        rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:]]
        return {(row["pxname"], row["addr"].rpartition(":")[0]) for row in rows if row["status"].startswith("UP")}

    def logs(self, container: str, lines: int) -> str:
        """Return the last lines of a container's log."""
        try:
            done = subprocess.run(
                ["docker", "logs", "--tail", str(lines), container],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=20,
            )
        except subprocess.TimeoutExpired:
            return "its log could not be read within 20 s\n"
        return done.stdout


def _parse_container(raw: Mapping[str, Any]) -> Container:
    state, config = raw["State"], raw["Config"]
    networks = raw["NetworkSettings"]["Networks"].values()
    return Container(
        id=raw["Id"],
        name=raw["Name"].removeprefix("/"),
        service=config["Labels"].get(SERVICE, ""),
        labels=config["Labels"],
        image=raw["Image"],
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status"),
        restarts=raw["RestartCount"],
        addresses=frozenset(network["IPAddress"] for network in networks if network["IPAddress"]),
    )


COMPOSE_VERBS: Final = {"up", "run", "down", "config", "version", "secrets", "migrate"}


def _abbreviate(arguments: Sequence[str]) -> str:
    """Return a command without its options."""
    verbs = [word for word in arguments if word.isalpha()]
    return " ".join(verbs[:1] if verbs[:1] != ["compose"] else ["compose", *(w for w in verbs if w in COMPOSE_VERBS)])


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-12:]) or "no error message"
