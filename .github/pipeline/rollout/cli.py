"""The command `.github/pipeline/deploy up|verify|promote|rollback|settle|status|history|env|pin`."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rollout import executor, plan, preflight, status, verify
from rollout.docker import Docker
from rollout.docker_adapter import DockerAdapter
from rollout.errors import RefusedError, RolloutError
from rollout.exit_codes import ExitCode
from rollout.image_tags import build_environment
from rollout.plan import Phase, State
from rollout.release import Release
from rollout.store import Store, default_folder

ROOT = Path(__file__).resolve().parents[3]
READY_SECONDS = 60.0
"""How long the system may take after a step until the next one is possible; TOCSIN_READY_SECONDS changes it."""


def main(arguments: Sequence[str]) -> ExitCode:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "env":
            for key, value in build_environment(ROOT, options.tag).items():
                sys.stdout.write(f"{key}={value}\n")
            return ExitCode.OK
        store = Store(default_folder())
        if options.command in {"status", "history"}:
            return _report(store, options)
        with store.lock(" ".join(arguments), wait=not options.no_wait):
            return _Command(store, options).run()
    except RefusedError as error:
        return _fail(f"{error}\nNothing was changed.", error.exit_code)
    except (RolloutError, LookupError) as error:
        return _fail(f"{error}\nNothing was changed.", ExitCode.ERROR)
    except OSError as error:
        return _fail(f"the state could not be written: {error}. The command stopped there.", ExitCode.ERROR)


class _Command:
    """A command that holds the lock."""

    def __init__(self, store: Store, options: argparse.Namespace) -> None:
        self.store = store
        self.tag: str = getattr(options, "tag", None) or ""
        self.command: str = options.command
        self.state = store.read()
        self._timeout = float(os.environ.get("TOCSIN_READY_SECONDS") or READY_SECONDS)

    def run(self) -> ExitCode:
        """Execute the command."""
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
                return self._finish(*executor.settle(self.state, self._adapter()))
            case _:
                images = preflight.pin(Docker(""), self.store, build_environment(ROOT, self.tag))
                sys.stdout.write("".join(f"{name} {image}\n" for name, image in images.items()))
                return ExitCode.OK

    def up(self) -> ExitCode:
        """Reverse an unfinished attempt, run the preflight checks, and deploy."""
        document = preflight.render(ROOT, self.tag, self.store.folder / "settings.env")
        docker = Docker(document["name"], lock_file=self.store.lock_file)
        preflight.check_project(self.store, self.state, docker.project)
        with _Signals():
            if self.state.attempt is not None or self.state.good is not None:
                self.state, _ = executor.settle(self.state, self._adapter(docker))
            schema = preflight.newest_migration(ROOT)
            release = preflight.candidate(docker, self.store, document, self.tag, schema)
            if self.state.good is not None:
                preflight.check_schema_line(self.store.release(self.state.good), release)
            preflight.check_resources(docker, self.store, self.state)
            self.store.add(release)
            return self._finish(*executor.up(self.state, release.id, self._adapter(docker)))

    def promote(self) -> ExitCode:
        """Make the deployed release the good one, and prune the releases that no rollback can reach."""
        release = self._deployed()
        if self.state.attempt is not None:
            self.state = plan.promote(self.state)
            self.store.write(self.state)
        pruned = self.store.prune(self.state)
        kept = {self.store.release(name).tag for name in self.store.releases()}
        for old in pruned:
            if old.tag not in kept:
                self._remove_images(old)
        sys.stdout.write(f"{release.tag} is the good release\n")
        return ExitCode.OK

    def _remove_images(self, old: Release) -> None:
        docker = self._docker(old)
        try:
            for image in docker.images([old.image(name) for name in old.services | {"migrate"}]):
                docker.run("image", "rm", image)
        except RolloutError as error:
            sys.stderr.write(f"an image of the old release {old.tag} was kept: {error}\n")

    def rollback(self) -> ExitCode:
        """Reverse the attempt in progress; without one, return to the previous good release, or to the given one."""
        target = self._find_good(self.tag) if self.tag else self.state.previous
        if self.state.attempt is None and self.state.good is None:
            message = "no release was ever good here: there is no release to roll back to"
            raise RefusedError(message)
        if self.state.attempt is None and target:
            release = self.store.release(target)
            if self.state.good:
                preflight.check_schema_line(self.store.release(self.state.good), release)
            preflight.check_images(self._docker(release), release)
        elif not self.tag and self.state.attempt is None:
            sys.stdout.write("the last command was a rollback; to go back further, name a release\n")
        with _Signals():
            return self._finish(*executor.roll_back(self.state, target, self._adapter()))

    def _finish(self, state: State, code: ExitCode) -> ExitCode:
        self.state = state
        good = self.store.release(state.good).tag if state.good else "nothing"
        attempt = self.store.release(state.attempt.release).tag if state.attempt else ""
        self.store.append_event("exit", state.target or "", command=self.command, code=int(code))
        if code is ExitCode.OK:
            result = f"{attempt} is deployed and not verified yet" if attempt else f"{good} is running"
        elif code is ExitCode.ROLLED_BACK:
            result = f"rolled back: {good} is running"
        elif state.attempt is None and state.good is None:
            result = "nothing is running: there was no release to roll back to. The data is kept"
        else:
            result = f"an operator has to intervene, see above. The good release is {good}"
        sys.stdout.write(result + "\n")
        return code

    def _deployed(self) -> Release:
        """Return the deployed release, verified or not. Raise RefusedError if its tag is not the given one."""
        attempt, name = self.state.attempt, self.state.target
        if name is None or (attempt is not None and attempt.phase is not Phase.DEPLOYED):
            message = "no deployed release is waiting for verification"
            raise RefusedError(message)
        release = self.store.release(name)
        if release.tag != self.tag:
            message = f"{release.tag} is deployed, not {self.tag}"
            raise RefusedError(message)
        return release

    def _find_good(self, tag: str) -> str:
        """Return the newest release that was good and whose tag starts with *tag*. Raise RefusedError."""
        good = {line["release"] for line in self.store.history() if line["event"] == "good"}
        for name in reversed(self.store.releases()):
            if name in good and name.startswith(tag):
                return name
        message = f"no release {tag} was ever good here, or it was pruned: see {sys.argv[0]} history"
        raise RefusedError(message)

    def _docker(self, release: Release) -> Docker:
        return Docker(release.project, lock_file=self.store.lock_file)

    def _adapter(self, docker: Docker | None = None) -> DockerAdapter:
        named = self.state.target or (self.state.attempt.release if self.state.attempt else None)
        if docker is None:
            project = self.store.release(named).project if named else os.environ.get("COMPOSE_PROJECT_NAME", "tocsin")
            docker = Docker(project, lock_file=self.store.lock_file)
        return DockerAdapter(self.store, docker, timeout=self._timeout)


class _Signals:
    """Turn the first signal into an error, which triggers the rollback, and ignore later ones during the rollback."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> None:
        self._handlers = {number: signal.signal(number, self._interrupt) for number in self.SIGNALS}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        for each in self.SIGNALS:
            signal.signal(each, _ignore)
        message = f"interrupted by {signal.Signals(number).name}"
        raise RolloutError(message)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    sys.stderr.write("rolling back; after a kill -9 the next run completes the rollback\n")


def _report(store: Store, options: argparse.Namespace) -> ExitCode:
    create = status.status if options.command == "status" else status.history
    report = create(store)
    sys.stdout.write(json.dumps(report, indent=1) + "\n" if options.json else status.as_text(report))
    return ExitCode.OK


def _fail(text: str, code: ExitCode) -> ExitCode:
    sys.stderr.write(text + "\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy", description="Move the running system to another release and back.")
    parser.add_argument("--no-wait", action="store_true", help="exit with 75 if another run is in progress")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("up", "deploy the images of TAG, and roll back if that fails"),
        ("verify", "verify from outside that TAG works"),
        ("promote", "make TAG the good release"),
        ("pin", "store the IDs of the images of TAG, so that only these are deployed"),
    ):
        commands.add_parser(name, help=text).add_argument("tag", metavar="TAG")
    rollback = commands.add_parser("rollback", help="return to the good release, or to the previous one")
    rollback.add_argument("tag", metavar="TAG", nargs="?")
    commands.add_parser("settle", help="reverse what an earlier run left unfinished")
    for name, text in (("status", "show what is running"), ("history", "show past deploys")):
        commands.add_parser(name, help=text).add_argument("--json", action="store_true")
    build = commands.add_parser("env", help="print the build's variables, as KEY=VALUE lines")
    build.add_argument("tag", metavar="TAG", nargs="?")
    return parser
