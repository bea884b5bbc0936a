"""A make-believe engine: containers that come up, never do, or end again and again; runs that fail or are killed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from rollout.machine import Around, Clear, Face, Lay, Remove, Replica, Seen, Start, State
from rollout.mover import TroubleError

SERVICES = ("alerts", "incidents", "web")
AWAKE = 2
"""Ticks of the clock that a container takes to be ready; one more, and the edge sees it."""


class KilledError(BaseException):
    """kill -9: nothing in the process runs after it."""


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
    """What goes on when the deploy is killed, and its files."""

    bad: dict[str, str] = field(default_factory=dict)
    """What is wrong with a release: "never", "crash" or "migration"."""
    containers: dict[str, Container] = field(default_factory=dict)
    below: bool = False
    """The database runs."""
    before: str | None = None
    """The release to whose definition the edge was brought last."""
    files: State = field(default_factory=State)
    outages: list[str] = field(default_factory=list)
    ids: Callable[[], int] = field(default_factory=lambda: count(1).__next__)

    def ready(self, container: Container) -> bool:
        return self.below and container.running and container.age >= AWAKE and container.release not in self.bad

    def reached(self, container: Container) -> bool:
        return self.before is not None and container.age > AWAKE and self.ready(container)

    def serving(self) -> set[str]:
        return {c.service for c in self.containers.values() if self.reached(c)}

    def tick(self) -> None:
        for container in self.containers.values():
            container.age += 1
            if self.bad.get(container.release) == "crash":
                container.age, container.restarts = 0, container.restarts + 1

    def versions(self) -> dict[str, set[str]]:
        return {s: {c.release for c in self.containers.values() if c.service == s} for s in SERVICES}

    def stop(self, name: str, why: str) -> None:
        before = self.serving()
        del self.containers[name]
        self.outages += [f"{why} left nobody for {service}" for service in before - self.serving()]


@dataclass(slots=True)
class Run:
    """One run of the deploy: the port to the engine, with at most one fault at the n-th thing that it does."""

    engine: Engine
    fault_at: int | None = None
    kill: bool = False
    patience: float = 20.0
    now: float = 0.0
    done: int = 0
    troubles: list[str] = field(default_factory=list)

    def _meet_fate(self) -> None:
        self.done += 1
        if self.done == self.fault_at:
            if self.kill:
                raise KilledError
            message = "the engine refused"
            raise TroubleError(message)

    def save(self, state: State) -> None:
        if not self.kill:  # a disk that is full is met before, in pre-flight
            self.engine.files = state
            return
        self._meet_fate()
        self.engine.files = state
        self._meet_fate()

    def services(self, _release: str) -> frozenset[str]:
        return frozenset(SERVICES)

    def look(self, goal: str | None) -> Seen:
        self._meet_fate()
        engine = self.engine
        replicas = frozenset(
            Replica(c.id, c.service, c.release, c.running, engine.ready(c), engine.reached(c), c.restarts)
            for c in engine.containers.values()
        )
        return Seen(
            replicas,
            below=Around.THERE if engine.below else Around.DIFFERENT,
            before=Around.THERE if engine.before == goal else Around.DIFFERENT,
        )

    def act(self, step: Lay | Start | Face | Remove | Clear, goal: str | None) -> None:
        engine = self.engine
        assert engine.files.goal == goal, "the files say where it goes before anything is touched"
        self._meet_fate()
        match step:
            case Lay():
                engine.below = True
            case Face():
                engine.before = goal
            case Start(missing):
                for service, number in missing.items():
                    self._start(service, number, goal or "")
            case Remove(ids):
                for name in sorted(ids):
                    engine.stop(name, f"on the way to {goal}, {engine.containers[name].release}'s end")
                    self._meet_fate()
            case Clear():
                for name in list(engine.containers):
                    engine.stop(name, "")
                    self._meet_fate()
                engine.below, engine.before = False, None
        self._meet_fate()
        engine.tick()

    def _start(self, service: str, number: int, release: str) -> None:
        engine = self.engine
        ended = [c for c in engine.containers.values() if c.service == service and not c.running]
        for container in ended:  # as compose does: whatever release they are of
            container.running, container.age = True, 0
        for _ in range(number - len(ended)):
            name = f"{service}-{engine.ids()}"
            engine.containers[name] = Container(name, service, release)
            self._meet_fate()

    def migrate(self, release: str) -> None:
        self._meet_fate()
        self.engine.below = True
        if self.engine.bad.get(release) == "migration":
            message = "the migration failed"
            raise TroubleError(message)
        self._meet_fate()

    def monotonic(self) -> float:
        return self.now

    def pause(self) -> None:
        self.now += 1.0
        self.engine.tick()

    def tell(self, text: str) -> None:
        assert text

    def report(self, trouble: str, goal: str | None) -> None:
        assert trouble != str(goal)
        self.troubles.append(trouble)

    def no_way_back(self, state: State, trouble: str) -> None:
        assert state.goal is None or trouble
