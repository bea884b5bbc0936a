"""`tocsin up` as a process: it starts everything, keeps it running, and leaves no process behind.

A start takes seconds, so that each test of one checks several things. See test_real_services.py, too.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.cli.processes import data_folder, free_endpoint, tocsin, tocsin_up
from tests.support.waiting import eventually
from tocsin.cli import postgres, supervisor
from tocsin.cli.postgres import EmbeddedPostgres, exclusive
from tocsin.cli.services import SERVICES

pytestmark = pytest.mark.slow
READY = "Tocsin is up"


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder for an embedded server, which is ended afterwards."""
    with data_folder() as folder:
        yield folder
        pid = EmbeddedPostgres(folder).pid()
        if pid is not None:
            os.kill(pid, signal.SIGQUIT)
            psutil.Process(pid).wait(5)


async def test_it_stops_cleanly_during_its_start(data: Path) -> None:
    async with tocsin_up("--data", str(data)) as up:
        await up.wait_for_output("Waiting until all services are ready")
        up.signal(signal.SIGHUP)  # what a closed terminal sends
        assert await up.wait_for_exit() == 0
        assert READY not in up.output
        assert EmbeddedPostgres(data).pid() is None


@pytest.mark.sample("whole starts", 1)
async def test_a_kill_leaves_no_service_behind_the_next_start_reuses_the_database_and_a_second_ctrl_c_kills(
    data: Path,
) -> None:
    async with tocsin_up("--data", str(data)) as first:
        await first.wait_for_output(READY)
        database = EmbeddedPostgres(data).pid()
        first.signal(signal.SIGKILL)
        assert await first.wait_for_exit() == -signal.SIGKILL
        assert EmbeddedPostgres(data).pid() == database is not None
    async with tocsin_up("--data", str(data), endpoint=first.endpoint) as second:
        await second.wait_for_output(READY)
        assert "already running and is reused" in second.output
        assert EmbeddedPostgres(data).pid() == database
        checked = await tocsin("check", "--data", str(data), "--port-offset", str(second.endpoint.offset))
        assert (checked.status, checked.err) == (0, "")

        os.kill(database, signal.SIGKILL)
        await second.wait_for_output("!! PostgreSQL died; restarting it")
        await eventually(lambda: EmbeddedPostgres(data).pid() not in {None, database})
        await second.is_ready()
        second.services()["notifications"].suspend()
        second.signal(signal.SIGINT)
        await second.wait_for_output("press Ctrl-C again to kill")
        second.signal(signal.SIGINT)
        assert await second.wait_for_exit() == 0
        assert "notifications did not stop" not in second.output, "the second Ctrl-C does not wait"
        assert EmbeddedPostgres(data).pid() is None
    assert "(0 applied)" in (await tocsin("migrate", "--data", str(data))).out
    assert EmbeddedPostgres(data).pid() is None, "a command stops the server that it started"


@pytest.mark.sample("whole starts", 1)
async def test_a_service_that_dies_is_restarted_and_one_that_hangs_killed_with_warnings_beside_lines_of_json(
    db_dsn: str,
) -> None:
    async with tocsin_up("--json", DATABASE_URL=db_dsn) as up:
        await up.wait_for_output(READY)
        before = up.services()
        before["oncall"].kill()
        await up.wait_for_output("!! oncall died (killed by SIGKILL); restarting it in 0.5 s")
        await up.wait_for_output("oncall is ready again")
        after = up.services()
        assert after.pop("oncall") != before.pop("oncall")
        assert after == before
        after["notifications"].suspend()
        up.signal(signal.SIGTERM)
        assert await up.wait_for_exit() == 0
        assert f"!! notifications did not stop within {supervisor.STOP_SECONDS:g} s and was killed" in up.output
    events = [json.loads(line)["event"] for line in up.lines]
    assert events.count("listening") == 6


def test_services_and_the_database_may_together_take_five_seconds_to_stop() -> None:
    assert supervisor.STOP_SECONDS + postgres.STOP_SECONDS < 5


async def test_a_taken_port_is_refused_with_its_owner_before_anything_starts(data: Path) -> None:
    endpoint = free_endpoint()
    port = endpoint.port(SERVICES[2])
    code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print('on', flush=True); s.accept()"
    with psutil.Popen([sys.executable, "-c", code], stdout=-1) as squatter:
        try:
            assert squatter.stdout.readline() == b"on\n"
            async with tocsin_up("--data", str(data / "new"), endpoint=endpoint) as up:
                assert await up.wait_for_exit() == 1
            result = "\n".join(up.errors)
            assert f"port {port} (oncall) is taken by process {squatter.pid}: {sys.executable} -c" in result
            assert "--port-offset" in result
            assert not (data / "new").exists()
        finally:
            squatter.kill()


async def test_a_second_start_on_the_same_data_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        async with tocsin_up("--data", str(tmp_path)) as up:
            assert await up.wait_for_exit() == 1
    result = "\n".join(up.errors)
    assert f"process {os.getpid()} already runs Tocsin on the data in {tmp_path}" in result
    assert "--data FOLDER" in result


async def test_an_invalid_setting_stops_the_start_with_one_line(db_dsn: str) -> None:
    async with tocsin_up(DATABASE_URL=db_dsn, LOG_LEVEL="LOUD") as up:
        assert await up.wait_for_exit() == os.EX_CONFIG
    assert len(up.errors) == 1
    assert up.errors[0].startswith("LOG_LEVEL is 'LOUD', which is not allowed")


async def test_an_invalid_setting_of_one_service_stops_the_start_and_names_the_service(db_dsn: str) -> None:
    async with tocsin_up(DATABASE_URL=db_dsn, CORRELATION_WINDOW_MINUTES="soon") as up:
        assert await up.wait_for_exit() == 1
    result = "\n".join(up.errors)
    assert "incidents does not start (exit code 78)" in result
    assert "CORRELATION_WINDOW_MINUTES is 'soon'" in result


async def test_an_unreachable_database_stops_the_start_with_the_reason() -> None:
    async with tocsin_up(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none") as up:
        assert await up.wait_for_exit() == 1
    assert "cannot connect to the database" in "\n".join(up.errors)
