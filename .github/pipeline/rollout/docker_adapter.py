"""The side effects of a rollout: Docker, the stored state, the clock and the screen."""

import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from rollout.docker import Container, Docker
from rollout.errors import RolloutError
from rollout.files import utc_now
from rollout.plan import (
    Change,
    Observation,
    Remove,
    Replica,
    Start,
    StartDependencies,
    StartEdge,
    State,
    TearDown,
    TierState,
)
from rollout.release import DEFINITION, RELEASE, Release
from rollout.store import Store

PROBES: Final = 4
"""How many consecutive readiness probes of a new replica must succeed."""
PROBE_INTERVAL: Final = 0.4
"""Seconds between two probes."""
PROBE_SECONDS: Final = 3.0
"""Seconds of failing probes after which the containers are observed again."""
OBSERVE_INTERVAL: Final = 0.3
"""Seconds between two observations."""
ONE_SHOTS: Final = frozenset({"secrets", "migrate"})
SHOWN_LINES: Final = 15
"""Log lines on the screen; a file has more."""


class DockerAdapter:
    """See `rollout.executor.Adapter`."""

    def __init__(self, store: Store, docker: Docker, *, timeout: float) -> None:
        self.timeout = timeout
        self._store = store
        self._docker = docker
        self._releases: dict[str, Release] = {}
        self._initial_restarts: dict[str, int] | None = None
        """The restart counts at the first observation, before this run changed anything."""
        self._ready: set[tuple[str, int]] = set()
        """Containers that passed their probes, with their restart counts at that time."""
        self._containers: list[Container] = []
        self._suspects: dict[str, str] = {}
        """Containers that the last observation found not ready, with the reason."""

    def save(self, state: State) -> None:
        """Persist *state*."""
        self._store.write(state)

    def services(self, release: str) -> frozenset[str]:
        """Return the services whose new replicas start before the old ones are drained."""
        return self._release(release).services

    def observe(self, target: str | None) -> Observation:
        """Query the engine, the new replicas and the edge."""
        self._containers = self._docker.containers()
        if self._initial_restarts is None:
            self._initial_restarts = {container.id: container.restarts for container in self._containers}
        self._suspects = {}
        if target is None:
            return Observation(frozenset(Replica(c.id, c.service, None) for c in self._containers))
        release = self._release(target)
        dependencies, edge = (self._tier(release, names) for names in (release.dependencies, release.edge_tier))
        around = release.dependencies | release.edge_tier
        replicas = [c for c in self._containers if c.service not in around and not _is_manual(c)]
        mine = {c.id: c for c in replicas if self._belongs_to(release, c)}
        errors = self._probe([*mine.values()], release.tag) if dependencies is TierState.READY else {}
        ready = {key for key in mine if errors.get(key, "it was not probed") is None}
        routed = self._routed() if ready == mine.keys() else set()
        seen = frozenset(
            Replica(
                c.id,
                c.service,
                target if c.id in mine else c.labels.get(RELEASE, "unknown"),
                running=_takes_requests(c),
                ready=c.id in ready,
                routed=not routed.isdisjoint((c.service, address) for address in c.addresses),
                restarts=c.restarts - (self._initial_restarts or {}).get(c.id, 0),
                note=errors.get(c.id) or "",
            )
            for c in replicas
        )
        return Observation(seen, dependencies=dependencies, edge=edge)

    def apply(self, step: Change, target: str | None) -> None:
        """Execute a step with Docker."""
        match step:
            case TearDown():
                self._docker.run("compose", "--project-name", self._docker.project, "down", "--remove-orphans")
            case Remove(ids):
                self._docker.remove(ids)
            case StartDependencies() if target:
                self._start_dependencies(self._release(target))
            case StartEdge() if target:
                self._up(self._release(target), *sorted(self._release(target).edge_tier))
            case Start(missing) if target:
                present = [c.service for c in self._containers if not c.one_off]
                scale = [f"--scale={name}={present.count(name) + number}" for name, number in missing.items()]
                self._up(self._release(target), "--no-recreate", *scale, *missing)

    def migrate(self, release: str) -> None:
        """Start the database and run the release's migration."""
        target = self._release(release)
        self._start_dependencies(target)
        deadline = self.monotonic() + self.timeout
        while self.observe(release).dependencies is not TierState.READY:
            if self.monotonic() > deadline:
                message = f"the database was not ready after {self.timeout:.0f} s"
                raise RolloutError(message)
            self.pause()
        self._docker.compose(self._store.compose_file(release), "run", "--rm", "--no-deps", "--no-TTY", "migrate")

    def monotonic(self) -> float:
        """Return a monotonic time in seconds."""
        return time.monotonic()

    def pause(self) -> None:
        """Sleep between two observations."""
        time.sleep(OBSERVE_INTERVAL)

    def log(self, text: str) -> None:
        """Print a line with the time."""
        sys.stdout.write(f"{utc_now()[11:19]} {text}\n")
        sys.stdout.flush()

    def report_failure(self, error: str, target: str | None) -> None:
        """Print the error and the last log lines of the containers that are not ready."""
        tag = self._release(target).tag if target else "the empty system"
        lines = [f"\ncannot reach {tag}: {error}\n"]
        for container in self._containers:
            if container.id in self._suspects:
                text = self._docker.logs(container.id, 1_000)
                path = self._store.keep_log(f"{utc_now().replace(':', '')}-{container.name}.log", text)
                last = "".join(f"  | {line}\n" for line in text.splitlines()[-SHOWN_LINES:]) or "  | its log is empty\n"
                lines.append(f"the last lines of {container.name} ({container.status}; complete log: {path}):\n{last}")
        sys.stderr.write("".join(lines) + "\n")
        sys.stderr.flush()

    def report_failed_rollback(self, state: State, error: str) -> None:
        """Print the commands that an operator can try."""
        project = self._docker.project
        lines = [
            f"The rollback to {state.good or 'an empty system'} failed ({error.splitlines()[0]}).",
            "The running containers were not touched. Try:",
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

    def _belongs_to(self, release: Release, container: Container) -> bool:
        name = container.service
        return (
            name in release.services
            and container.labels.get(RELEASE) == release.id
            and container.image == release.images[name]
            and not container.one_off
        )

    def _tier(self, release: Release, names: Iterable[str]) -> TierState:
        found = {self._service_state(release, name) for name in names}
        return next((state for state in TierState if state in found), TierState.READY)

    def _routed(self) -> set[tuple[str, str]]:
        edges = [c.id for c in self._containers if c.service == "edge" and c.status == "running"]
        return self._docker.routed_servers(edges[0]) if edges else set()

    def _service_state(self, release: Release, name: str) -> TierState:
        found = [c for c in self._containers if c.service == name and not c.one_off]
        current = [
            c
            for c in found
            if (c.labels.get(DEFINITION), c.image) == (release.label(name), release.images[name])
            and c.status in {"running", "restarting"}
        ]
        if len(found) != 1 or not current:
            return TierState.OUTDATED
        if current[0].healthy:
            return TierState.READY
        self._suspects[current[0].id] = f"{name} is {current[0].health or current[0].status}"
        return TierState.STARTING

    def _probe(self, containers: list[Container], version: str) -> dict[str, str | None]:
        """Return the readiness error of each container; one that passed is probed again only after a restart."""

        def probe(container: Container) -> str | None:
            if container.status != "running":
                return f"it is {container.status}"
            return self._docker.readiness_error(
                container.id, version=version, times=PROBES, pause=PROBE_INTERVAL, seconds=PROBE_SECONDS
            )

        unknown = [c for c in containers if (c.id, c.restarts) not in self._ready or c.status != "running"]
        with ThreadPoolExecutor(max_workers=8) as pool:
            errors = dict(zip((c.id for c in unknown), pool.map(probe, unknown), strict=True))
        self._ready = {(c.id, c.restarts) for c in containers if errors.get(c.id) is None}
        self._suspects |= {key: error for key, error in errors.items() if error is not None}
        return {c.id: errors.get(c.id) for c in containers}

    def _start_dependencies(self, release: Release) -> None:
        file = self._store.compose_file(release.id)
        self._docker.compose(file, "run", "--rm", "--no-deps", "--no-TTY", "secrets")
        self._up(release, *sorted(release.dependencies))

    def _up(self, release: Release, *arguments: str) -> None:
        file = self._store.compose_file(release.id)
        self._docker.compose(file, "up", "--detach", "--no-deps", "--no-build", *arguments)


def _takes_requests(container: Container) -> bool:
    """Return whether it receives or will receive requests. One-shots, which a killed deploy may leave, never do."""
    return container.status in {"running", "restarting", "paused"} and not container.one_off


def _is_manual(container: Container) -> bool:
    """Return whether an operator started it with `docker compose run`, which a deploy does for ONE_SHOTS only."""
    return container.one_off and container.service not in ONE_SHOTS
