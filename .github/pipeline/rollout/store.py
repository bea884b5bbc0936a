"""The stored state: JSON files, each replaced atomically, and the lock."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rollout.files import append_line, exclusive_lock, replace_file, sync_folder, utc_now
from rollout.plan import Attempt, Phase, State
from rollout.release import Release

KEPT: Final = 5
"""How many of the newest releases are kept; older ones are kept only while in use."""


class Store:
    """The folder: good.json, attempt.json, history.jsonl, releases/, builds/, logs/, lock."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.lock_file: int | None = None
        """The lock's descriptor, which every child process inherits: the lock outlasts a kill until they exit."""

    def read(self) -> State:
        """Return the stored state."""
        good, attempt = self._load("good.json") or {}, self._load("attempt.json")
        return State(
            good=good.get("release"),
            previous=good.get("previous"),
            attempt=attempt and Attempt(attempt["release"], Phase(attempt["phase"]), attempt["verified"]),
        )

    def write(self, state: State) -> None:
        """Persist *state*, and append the changes to the history."""
        old = self.read()
        # The good release first: a crash in between leaves an attempt of the good release, which ends by itself.
        if (state.good, state.previous) != (old.good, old.previous) and state.good:
            release = self.release(state.good)
            self._save("good.json", {**release.summary(), "previous": state.previous, "at": utc_now()})
            self.append_event("good", state.good, previous=old.good)
        if state.attempt == old.attempt:
            return
        if state.attempt is None:
            (self.folder / "attempt.json").unlink()
            sync_folder(self.folder)
            self.append_event("ended", old.attempt.release if old.attempt else "", running=state.good)
        else:
            attempt = {**asdict(state.attempt), "from": state.good, "at": utc_now()}
            self._save("attempt.json", attempt)
            self.append_event(state.attempt.phase, state.attempt.release, good=state.good)

    def append_event(self, event: str, release: str, **more: Any) -> None:
        """Append an event to the history."""
        append_line(
            self.folder / "history.jsonl", json.dumps({"at": utc_now(), "event": event, "release": release, **more})
        )

    def history(self) -> list[dict[str, Any]]:
        """Return the events, oldest first, without a line that a crash truncated."""
        path = self.folder / "history.jsonl"
        found = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found

    def add(self, release: Release) -> None:
        """Store a release, so that a rollback to it needs no checkout."""
        self._save(f"releases/{release.id}/compose.json", release.document)
        self._save(f"releases/{release.id}/release.json", {**release.summary(), "at": utc_now()})

    def release(self, name: str) -> Release:
        """Return a stored release. Raise LookupError if it is missing or incomplete."""
        folder = f"releases/{name}"
        summary, document = self._load(f"{folder}/release.json"), self._load(f"{folder}/compose.json")
        if summary is None or document is None:
            message = f"{self.folder / folder} is missing or incomplete: a rollback to that release is impossible"
            raise LookupError(message)
        return Release(
            id=summary["release"],
            tag=summary["tag"],
            document=document,
            images=summary["images"],
            schema=summary["schema"],
            line=summary.get("line"),
        )

    def compose_file(self, name: str) -> Path:
        """Return the path of a release's rendered compose file."""
        return self.folder / "releases" / name / "compose.json"

    def releases(self) -> list[str]:
        """Return the IDs of the complete releases, oldest first."""
        found = list((self.folder / "releases").glob("*/release.json"))
        return [path.parent.name for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def prune(self, state: State) -> list[Release]:
        """Delete all releases but the last ones and those in use, and return the deleted ones."""
        used = {state.good, state.previous, state.attempt.release if state.attempt else None}
        old = [self.release(name) for name in self.releases()[:-KEPT] if name not in used]
        for release in old:
            shutil.rmtree(self.folder / "releases" / release.id)
        return old

    def pinned(self, tag: str) -> dict[str, str] | None:
        """Return the IDs that the images of *tag* had when they were built, by name; None if none are stored."""
        found: dict[str, str] | None = self._load(f"builds/{tag}.json")
        return found

    def pin(self, tag: str, images: dict[str, str]) -> None:
        """Store the IDs of the images of *tag*."""
        self._save(f"builds/{tag}.json", images)

    def save_report(self, name: str, report: dict[str, Any]) -> None:
        """Store figures for the report of the run."""
        self._save(name, report)

    def keep_log(self, name: str, text: str) -> Path:
        """Store a container's log and return its path."""
        path = self.folder / "logs" / name
        replace_file(path, text)
        return path

    @contextlib.contextmanager
    def lock(self, command: str, *, wait: bool) -> Iterator[None]:
        """Hold the lock. Raise BusyError immediately unless *wait* is set."""
        try:
            with exclusive_lock(self.folder / "lock", command, wait=wait) as self.lock_file:
                yield
        finally:
            self.lock_file = None

    def _load(self, name: str) -> Any:
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def _save(self, name: str, value: Any) -> None:
        replace_file(self.folder / name, json.dumps(value, indent=1) + "\n")


def default_folder() -> Path:
    """Return $TOCSIN_STATE, or `tocsin` in the state folder of the XDG base directory specification."""
    if given := os.environ.get("TOCSIN_STATE"):
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "tocsin"
