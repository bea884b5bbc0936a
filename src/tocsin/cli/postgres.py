"""The embedded PostgreSQL: binaries from a wheel, data in one folder, a Unix socket and no network."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from tocsin.cli import postgres_processes
from tocsin.cli.console import CommandError
from tocsin.cli.postgres_binaries import Binaries, binaries_for, socket_folder
from tocsin.kernel import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS: Final = 600
"""How long a start may take: after a crash, PostgreSQL replays its write-ahead log before it accepts connections."""
STOP_SECONDS: Final = 1.0
"""How long to wait for a shutdown, which takes some 0.2 s; a longer one finishes after this process has exited."""
POLL_SECONDS: Final = 0.05
CONFIGURATION: Final = """
# Tocsin's: nothing on the network, and a socket for the owner of the data only.
listen_addresses = ''
unix_socket_permissions = 0700
"""


def default_folder() -> Path:
    """Return the default data folder; root's is outside home folders, which the server's user cannot enter."""
    return Path("/var/lib/tocsin") if os.geteuid() == 0 else Path(".tocsin")


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Lock *folder* for one process. The operating system drops the lock when the process ends."""
    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o755)  # whatever the umask: the server's user has to enter it
        lock = (folder / "lock").open("a+", encoding="ascii", errors="replace")
    except OSError as exc:
        msg = f"cannot use {folder} for the data: {exc.strerror}"
        raise CommandError(msg, "Use another folder: --data FOLDER, or TOCSIN_DATA.") from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            msg = f"process {lock.read().strip() or 'unknown'} already runs Tocsin on the data in {folder.resolve()}"
            raise CommandError(msg, "Stop it, or use another folder: --data FOLDER.") from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class EmbeddedPostgres:
    """The server with its data in *folder*`/postgresql`."""

    def __init__(self, folder: Path) -> None:
        self._data = (folder / "postgresql").resolve()
        self._log = self._data / "log"

    @property
    def exists(self) -> bool:
        """Whether the data exists."""
        return self._data.exists()

    @property
    def dsn(self) -> str:
        """The DSN of the running server."""
        lines = self._pid_file.read_text(encoding="utf-8").splitlines()
        return f"postgresql://postgres@/postgres?host={quote(lines[4], safe='')}&port={lines[3]}"

    def pid(self) -> int | None:
        """Return the process id of the running server."""
        return postgres_processes.read_pid(self._pid_file, self._data)

    async def start(self) -> bool:
        """Start the server unless it runs; return whether it was started."""
        try:
            binaries = await asyncio.to_thread(binaries_for, self._data)
            if not self.exists:
                await self._create(binaries)
            self._check_version(binaries)
            if await self._is_ready(binaries):
                return False
            await self._launch(binaries)
        except (OSError, RuntimeError, subprocess.SubprocessError) as exc:
            msg = f"the embedded PostgreSQL does not start: {_reason(exc)}"
            raise CommandError(msg, f"Its log: {self._log}. Or use your own PostgreSQL: DATABASE_URL.") from exc
        return True

    async def stop(self, *, at_once: bool) -> bool:
        """Shut the server down; return whether it ended in time. With *at_once*, the next start runs crash recovery."""
        pid = self.pid()
        if pid is None:
            return True
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT if at_once else signal.SIGINT)
        deadline = clock.monotonic() + STOP_SECONDS
        while self.pid() is not None and clock.monotonic() < deadline:
            await clock.sleep(POLL_SECONDS)
        return self.pid() is None

    @property
    def _pid_file(self) -> Path:
        return self._data / "postmaster.pid"

    async def _create(self, binaries: Binaries) -> None:
        # Created under another name and renamed: an interrupted start leaves nothing that looks like a database.
        unfinished = self._data.with_name("postgresql.new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        if binaries.user is not None:
            shutil.chown(unfinished, binaries.user)
        await _run(binaries, unfinished, "initdb", "--username=postgres", "--auth=trust", "--encoding=utf8")
        with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(CONFIGURATION)
            configuration.flush()
            os.fsync(configuration.fileno())  # a power cut must not leave a server that listens on the network
        unfinished.rename(self._data)

    def _check_version(self, binaries: Binaries) -> None:
        version = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        if version != str(binaries.major_version):
            msg = f"the data was written by PostgreSQL {version}, this is {binaries.major_version}"
            raise RuntimeError(msg)

    async def _launch(self, binaries: Binaries) -> None:
        await postgres_processes.end_leftovers(self._data)
        sockets = socket_folder(self._data, binaries.user)  # no other server uses it
        # No server runs here: its lock files are stale, and prevent the start if its process id has been reused.
        for lock_file in (self._pid_file, *sockets.glob(".s.PGSQL.*.lock")):
            lock_file.unlink(missing_ok=True)
        options = f"-k {shlex.quote(str(sockets))}"
        timeout = str(START_SECONDS)
        await _run(binaries, self._data, "pg_ctl", "-w", "-t", timeout, "-l", str(self._log), "-o", options, "start")

    async def _is_ready(self, binaries: Binaries) -> bool:
        """Wait while the server starts or stops; return whether it then accepts connections."""
        while self.pid() is not None:
            # The file is complete only shortly before it accepts connections.
            with suppress(FileNotFoundError, IndexError, subprocess.SubprocessError):
                await _run(binaries, self._data, "pg_isready", "-q", "-d", self.dsn)
                return True
            await clock.sleep(POLL_SECONDS)
        return False


async def _run(binaries: Binaries, data: Path, command: str, *arguments: str) -> None:
    """Run one of the server's commands as its user. Raise SubprocessError with its output if it fails."""
    with tempfile.TemporaryFile() as output:  # not a pipe: the server inherits it and would keep it open
        process = await asyncio.create_subprocess_exec(
            binaries.folder / command,
            *arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            user=binaries.user,
            env={**os.environ, "PGDATA": str(data)},
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.send_signal(signal.SIGINT)  # pg_ctl passes it on to the server that it is starting
            await process.wait()
            raise
        if code != 0:
            output.seek(0)
            raise subprocess.SubprocessError(output.read().decode(errors="replace"))


def _reason(error: Exception) -> str:
    output = getattr(error, "stderr", "") or str(error)
    return " ".join(str(output).split()) or type(error).__name__
