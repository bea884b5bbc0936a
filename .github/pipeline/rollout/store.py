"""The state: plain JSON in a folder, each file replaced as a whole, and a lock that dies with its holder."""

import contextlib
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rollout.machine import Attempt, Phase, State
from rollout.release import Release

KEPT: Final = 5
"""Releases that are kept beside those that are in use."""


class BusyError(Exception):
    """Another run holds the lock; the message names it."""


class Store:
    """The folder: good.json, attempt.json, history.jsonl, releases/, builds/, logs/, lock."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.lock_file: int | None = None
        """Handed on to every child: a run that is killed is over when its children are."""

    def read(self) -> State:
        """Return what the files say."""
        good, attempt = self._load("good.json") or {}, self._load("attempt.json")
        return State(
            good=good.get("release"),
            previous=good.get("previous"),
            attempt=attempt and Attempt(attempt["release"], Phase(attempt["phase"]), attempt["verified"]),
        )

    def write(self, state: State) -> None:
        """Make *state* outlast a crash, and note in the history what has changed."""
        old = self.read()
        # The good release first: killed in between, an attempt of the good release is left, which ends by itself.
        if (state.good, state.previous) != (old.good, old.previous) and state.good:
            release = self.release(state.good)
            self._save("good.json", {**release.summary(), "previous": state.previous, "at": now()})
            self.note("good", state.good, previous=old.good)
        if state.attempt == old.attempt:
            return
        if state.attempt is None:
            (self.folder / "attempt.json").unlink()
            self._sync()
            self.note("ended", old.attempt.release if old.attempt else "", running=state.good)
        else:
            attempt = {**asdict(state.attempt), "from": state.good, "at": now()}
            self._save("attempt.json", attempt)
            self.note(state.attempt.phase, state.attempt.release, good=state.good)

    def note(self, event: str, release: str, **more: Any) -> None:
        """Add a line to the history."""
        line = json.dumps({"at": now(), "event": event, "release": release, **more}) + "\n"
        path = self.folder / "history.jsonl"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._own(path)

    def history(self) -> list[dict[str, Any]]:
        """Return the lines of the history, oldest first; one that a crash cut short is left out."""
        path = self.folder / "history.jsonl"
        found = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found

    def add(self, release: Release) -> None:
        """Keep a release, so that it can be gone back to without its checkout."""
        self._save(f"releases/{release.id}/compose.json", release.document)
        self._save(f"releases/{release.id}/release.json", {**release.summary(), "at": now()})

    def release(self, name: str) -> Release:
        """Return a release that was kept."""
        folder = f"releases/{name}"
        said, document = self._load(f"{folder}/release.json"), self._load(f"{folder}/compose.json")
        if said is None or document is None:
            message = f"{self.folder / folder} is not there, or not whole: that release cannot be gone back to"
            raise LookupError(message)
        return Release(said["release"], said["tag"], document, said["images"], said["schema"])

    def compose_file(self, name: str) -> Path:
        """Return where the rendered compose file of a release is."""
        return self.folder / "releases" / name / "compose.json"

    def releases(self) -> list[str]:
        """Return the names of the releases that were kept whole, oldest first."""
        found = list((self.folder / "releases").glob("*/release.json"))
        return [path.parent.name for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def forget(self, state: State) -> list[Release]:
        """Delete all but the last releases and those in use; return what is left of no use to anybody."""
        used = {state.good, state.previous, state.attempt.release if state.attempt else None}
        old = [self.release(name) for name in self.releases()[:-KEPT] if name not in used]
        for release in old:
            shutil.rmtree(self.folder / "releases" / release.id)
        return old

    def sealed(self, tag: str) -> dict[str, str] | None:
        """Return the ids that the images of *tag* had when they were built, by name; None where nobody noted them."""
        found: dict[str, str] | None = self._load(f"builds/{tag}.json")
        return found

    def seal(self, tag: str, images: dict[str, str]) -> None:
        """Note the ids of the images of *tag*."""
        self._save(f"builds/{tag}.json", images)

    def save_report(self, name: str, report: dict[str, Any]) -> None:
        """Keep figures for whoever reports on the run."""
        self._save(name, report)

    def keep_log(self, name: str, text: str) -> Path:
        """Keep a container's last words; return where."""
        path = self.folder / "logs" / name
        self._replace(path, text)
        return path

    @contextlib.contextmanager
    def lock(self, what: str, *, wait: bool) -> Iterator[None]:
        """Hold the lock. Raise BusyError, at once where *wait* is off, naming the holder."""
        path = self.folder / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._own(path)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 1_000, 0).decode(errors="replace").strip() or "an unknown process"
                if not wait:
                    message = f"another run is at work: {holder}"
                    raise BusyError(message) from None
                sys.stdout.write(f"wait for another run: {holder}\n")
                sys.stdout.flush()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{what}, process {os.getpid()} on {os.uname().nodename} since {now()}\n".encode(), 0)
            self.lock_file = descriptor
            yield
        finally:
            self.lock_file = None
            os.close(descriptor)

    def _load(self, name: str) -> Any:
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def _save(self, name: str, value: Any) -> None:
        self._replace(self.folder / name, json.dumps(value, indent=1) + "\n")

    def _replace(self, path: Path, text: str) -> None:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            folder.mkdir(exist_ok=True, mode=0o700)
            self._own(folder)
        temporary = path.with_name(f".{path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._own(temporary)
        temporary.rename(path)
        self._sync(path.parent)

    def _sync(self, folder: Path | None = None) -> None:
        descriptor = os.open(folder or self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _own(self, path: Path) -> None:
        """Root in a job's container writes for the person whose folder it is."""
        if os.geteuid() == 0:
            owner = self.folder.stat()
            os.chown(path, owner.st_uid, owner.st_gid)


def now() -> str:
    """Return the time for people: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def default_folder() -> Path:
    """Return $TOCSIN_STATE, or `tocsin` where the XDG specification puts state."""
    if given := os.environ.get("TOCSIN_STATE"):
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "tocsin"
