"""Execute the plan step by step, and reverse an attempt that fails."""

from dataclasses import replace
from typing import Final, Protocol

from rollout import plan
from rollout.errors import RolloutError
from rollout.exit_codes import ExitCode
from rollout.plan import (
    Change,
    Done,
    Fail,
    Observation,
    Phase,
    Remove,
    Start,
    StartDependencies,
    StartEdge,
    State,
    Wait,
)

MAX_STEPS: Final = 40
"""More than any rollout needs; a rollout with more makes no progress."""


class Adapter(Protocol):
    """The side effects: containers, files, clock and screen."""

    timeout: float
    """The maximum number of seconds between two changes."""

    def save(self, state: State) -> None:
        """Persist *state*."""

    def services(self, release: str) -> frozenset[str]:
        """Return the services of a release that receive requests."""

    def observe(self, target: str | None) -> Observation:
        """Return what is running."""

    def apply(self, step: Change, target: str | None) -> None:
        """Execute a step."""

    def migrate(self, release: str) -> None:
        """Migrate the database to the schema of a release; the release before remains compatible with it."""

    def monotonic(self) -> float:
        """Return a monotonic time in seconds."""

    def pause(self) -> None:
        """Sleep between two observations."""

    def log(self, text: str) -> None:
        """Print what is being done."""

    def report_failure(self, error: str, target: str | None) -> None:
        """Print an error with the last log lines of the containers involved, before these are removed."""

    def report_failed_rollback(self, state: State, error: str) -> None:
        """Print the commands that an operator can try."""


def up(state: State, release: str, adapter: Adapter) -> tuple[State, ExitCode]:
    """Deploy *release*, after `settle`. If that failed, its attempt is discarded: this deploy may be the repair."""
    if state.attempt is None and state.good == release:
        return state, ExitCode.OK
    return run_attempt(plan.begin(replace(state, attempt=None), release), adapter)


def roll_back(state: State, release: str | None, adapter: Adapter) -> tuple[State, ExitCode]:
    """Reverse the attempt; without one deploy *release*, by default the previous good one."""
    release = release or state.previous
    if state.attempt is None and release not in {None, state.good}:
        return run_attempt(plan.begin(state, str(release), verified=True), adapter)
    state, code = settle(state, adapter)
    return state, ExitCode.ROLLED_BACK if code is ExitCode.OK and state.good else code


def run_attempt(state: State, adapter: Adapter) -> tuple[State, ExitCode]:
    """Execute the attempt that has just begun; if it fails, return to the good release."""
    attempt = state.attempt
    if attempt is None or attempt.phase is not Phase.MOVING:
        msg = "no attempt has begun"
        raise ValueError(msg)
    adapter.save(state)
    try:
        if not attempt.verified:
            adapter.log("migrate the schema")
            adapter.migrate(attempt.release)
        _reach_target(state, adapter)
    except RolloutError as error:
        adapter.report_failure(str(error), state.target)
        after, code = settle(state, adapter)
        # The operator requested another release than the one that is running now.
        return after, ExitCode.ROLLBACK_FAILED if attempt.verified else code
    state = plan.complete(state)
    adapter.save(state)
    return state, ExitCode.ROLLED_BACK if attempt.verified else ExitCode.OK


def settle(state: State, adapter: Adapter) -> tuple[State, ExitCode]:
    """Reverse the attempt, and make the good release the only one that is running; without one, stop everything."""
    if state.attempt is not None:
        state = plan.reverse(state)
        adapter.save(state)
        adapter.log(f"roll back to {state.good}" if state.good else "remove what was started")
    try:
        changed = _reach_target(state, adapter) or state.attempt is not None
    except RolloutError as error:
        adapter.report_failure(str(error), state.target)
        adapter.report_failed_rollback(state, str(error))
        return state, ExitCode.ROLLBACK_FAILED
    if not changed:
        return state, ExitCode.OK
    if state.attempt is not None:
        state = plan.complete(state)
        adapter.save(state)
    return state, ExitCode.ROLLED_BACK if state.good else ExitCode.ROLLBACK_FAILED


def _reach_target(state: State, adapter: Adapter) -> bool:
    """Execute steps until only the target is running; return whether any was needed. Raise RolloutError."""
    services = adapter.services(state.target) if state.target else frozenset()
    since, taken = adapter.monotonic(), 0
    while True:
        step = plan.next_step(state.target, services, adapter.observe(state.target))
        match step:
            case Done():
                return taken > 0
            case Fail(reason):
                raise RolloutError(reason)
            case Wait(reason):
                if adapter.monotonic() - since > adapter.timeout:
                    msg = f"after {adapter.timeout:.0f} s: {reason}"
                    raise RolloutError(msg)
                adapter.pause()
            case _:
                taken += 1
                if taken > MAX_STEPS:
                    msg = f"{MAX_STEPS} steps did not reach the target; the last one: {_describe(step)}"
                    raise RolloutError(msg)
                adapter.log(_describe(step))
                adapter.apply(step, state.target)
                since = adapter.monotonic()


def _describe(step: Change) -> str:
    match step:
        case StartDependencies():
            return "start the dependencies"
        case Start(missing):
            return "start " + ", ".join(f"{n} of {name}" if n > 1 else name for name, n in missing.items())
        case StartEdge():
            return "start the edge tier"
        case Remove(ids):
            return f"drain and remove {len(ids)} containers"
        case _:
            return "remove all containers and keep the volumes"
