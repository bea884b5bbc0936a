"""The way from the machine to the real engine, files, clock and screen."""

import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from rollout.engine import Container, Docker
from rollout.machine import Around, Clear, Face, Lay, Remove, Replica, Seen, Start, State
from rollout.mover import TroubleError
from rollout.release import DEFINITION, RELEASE, Release
from rollout.store import Store, now

TIMES: Final = 4
"""How often in a row a new replica must say that it is ready."""
BETWEEN: Final = 0.4
"""Seconds between two of these questions."""
PATIENT: Final = 3.0
"""Seconds after which a replica that does not answer well is looked at from outside again."""
LOOK_AGAIN: Final = 0.3
ONE_SHOT: Final = frozenset({"secrets", "migrate"})
SHOWN: Final = 15
"""Log lines on the screen; more go to a file."""


class DockerPort:
    """See `rollout.mover.Port`."""

    def __init__(self, store: Store, docker: Docker, *, patience: float) -> None:
        self.patience = patience
        self._store = store
        self._docker = docker
        self._releases: dict[str, Release] = {}
        self._restarts: dict[str, int] | None = None
        """What the engine counted when a container was first seen: that was before this run."""
        self._ready: set[tuple[str, int]] = set()
        """Containers that have answered often enough, and how often they had been restarted then."""
        self._containers: list[Container] = []
        self._suspects: dict[str, str] = {}
        """Containers for which was waited last, and why."""

    def save(self, state: State) -> None:
        """Write the files."""
        self._store.write(state)

    def services(self, release: str) -> frozenset[str]:
        """Return what is drained and started beside."""
        return self._release(release).services

    def look(self, goal: str | None) -> Seen:
        """Ask the engine, the new replicas and the edge."""
        self._containers = self._docker.containers()
        if self._restarts is None:
            self._restarts = {container.id: container.restarts for container in self._containers}
        self._suspects = {}
        if goal is None:
            return Seen(frozenset(Replica(c.id, c.service, None) for c in self._containers))
        release = self._release(goal)
        below, before = (self._all_around(release, names) for names in (release.below, release.before))
        around = release.below | release.before
        replicas = [c for c in self._containers if c.service not in around and not _is_of_a_person(c)]
        mine = {c.id: c for c in replicas if self._is_of(release, c)}
        answers = self._ask([*mine.values()], release.tag) if below is Around.THERE else {}
        ready = {key for key in mine if answers.get(key, "it was not asked") is None}
        reached = self._reached() if ready == mine.keys() else set()
        seen = frozenset(
            Replica(
                c.id,
                c.service,
                goal if c.id in mine else c.labels.get(RELEASE, "nobody's"),
                running=_runs(c),
                ready=c.id in ready,
                reached=not reached.isdisjoint((c.service, address) for address in c.addresses),
                restarts=c.restarts - (self._restarts or {}).get(c.id, 0),
                note=answers.get(c.id) or "",
            )
            for c in replicas
        )
        return Seen(seen, below=below, before=before)

    def act(self, step: Lay | Start | Face | Remove | Clear, goal: str | None) -> None:
        """Have Docker do it."""
        match step:
            case Clear():
                self._docker.run("compose", "--project-name", self._docker.project, "down", "--remove-orphans")
            case Remove(ids):
                self._docker.remove(ids)
            case Lay() if goal:
                self._lay(self._release(goal))
            case Face() if goal:
                self._up(self._release(goal), *sorted(self._release(goal).before))
            case Start(missing) if goal:
                there = [c.service for c in self._containers if not c.one_off]
                scale = [f"--scale={name}={there.count(name) + number}" for name, number in missing.items()]
                self._up(self._release(goal), "--no-recreate", *scale, *missing)

    def migrate(self, release: str) -> None:
        """Have the database there, then run the one-shot of the release."""
        target = self._release(release)
        self._lay(target)
        until = self.monotonic() + self.patience
        while self.look(release).below is not Around.THERE:
            if self.monotonic() > until:
                message = f"the database was not ready after {self.patience:.0f} s"
                raise TroubleError(message)
            self.pause()
        self._docker.compose(self._store.compose_file(release), "run", "--rm", "--no-deps", "--no-TTY", "migrate")

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def pause(self) -> None:
        """Wait a little before looking again."""
        time.sleep(LOOK_AGAIN)

    def tell(self, text: str) -> None:
        """Write a line with the time."""
        sys.stdout.write(f"{now()[11:19]} {text}\n")
        sys.stdout.flush()

    def report(self, trouble: str, goal: str | None) -> None:
        """Write the reason and the last lines of the containers for which was waited."""
        tag = self._release(goal).tag if goal else "nothing"
        lines = [f"\ncannot reach {tag}: {trouble}\n"]
        for container in self._containers:
            if container.id in self._suspects:
                text = self._docker.logs(container.id, 1_000)
                path = self._store.keep_log(f"{now().replace(':', '')}-{container.name}.log", text)
                last = "".join(f"  | {line}\n" for line in text.splitlines()[-SHOWN:]) or "  | it wrote nothing\n"
                lines.append(f"the last lines of {container.name} ({container.status}; all of them: {path}):\n{last}")
        sys.stderr.write("".join(lines) + "\n")
        sys.stderr.flush()

    def no_way_back(self, state: State, trouble: str) -> None:
        """Name what a person can do."""
        project = self._docker.project
        lines = [
            f"Nobody could bring {state.good or 'the system'} back ({trouble.splitlines()[0]}).",
            "What runs was left running. Try:",
        ]
        lines.append(f"  docker compose --project-name {project} ps --all")
        lines.append(f"  docker compose --project-name {project} logs --tail 50")
        if state.good:
            file = self._store.compose_file(state.good)
            lines.append(f"  docker compose --project-name {project} --file {file} up --detach --wait --remove-orphans")
        lines.append("  .github/pipeline/deploy settle")
        sys.stderr.write("\n".join(lines) + "\n")

    def _release(self, name: str) -> Release:
        if name not in self._releases:
            self._releases[name] = self._store.release(name)
        return self._releases[name]

    def _is_of(self, release: Release, container: Container) -> bool:
        name = container.service
        return (
            name in release.services
            and container.labels.get(RELEASE) == release.id
            and container.image == release.images[name]
            and not container.one_off
        )

    def _all_around(self, release: Release, names: Iterable[str]) -> Around:
        found = {self._around(release, name) for name in names}
        return next((around for around in Around if around in found), Around.THERE)

    def _reached(self) -> set[tuple[str, str]]:
        edges = [c.id for c in self._containers if c.service == "edge" and c.status == "running"]
        return self._docker.reached(edges[0]) if edges else set()

    def _around(self, release: Release, name: str) -> Around:
        found = [c for c in self._containers if c.service == name and not c.one_off]
        same = [
            c
            for c in found
            if (c.labels.get(DEFINITION), c.image) == (release.label(name), release.images[name])
            and c.status in {"running", "restarting"}
        ]
        if len(found) != 1 or not same:
            return Around.DIFFERENT
        if same[0].well:
            return Around.THERE
        self._suspects[same[0].id] = f"{name} is {same[0].health or same[0].status}"
        return Around.STARTING

    def _ask(self, containers: list[Container], version: str) -> dict[str, str | None]:
        def ask(container: Container) -> str | None:
            if container.status != "running":
                return f"it is {container.status}"
            return self._docker.why_not_ready(
                container.id, version=version, times=TIMES, pause=BETWEEN, seconds=PATIENT
            )

        unsure = [c for c in containers if (c.id, c.restarts) not in self._ready or c.status != "running"]
        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = dict(zip((c.id for c in unsure), pool.map(ask, unsure), strict=True))
        self._ready = {(c.id, c.restarts) for c in containers if answers.get(c.id) is None}
        self._suspects |= {key: answer for key, answer in answers.items() if answer is not None}
        return {c.id: answers.get(c.id) for c in containers}

    def _lay(self, release: Release) -> None:
        file = self._store.compose_file(release.id)
        self._docker.compose(file, "run", "--rm", "--no-deps", "--no-TTY", "secrets")
        self._up(release, *sorted(release.below))

    def _up(self, release: Release, *arguments: str) -> None:
        file = self._store.compose_file(release.id)
        self._docker.compose(file, "up", "--detach", "--no-deps", "--no-build", *arguments)


def _runs(container: Container) -> bool:
    """Say whether it takes requests, or will; a one-shot that a killed deploy left never does."""
    return container.status in {"running", "restarting", "paused"} and not container.one_off


def _is_of_a_person(container: Container) -> bool:
    """Tell what somebody runs by hand from a one-shot of a deploy that was killed."""
    return container.one_off and container.service not in ONE_SHOT
