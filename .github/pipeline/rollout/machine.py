"""Which step comes next: pure functions of what the files say and of what is seen to run.

Nothing here remembers how far an earlier run came. Each step is chosen by looking, so that a run that was killed
anywhere is taken up by the next one like any other. Two rules keep the system up: nothing is stopped before all of the
goal is ready and the edge sends to it; and an attempt that fails turns round once, to the last release that was
verified.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

RESTARTS: Final = 2
"""A replica that has ended this often while it was waited for will not stop doing so."""


class Phase(StrEnum):
    """How far an attempt has come."""

    MOVING = "moving"
    DEPLOYED = "deployed"
    """It alone runs, and is not verified yet."""
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A release that is to take the place of the good one."""

    release: str
    phase: Phase = Phase.MOVING
    verified: bool = False
    """It was a good release before: a way back that a person asked for."""


@dataclass(frozen=True, slots=True)
class State:
    """What the files say."""

    good: str | None = None
    """The last release that was verified."""
    previous: str | None = None
    """The one that was good before it; None after a way back, so that asking twice goes back once."""
    attempt: Attempt | None = None

    @property
    def goal(self) -> str | None:
        """The release that is to run; None: nothing is."""
        if self.attempt is None or self.attempt.phase is Phase.RETURNING:
            return self.good
        return self.attempt.release


def begun(state: State, release: str, *, verified: bool = False) -> State:
    """Set out for a release. An earlier attempt must have ended."""
    if state.attempt is not None:
        msg = f"the attempt of {state.attempt.release} has not ended"
        raise ValueError(msg)
    return replace(state, attempt=Attempt(release, verified=verified))


def failed(state: State) -> State:
    """Turn round."""
    return state if state.attempt is None else replace(state, attempt=replace(state.attempt, phase=Phase.RETURNING))


def arrived(state: State) -> State:
    """Note that the goal, and nothing else, runs."""
    if state.attempt is None or state.attempt.phase is Phase.DEPLOYED:
        return state
    if state.attempt.phase is Phase.RETURNING:
        return replace(state, attempt=None)
    if state.attempt.verified:
        return State(good=state.attempt.release)
    return replace(state, attempt=replace(state.attempt, phase=Phase.DEPLOYED))


def promoted(state: State) -> State:
    """Take what is deployed for good."""
    if state.attempt is None or state.attempt.phase is not Phase.DEPLOYED:
        msg = "nothing is deployed that waits to be verified"
        raise ValueError(msg)
    return State(good=state.attempt.release, previous=state.good)


@dataclass(frozen=True, slots=True)
class Replica:
    """A container of a service, as it is seen."""

    id: str
    service: str
    release: str | None
    """Which release's configuration and images it has, where it is one's at all."""
    running: bool = True
    ready: bool = False
    """It has answered several times in a row that it is, with the version of its release."""
    reached: bool = False
    """The edge sends requests to it."""
    restarts: int = 0
    """How often it has ended by itself while this run looked on."""
    note: str = field(default="", compare=False)
    """What it said last, for people."""


class Around(StrEnum):
    """What stands around the services: below them the database, before them the edge, beside them Prometheus."""

    DIFFERENT = "different"
    STARTING = "starting"
    THERE = "there"


@dataclass(frozen=True, slots=True)
class Seen:
    """What runs."""

    replicas: frozenset[Replica] = frozenset()
    below: Around = Around.DIFFERENT
    before: Around = Around.DIFFERENT


@dataclass(frozen=True, slots=True)
class Lay:
    """Start, or bring to the goal's definition, what the services stand on."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start so many more replicas of the goal, beside what runs."""

    missing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Await:
    """Look again in a moment."""

    reason: str


@dataclass(frozen=True, slots=True)
class Face:
    """Start, or bring to the goal's definition, what stands before and beside the services."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Let these finish what they are at, and take them away."""

    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Clear:
    """Take all containers away. The data stays."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The goal cannot be reached."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """The goal, and nothing else, runs."""


Step: TypeAlias = Lay | Start | Await | Face | Remove | Clear | Refuse | Done


def next_step(goal: str | None, services: frozenset[str], seen: Seen) -> Step:
    """Say what is to be done next so that all *services* of *goal* run, and nothing else."""
    if goal is None:
        return Clear() if seen.replicas else Done()
    mine = sorted((r for r in seen.replicas if r.release == goal and r.service in services), key=lambda r: r.service)
    return (
        _remove(r for r in seen.replicas if not r.running)
        or _stand(seen.below, Lay(), "what the services stand on is not ready")
        or _start(goal, services, seen)
        or _make_ready(mine)
        or _stand(seen.before, Face(), "the edge, or what stands beside it, is not ready")
        or _await("; ".join(f"the edge does not send to {r.service} yet" for r in mine if not r.reached))
        or _remove(seen.replicas.difference(mine))
        or Done()
    )


def _start(goal: str, services: frozenset[str], seen: Seen) -> Step | None:
    """Want as many of each as the release has that has most of them: a person may have added some."""
    count = Counter((r.service, r.release) for r in seen.replicas)
    wanted = {service: max([1, *(n for (name, _), n in count.items() if name == service)]) for service in services}
    missing = {service: n - count[service, goal] for service, n in sorted(wanted.items()) if n > count[service, goal]}
    return Start(missing) if missing else None


def _make_ready(mine: list[Replica]) -> Step | None:
    if broken := [r for r in mine if r.restarts >= RESTARTS]:
        return Refuse("; ".join(f"{r.service} ends again and again: {r.note}" for r in broken))
    return _await("; ".join(f"{r.service} is not ready: {r.note}" for r in mine if not r.ready))


def _stand(around: Around, step: Lay | Face, reason: str) -> Step | None:
    if around is Around.DIFFERENT:
        return step
    return Await(reason) if around is Around.STARTING else None


def _await(reason: str) -> Step | None:
    return Await(reason) if reason else None


def _remove(replicas: Iterable[Replica]) -> Step | None:
    ids = frozenset(r.id for r in replicas)
    return Remove(ids) if ids else None
