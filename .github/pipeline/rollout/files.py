"""Files that outlast a crash, and a lock that ends with its holder."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rollout.errors import BusyError


def replace_file(path: Path, text: str) -> None:
    """Write a file atomically: temporary file, fsync, rename. Missing folders are created for the owner only."""
    for folder in reversed([folder for folder in path.parents if not folder.exists()]):
        folder.mkdir(exist_ok=True, mode=0o700)
        inherit_owner(folder)
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    inherit_owner(temporary)
    temporary.rename(path)
    sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Append a line and flush it to disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    inherit_owner(path)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename or an unlink in it outlasts a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def inherit_owner(path: Path) -> None:
    """Give a file that root created in a job's container to the owner of its folder."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def exclusive_lock(path: Path, holder: str, *, wait: bool) -> Iterator[int]:
    """Hold a lock and yield its file descriptor. Raise BusyError immediately unless *wait* is set.

    Child processes that inherit the descriptor extend the lock until they exit.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    inherit_owner(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            current = os.pread(descriptor, 1_000, 0).decode(errors="replace").strip() or "an unknown process"
            if not wait:
                message = f"another run is in progress: {current}"
                raise BusyError(message) from None
            sys.stdout.write(f"waiting for another run: {current}\n")
            sys.stdout.flush()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        line = f"{holder}, process {os.getpid()} on {os.uname().nodename} since {utc_now()}\n"
        os.pwrite(descriptor, line.encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def utc_now() -> str:
    """Return the current time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
