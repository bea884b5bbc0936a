"""The Docker command, and what it says of a project's containers."""

import json
import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rollout.mover import TroubleError

PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
ONE_OFF: Final = "com.docker.compose.oneoff"
OLDEST_COMPOSE: Final = (2, 26)
TIMEOUT: Final = 120.0
"""Seconds for one command."""
STOP_PATIENCE: Final = 90.0
"""Seconds: more than any container's stop_grace_period."""
GONE: Final = ("no such container", "is already in progress")
"""What the engine says of a container that somebody else has removed, or is removing."""
SERVERS: Final = r"exec 3<>/dev/tcp/127.0.0.1/8405 && printf 'show stat -1 4 -1\n' >&3 && cat <&3"
"""Ask the edge, inside its container, for the state of each server."""
ASK: Final = """
import http.client, json, os, sys, time

def ask():
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=3)
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        told = answer.read(2000).decode(errors="replace")
    except OSError as exc:
        return f"no answer: {exc}"
    if answer.status != 200:
        return f"{answer.status} {told}"
    return None if json.loads(told).get("version") == sys.argv[1] else f"it is of another version: {told}"

until, in_a_row = time.monotonic() + float(sys.argv[4]), 0
while in_a_row < int(sys.argv[2]):
    said = ask()
    in_a_row = in_a_row + 1 if said is None else 0
    if said is not None and time.monotonic() > until:
        sys.exit(said)
    time.sleep(float(sys.argv[3]))
"""
"""Run inside a container until so many answers in a row were good: starting anything there takes longer than asking."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the project, as the engine has it."""

    id: str
    name: str
    service: str
    labels: Mapping[str, str]
    image: str
    """The image's id."""
    status: str
    """One of created, running, paused, restarting, removing, exited, dead."""
    health: str | None
    """What its health check says: starting, healthy, unhealthy; None without one."""
    restarts: int
    addresses: frozenset[str]

    @property
    def one_off(self) -> bool:
        """Whether `docker compose run` made it."""
        return self.labels.get(ONE_OFF) == "True"

    @property
    def well(self) -> bool:
        """Whether it runs, and its health check does not say otherwise."""
        return self.status == "running" and self.health in {None, "healthy"}


class Docker:
    """Calls the `docker` command for one compose project."""

    def __init__(self, project: str, *, lock_file: int | None = None) -> None:
        self.project = project
        self.lock_file = lock_file

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> str:
        """Return what a docker command writes. Raise TroubleError with what it complains about.

        Ctrl-C reaches this process alone, which then takes away what the command has begun. A command that outlives a
        kill of this process keeps the lock until it ends.
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
            raise TroubleError(message) from None
        except subprocess.TimeoutExpired:
            message = f"docker {_short(arguments)} did not end within {timeout:.0f} s"
            raise TroubleError(message) from None
        if done.returncode != 0:
            message = f"docker {_short(arguments)}: {_last_lines(done.stderr or done.stdout)}"
            raise TroubleError(message)
        return done.stdout

    def compose(self, file: Path, *arguments: str) -> str:
        """Run docker compose on a rendered file. Nothing that the environment says counts: it is in there already."""
        of_nobody = {"COMPOSE_FILE": "", "COMPOSE_PROFILES": "", "COMPOSE_ENV_FILES": os.devnull}
        chosen = ("--project-name", self.project, "--file", str(file))
        return self.run("compose", "--progress", "plain", *chosen, *arguments, environment=of_nobody)

    def check(self) -> None:
        """Raise TroubleError where the engine or compose is missing or too old."""
        self.run("version", "--format", "{{.Server.Version}}", timeout=20)
        version = self.run("compose", "version", "--short").strip().removeprefix("v")
        if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < OLDEST_COMPOSE:
            message = f"Docker Compose {version} is too old: it must be {'.'.join(map(str, OLDEST_COMPOSE))} or newer"
            raise TroubleError(message)

    def containers(self) -> list[Container]:
        """Return all of the project's containers, those that have ended too."""
        for _ in range(5):
            ids = self.run(
                "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT}={self.project}"
            ).split()
            try:
                found = json.loads(self.run("inspect", "--type", "container", *ids)) if ids else []
            except TroubleError as gone:
                if "no such container" not in str(gone).lower():
                    raise
                continue  # one of them was taken away between the two
            return [_container(raw) for raw in found]
        message = "containers come and go faster than they can be looked at: does something else change this project?"
        raise TroubleError(message)

    def remove(self, ids: Collection[str]) -> None:
        """Stop containers in their own time and remove them. That some are gone is as good.

        What a killed run has begun in the engine goes on for a moment, and may be the removal of the same ones.
        """
        for command, patience in (("stop",), STOP_PATIENCE), (("rm", "--force", "--volumes"), TIMEOUT):
            try:
                self.run(*command, *sorted(ids), timeout=patience)
            except TroubleError as trouble:
                if not all(any(gone in line.lower() for gone in GONE) for line in str(trouble).splitlines()):
                    raise

    def images(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what the engine knows of those of the images that are there, by name."""
        found = {}
        for name in set(names):
            try:
                (found[name],) = json.loads(self.run("image", "inspect", name))
            except TroubleError as missing:
                if "no such image" not in str(missing).lower():
                    raise
        return found

    def why_not_ready(self, container: str, *, version: str, times: int, pause: float, seconds: float) -> str | None:
        """Ask a service until it was ready in this version so many *times* in a row: None. After *seconds*, why not."""
        ask = ("python", "-I", "-S", "-c", ASK, version, str(times), str(pause), str(seconds))
        try:
            self.run("exec", container, *ask, timeout=10 + seconds + times * (3 + pause))
        except TroubleError as no:
            return str(no).removeprefix("docker exec: ")
        return None

    def reached(self, edge: str) -> set[tuple[str, str]]:
        """Return the service and address of each server that the edge sends requests to."""
        try:
            lines = self.run("exec", edge, "bash", "-c", SERVERS, timeout=10).strip().splitlines()
        except TroubleError:
            return set()  # it is on its way up, or down
        if not lines or not lines[0].startswith("# "):
            return set()
        names = lines[0].removeprefix("# ").split(",")
        rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:]]
        return {(row["pxname"], row["addr"].rpartition(":")[0]) for row in rows if row["status"].startswith("UP")}

    def logs(self, container: str, lines: int) -> str:
        """Return the last lines that a container wrote."""
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


def _container(raw: Mapping[str, Any]) -> Container:
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


def _short(arguments: Sequence[str]) -> str:
    """Name a command without its options, which are long."""
    verbs = [word for word in arguments if word.isalpha()]
    return " ".join(verbs[:1] if verbs[:1] != ["compose"] else ["compose", *(w for w in verbs if w in COMPOSE_VERBS)])


COMPOSE_VERBS: Final = {"up", "run", "down", "config", "version", "secrets", "migrate"}


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-12:]) or "it did not say why"
