"""Choose the next step of a rollout: pure functions of the stored state and of the observed containers.

Progress is never stored. Each step is derived from an observation, so that the next run can continue after a kill at
any point. Two rules keep the system available: no old replica stops before every replica of the target is ready and
receives requests; and an attempt that fails is reversed once, to the last verified release.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, TypeAlias

MAX_RESTARTS: Final = 2
"""A replica that exits this often during a run is in a crash loop."""


class Phase(StrEnum):
    """The phase of an attempt."""

    MOVING = "moving"
    """This release is being started, and will replace the good one."""
    DEPLOYED = "deployed"
    """Only this release is running; it is not verified yet."""
    RETURNING = "returning"
    """The good release is being restored."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The rollout of a release that is to replace the good one."""

    release: str
    phase: Phase = Phase.MOVING
    verified: bool = False
    """The release was good before: an operator requested a rollback to it."""


@dataclass(frozen=True, slots=True)
class State:
    """The stored state."""

    good: str | None = None
    """The last verified release."""
    previous: str | None = None
    """The good release before it; None after a rollback, so that a second rollback is a no-op."""
    attempt: Attempt | None = None

    @property
    def target(self) -> str | None:
        """The release that should be running; None if nothing should."""
        if self.attempt is None or self.attempt.phase is Phase.RETURNING:
            return self.good
        return self.attempt.release


def begin(state: State, release: str, *, verified: bool = False) -> State:
    """Begin an attempt. Raise ValueError if one is in progress."""
    if state.attempt is not None:
        msg = f"the attempt of {state.attempt.release} has not ended"
        raise ValueError(msg)
    return replace(state, attempt=Attempt(release, verified=verified))


def reverse(state: State) -> State:
    """Make the good release the target again."""
    return state if state.attempt is None else replace(state, attempt=replace(state.attempt, phase=Phase.RETURNING))


def complete(state: State) -> State:
    """Record that only the target is running."""
    if state.attempt is None or state.attempt.phase is Phase.DEPLOYED:
        return state
    if state.attempt.phase is Phase.RETURNING:
        return replace(state, attempt=None)
    if state.attempt.verified:
        return State(good=state.attempt.release)
    return replace(state, attempt=replace(state.attempt, phase=Phase.DEPLOYED))


def promote(state: State) -> State:
    """Make the deployed release the good one. Raise ValueError if none is deployed."""
    if state.attempt is None or state.attempt.phase is not Phase.DEPLOYED:
        msg = "no deployed release is waiting for verification"
        raise ValueError(msg)
    return State(good=state.attempt.release, previous=state.good)


@dataclass(frozen=True, slots=True)
class Replica:
    """An observed container of a service."""

    id: str
    service: str
    release: str | None
    """The release whose configuration and image it has; None if it belongs to no release."""
    running: bool = True
    ready: bool = False
    """Several consecutive readiness probes succeeded with the release's version."""
    routed: bool = False
    """The edge sends requests to it."""
    restarts: int = 0
    """How often it exited and was restarted during this run."""
    note: str = field(default="", compare=False)
    """The error of the last readiness probe."""


class TierState(StrEnum):
    """The state of the containers around the services, compared with the target's definition; the worst comes first."""

    OUTDATED = "outdated"
    STARTING = "starting"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Observation:
    """What is running."""

    replicas: frozenset[Replica] = frozenset()
    dependencies: TierState = TierState.OUTDATED
    """The database."""
    edge: TierState = TierState.OUTDATED
    """The edge and the monitoring."""


@dataclass(frozen=True, slots=True)
class StartDependencies:
    """Start the dependencies, or update them to the target's definition."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start more replicas of the target."""

    missing: Mapping[str, int]
    """How many, by service, in addition to the running ones."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Observe again after a pause."""

    reason: str


@dataclass(frozen=True, slots=True)
class StartEdge:
    """Start the edge tier, or update it to the target's definition."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Drain and remove these containers."""

    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class TearDown:
    """Remove all containers and keep the volumes."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The target cannot be reached."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """Only the target is running."""


Change: TypeAlias = StartDependencies | Start | StartEdge | Remove | TearDown
Step: TypeAlias = Change | Wait | Fail | Done


def next_step(target: str | None, services: frozenset[str], seen: Observation) -> Step:
    """Return the next step towards the state in which all *services* of *target*, and nothing else, are running."""
    if target is None:
        return TearDown() if seen.replicas else Done()
    mine = sorted((r for r in seen.replicas if r.release == target and r.service in services), key=lambda r: r.service)
    return (
        _remove(r for r in seen.replicas if not r.running)
        or _update(seen.dependencies, StartDependencies(), "the dependencies are not ready")
        or _start(target, services, seen)
        or _await_readiness(mine)
        or _update(seen.edge, StartEdge(), "the edge tier is not ready")
        or _wait("; ".join(f"the edge does not route to {r.service} yet" for r in mine if not r.routed))
        or _remove(seen.replicas.difference(mine))
        or Done()
    )


def _start(target: str, services: frozenset[str], seen: Observation) -> Step | None:
    """Start as many replicas of each service as any release has, because an operator may have scaled the good one."""
    count = Counter((r.service, r.release) for r in seen.replicas)
    wanted = {service: max([1, *(n for (name, _), n in count.items() if name == service)]) for service in services}
    missing = {
        service: n - count[service, target] for service, n in sorted(wanted.items()) if n > count[service, target]
    }
    return Start(missing) if missing else None


def _await_readiness(mine: list[Replica]) -> Step | None:
    if broken := [r for r in mine if r.restarts >= MAX_RESTARTS]:
        return Fail("; ".join(f"{r.service} is in a crash loop: {r.note}" for r in broken))
    return _wait("; ".join(f"{r.service} is not ready: {r.note}" for r in mine if not r.ready))


def _update(tier: TierState, step: StartDependencies | StartEdge, reason: str) -> Step | None:
    if tier is TierState.OUTDATED:
        return step
    return Wait(reason) if tier is TierState.STARTING else None


def _wait(reason: str) -> Step | None:
    return Wait(reason) if reason else None


def _remove(replicas: Iterable[Replica]) -> Step | None:
    ids = frozenset(r.id for r in replicas)
    return Remove(ids) if ids else None
