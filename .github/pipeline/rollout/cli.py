"""The command: `.github/pipeline/deploy up|verify|promote|rollback|settle|status|history|env|seal`."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rollout import machine, mover, preflight, status, verify
from rollout.engine import Docker
from rollout.inputs import InputError, build_environment
from rollout.machine import Phase, State
from rollout.mover import Ending, TroubleError
from rollout.port import DockerPort
from rollout.preflight import RefusedError
from rollout.release import Release
from rollout.store import BusyError, Store, default_folder

ROOT = Path(__file__).resolve().parents[3]
READY_SECONDS = 60.0
"""For how long a step may have no effect."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code (see `Ending`)."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "env":
            for key, value in build_environment(ROOT, options.tag).items():
                sys.stdout.write(f"{key}={value}\n")
            return Ending.DONE
        store = Store(default_folder())
        if options.command in {"status", "history"}:
            return _look(store, options)
        with store.lock(" ".join(arguments), wait=not options.no_wait):
            return _Run(store, options).run()
    except BusyError as busy:
        return _refuse(str(busy), Ending.BUSY)
    except (RefusedError, TroubleError, InputError, LookupError) as no:
        return _refuse(f"{no}\nNothing was begun.", Ending.REFUSED)
    except OSError as broken:
        return _refuse(f"the state could not be written: {broken}. Nothing more was done.", Ending.REFUSED)


class _Run:
    """One command that changes something, or waits until nobody does."""

    def __init__(self, store: Store, options: argparse.Namespace) -> None:
        self.store = store
        self.tag: str = getattr(options, "tag", None) or ""
        self.command: str = options.command
        self.state = store.read()
        self._patience = float(os.environ.get("TOCSIN_READY_SECONDS") or READY_SECONDS)

    def run(self) -> int:
        """Do it."""
        Docker("").check()
        match self.command:
            case "up":
                return self.up()
            case "verify":
                return verify.verify(self._deployed(), self._docker(self._deployed()), self.store)
            case "promote":
                return self.promote()
            case "rollback":
                return self.rollback()
            case "settle":
                return self._end(*mover.settle(self.state, self._port()))
            case _:
                images = preflight.seal(Docker(""), self.store, build_environment(ROOT, self.tag))
                sys.stdout.write("".join(f"{name} {image}\n" for name, image in images.items()))
                return Ending.DONE

    def up(self) -> int:
        """Deploy: settle, look whether it can be done, do it."""
        document = preflight.render(ROOT, self.tag, self.store.folder / "settings.env")
        docker = Docker(document["name"], lock_file=self.store.lock_file)
        preflight.same_system(self.store, self.state, docker.project)
        with _signals():
            if self.state.attempt is not None or self.state.good is not None:
                self.state, _ = mover.settle(self.state, self._port(docker))
            release = preflight.candidate(docker, self.store, document, self.tag, preflight.schema(ROOT))
            preflight.check(docker, self.store, self.state)
            self.store.add(release)
            return self._end(*mover.up(self.state, release.id, self._port(docker)))

    def promote(self) -> int:
        """Take what was deployed and verified for the last good release; forget what nobody can go back to."""
        release = self._deployed()
        if self.state.attempt is not None:
            self.state = machine.promoted(self.state)
            self.store.write(self.state)
        forgotten = self.store.forget(self.state)
        kept = {self.store.release(name).tag for name in self.store.releases()}
        for old in forgotten:
            if old.tag not in kept:
                self._remove_images(old)
        sys.stdout.write(f"{release.tag} is the last good release\n")
        return Ending.DONE

    def _remove_images(self, old: Release) -> None:
        docker = self._docker(old)
        try:
            for image in docker.images([old.image(name) for name in old.services | {"migrate"}]):
                docker.run("image", "rm", image)
        except TroubleError as used:
            sys.stderr.write(f"an image of the old release {old.tag} was left: {used}\n")

    def rollback(self) -> int:
        """Go back to the last good release from an attempt, or else to the one before it."""
        target = self._named(self.tag) if self.tag else self.state.previous
        if self.state.attempt is None and self.state.good is None:
            message = "no release was ever good here: there is nothing to go back to"
            raise RefusedError(message)
        if self.state.attempt is None and target:
            preflight.way_back(self._docker(self.store.release(target)), self.store.release(target))
        elif not self.tag and self.state.attempt is None:
            sys.stdout.write("the last thing done was to go back; to go further, say to which release\n")
        with _signals():
            return self._end(*mover.roll_back(self.state, target, self._port()))

    def _end(self, state: State, ending: Ending) -> int:
        self.state = state
        good = self.store.release(state.good).tag if state.good else "nothing"
        attempt = self.store.release(state.attempt.release).tag if state.attempt else ""
        self.store.note("exit", state.goal or "", command=self.command, code=int(ending))
        if ending is Ending.DONE:
            said = f"{attempt} is deployed, and not verified yet" if attempt else f"{good} runs"
        elif ending is Ending.BACK:
            said = f"{good} runs: it was gone back to"
        elif state.attempt is None and state.good is None:
            said = "nothing runs: there was no release to go back to. The data is kept"
        else:
            said = f"a person is needed: see above. The last good release is {good}"
        sys.stdout.write(said + "\n")
        return ending

    def _deployed(self) -> Release:
        """Return what waits to be verified, or else is good. Raise RefusedError where that is not the tag asked for."""
        attempt, name = self.state.attempt, self.state.goal
        if name is None or (attempt is not None and attempt.phase is not Phase.DEPLOYED):
            message = "nothing is deployed that waits to be verified"
            raise RefusedError(message)
        release = self.store.release(name)
        if release.tag != self.tag:
            message = f"{release.tag} is deployed, not {self.tag}"
            raise RefusedError(message)
        return release

    def _named(self, tag: str) -> str:
        """Return the newest release that was good and whose tag begins so."""
        good = {line["release"] for line in self.store.history() if line["event"] == "good"}
        for name in reversed(self.store.releases()):
            if name in good and name.startswith(tag):
                return name
        message = f"no release {tag} was ever good here, or it was forgotten: see {sys.argv[0]} history"
        raise RefusedError(message)

    def _docker(self, release: Release) -> Docker:
        return Docker(release.project, lock_file=self.store.lock_file)

    def _port(self, docker: Docker | None = None) -> DockerPort:
        named = self.state.goal or (self.state.attempt.release if self.state.attempt else None)
        if docker is None:
            project = self.store.release(named).project if named else os.environ.get("COMPOSE_PROJECT_NAME", "tocsin")
            docker = Docker(project, lock_file=self.store.lock_file)
        return DockerPort(self.store, docker, patience=self._patience)


class _signals:  # noqa: N801 - a context manager that reads like a function
    """Take the first signal for a failure: what was begun is taken back. Later ones do not keep it from that."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._interrupted) for number in self.SIGNALS}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupted(self, number: int, _frame: FrameType | None) -> None:
        for each in self.SIGNALS:
            signal.signal(each, _not_now)
        message = f"interrupted by {signal.Signals(number).name}"
        raise TroubleError(message)


def _not_now(_number: int, _frame: FrameType | None) -> None:
    sys.stderr.write("it is going back; what a kill -9 leaves, the next run settles\n")


def _look(store: Store, options: argparse.Namespace) -> int:
    show = status.status if options.command == "status" else status.history
    found = show(store)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else status.in_words(found))
    return Ending.DONE


def _refuse(text: str, ending: Ending) -> int:
    sys.stderr.write(text + "\n")
    return ending


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy", description="Move the running system to another release, and back.")
    parser.add_argument("--no-wait", action="store_true", help="exit with 75 where another run is at work")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, says in (
        ("up", "move the running system to the images of TAG, or leave it as it is"),
        ("verify", "look from outside whether TAG does what it should"),
        ("promote", "take TAG for the last good release"),
        ("seal", "note which images of TAG were built, so that no others are deployed"),
    ):
        commands.add_parser(name, help=says).add_argument("tag", metavar="TAG")
    rollback = commands.add_parser("rollback", help="go back to the last good release, or the one before it")
    rollback.add_argument("tag", metavar="TAG", nargs="?")
    commands.add_parser("settle", help="end what an earlier run left half done, at the last good release")
    for name, says in (("status", "what runs"), ("history", "what was done")):
        commands.add_parser(name, help=says).add_argument("--json", action="store_true")
    build = commands.add_parser("env", help="print what the build must be told, as KEY=VALUE lines")
    build.add_argument("tag", metavar="TAG", nargs="?")
    return parser
