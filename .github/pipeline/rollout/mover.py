"""Carry out what the machine says, step after step, and turn round where that fails."""

from dataclasses import replace
from enum import IntEnum
from typing import Final, Protocol

from rollout import machine
from rollout.machine import Await, Clear, Done, Face, Lay, Phase, Refuse, Remove, Seen, Start, State, Step

STEPS: Final = 40
"""More than any way takes: beyond, steps do not have the effect that they should."""


class Ending(IntEnum):
    """How a run ended: its exit code."""

    DONE = 0
    REFUSED = 1
    """Nothing was touched."""
    BACK = 10
    """The release before runs."""
    STUCK = 20
    """A person is needed."""
    FINDING = 42
    BUSY = 75


class TroubleError(Exception):
    """A step failed, took too long, or was interrupted; the message is for people."""


class Port(Protocol):
    """All that is not pure: the engine, the files, the clock, the screen."""

    patience: float
    """Seconds for which nothing need change."""

    def save(self, state: State) -> None:
        """Make *state* outlast a crash."""

    def services(self, release: str) -> frozenset[str]:
        """Return the services that take requests in a release."""

    def look(self, goal: str | None) -> Seen:
        """See what runs."""

    def act(self, step: Lay | Start | Face | Remove | Clear, goal: str | None) -> None:
        """Do what a step says."""

    def migrate(self, release: str) -> None:
        """Bring the database to the schema of a release, which the one before can use too."""

    def monotonic(self) -> float:
        """Return seconds since some moment."""

    def pause(self) -> None:
        """Wait a little before looking again."""

    def tell(self, text: str) -> None:
        """Say what happens."""

    def report(self, trouble: str, goal: str | None) -> None:
        """Say what went wrong, with the last words of the containers concerned, before they are taken away."""

    def no_way_back(self, state: State, trouble: str) -> None:
        """Say which commands a person can try now."""


def up(state: State, release: str, port: Port) -> tuple[State, Ending]:
    """Move to *release*, after `settle`. What could not be settled does not keep a repair from being tried."""
    if state.attempt is None and state.good == release:
        return state, Ending.DONE
    return go(machine.begun(replace(state, attempt=None), release), port)


def roll_back(state: State, release: str | None, port: Port) -> tuple[State, Ending]:
    """End an attempt at the good release; without one move to *release*, by default the one that was good before."""
    release = release or state.previous
    if state.attempt is None and release not in {None, state.good}:
        return go(machine.begun(state, str(release), verified=True), port)
    state, ending = settle(state, port)
    return state, Ending.BACK if ending is Ending.DONE and state.good else ending


def go(state: State, port: Port) -> tuple[State, Ending]:
    """Carry out the attempt that has just begun; where it fails, go back to the good release."""
    attempt = state.attempt
    if attempt is None or attempt.phase is not Phase.MOVING:
        msg = "no attempt has begun"
        raise ValueError(msg)
    port.save(state)
    try:
        if not attempt.verified:
            port.tell("bring the schema up to date")
            port.migrate(attempt.release)
        _reach(state, port)
    except TroubleError as trouble:
        port.report(str(trouble), state.goal)
        after, ending = settle(state, port)
        # A person asked for another release than the one that runs now.
        return after, Ending.STUCK if attempt.verified else ending
    state = machine.arrived(state)
    port.save(state)
    return state, Ending.BACK if attempt.verified else Ending.DONE


def settle(state: State, port: Port) -> tuple[State, Ending]:
    """End an attempt at the good release, and see that it alone runs. Without one, nothing is left running."""
    if state.attempt is not None:
        state = machine.failed(state)
        port.save(state)
        port.tell(f"go back to {state.good}" if state.good else "take away what was started")
    try:
        touched = _reach(state, port) or state.attempt is not None
    except TroubleError as trouble:
        port.report(str(trouble), state.goal)
        port.no_way_back(state, str(trouble))
        return state, Ending.STUCK
    if not touched:
        return state, Ending.DONE
    if state.attempt is not None:
        state = machine.arrived(state)
        port.save(state)
    return state, Ending.BACK if state.good else Ending.STUCK


def _reach(state: State, port: Port) -> bool:
    """Take steps until the goal, and nothing else, runs; say whether any was needed. Raise TroubleError."""
    services = port.services(state.goal) if state.goal else frozenset()
    since, taken = port.monotonic(), 0
    while True:
        step = machine.next_step(state.goal, services, port.look(state.goal))
        match step:
            case Done():
                return taken > 0
            case Refuse(reason):
                raise TroubleError(reason)
            case Await(reason):
                if port.monotonic() - since > port.patience:
                    msg = f"after {port.patience:.0f} s: {reason}"
                    raise TroubleError(msg)
                port.pause()
            case _:
                taken += 1
                if taken > STEPS:
                    msg = f"{STEPS} steps did not have the effect that they should; the last one: {_words(step)}"
                    raise TroubleError(msg)
                port.tell(_words(step))
                port.act(step, state.goal)
                since = port.monotonic()


def _words(step: Step) -> str:
    match step:
        case Lay():
            return "start what the services stand on"
        case Start(missing):
            return "start " + ", ".join(f"{n} of {name}" if n > 1 else name for name, n in missing.items())
        case Face():
            return "start what stands before the services"
        case Remove(ids):
            return f"drain and remove {len(ids)} containers"
        case Clear():
            return "remove all containers; the data stays"
        case _:
            return type(step).__name__.lower()
