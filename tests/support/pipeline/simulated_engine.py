"""A simulated engine: containers that become ready, never do, or crash; runs that fail or are killed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from rollout.errors import RolloutError
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

SERVICES = ("alerts", "incidents", "web")
READY_AGE = 2
"""Ticks until a container is ready; one tick later the edge routes to it."""


class KilledError(BaseException):
    """kill -9: no code of the process runs after it."""


@dataclass(slots=True)
class Container:
    id: str
    service: str
    release: str
    age: int = 0
    restarts: int = 0
    running: bool = True


@dataclass(slots=True)
class Engine:
    """The containers and the stored state, which outlast a killed run."""

    bad: dict[str, str] = field(default_factory=dict)
    """The defect of a release: "never", "crash" or "migration"."""
    containers: dict[str, Container] = field(default_factory=dict)
    dependencies: bool = False
    """The database is running."""
    edge: str | None = None
    """The release to whose definition the edge was updated last."""
    state: State = field(default_factory=State)
    outages: list[str] = field(default_factory=list)
    ids: Callable[[], int] = field(default_factory=lambda: count(1).__next__)

    def ready(self, container: Container) -> bool:
        return (
            self.dependencies and container.running and container.age >= READY_AGE and container.release not in self.bad
        )

    def routed(self, container: Container) -> bool:
        return self.edge is not None and container.age > READY_AGE and self.ready(container)

    def serving(self) -> set[str]:
        return {c.service for c in self.containers.values() if self.routed(c)}

    def tick(self) -> None:
        for container in self.containers.values():
            container.age += 1
            if self.bad.get(container.release) == "crash":
                container.age, container.restarts = 0, container.restarts + 1

    def versions(self) -> dict[str, set[str]]:
        return {s: {c.release for c in self.containers.values() if c.service == s} for s in SERVICES}

    def stop(self, name: str, reason: str) -> None:
        before = self.serving()
        del self.containers[name]
        self.outages += [f"{reason} left {service} without a replica" for service in before - self.serving()]


@dataclass(slots=True)
class Run:
    """One run of the deploy: an adapter to the engine, with at most one fault, at its n-th side effect."""

    engine: Engine
    fault_at: int | None = None
    kill: bool = False
    timeout: float = 20.0
    now: float = 0.0
    effects: int = 0
    errors: list[str] = field(default_factory=list)

    def _inject_fault(self) -> None:
        self.effects += 1
        if self.effects == self.fault_at:
            if self.kill:
                raise KilledError
            message = "the engine refused"
            raise RolloutError(message)

    def save(self, state: State) -> None:
        if not self.kill:  # the preflight checks detect a full disk
            self.engine.state = state
            return
        self._inject_fault()
        self.engine.state = state
        self._inject_fault()

    def services(self, _release: str) -> frozenset[str]:
        return frozenset(SERVICES)

    def observe(self, target: str | None) -> Observation:
        self._inject_fault()
        engine = self.engine
        replicas = frozenset(
            Replica(c.id, c.service, c.release, c.running, engine.ready(c), engine.routed(c), c.restarts)
            for c in engine.containers.values()
        )
        return Observation(
            replicas,
            dependencies=TierState.READY if engine.dependencies else TierState.OUTDATED,
            edge=TierState.READY if engine.edge == target else TierState.OUTDATED,
        )

    def apply(self, step: Change, target: str | None) -> None:
        engine = self.engine
        assert engine.state.target == target, "the target is stored before anything is changed"
        self._inject_fault()
        match step:
            case StartDependencies():
                engine.dependencies = True
            case StartEdge():
                engine.edge = target
            case Start(missing):
                for service, number in missing.items():
                    self._start(service, number, target or "")
            case Remove(ids):
                for name in sorted(ids):
                    engine.stop(name, f"removing {engine.containers[name].release} for {target}")
                    self._inject_fault()
            case TearDown():
                for name in list(engine.containers):
                    engine.stop(name, "")
                    self._inject_fault()
                engine.dependencies, engine.edge = False, None
        self._inject_fault()
        engine.tick()

    def _start(self, service: str, number: int, release: str) -> None:
        engine = self.engine
        exited = [c for c in engine.containers.values() if c.service == service and not c.running]
        for container in exited:  # as compose does, whatever release they belong to
            container.running, container.age = True, 0
        for _ in range(number - len(exited)):
            name = f"{service}-{engine.ids()}"
            engine.containers[name] = Container(name, service, release)
            self._inject_fault()

    def migrate(self, release: str) -> None:
        self._inject_fault()
        self.engine.dependencies = True
        if self.engine.bad.get(release) == "migration":
            message = "the migration failed"
            raise RolloutError(message)
        self._inject_fault()

    def monotonic(self) -> float:
        return self.now

    def pause(self) -> None:
        self.now += 1.0
        self.engine.tick()

    def log(self, text: str) -> None:
        assert text

    def report_failure(self, error: str, target: str | None) -> None:
        assert error != str(target)
        self.errors.append(error)

    def report_failed_rollback(self, state: State, error: str) -> None:
        assert state.target is None or error
