"""`tocsin up` as a process: it starts everything, keeps it running, and leaves nothing behind."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from tests.support.cli.processes import STOP_SECONDS, free_place, tocsin, tocsin_up
from tests.support.waiting import eventually
from tocsin.cli.postgres import Embedded, exclusive
from tocsin.cli.services import SERVICES, WEB

pytestmark = pytest.mark.slow
READY = "Tocsin is up"


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder for an embedded server. Not pytest's own: as root the server has a user, who could not enter that."""
    with TemporaryDirectory(prefix="tocsin-data-") as folder:
        yield Path(folder)
        pid = Embedded(Path(folder)).pid()
        if pid is not None:
            os.kill(pid, signal.SIGQUIT)
            psutil.Process(pid).wait(5)


async def test_it_starts_five_services_that_answer_and_one_ctrl_c_ends_them_all(db_dsn: str) -> None:
    async with tocsin_up(DATABASE_URL=db_dsn) as up:
        await up.says("curl ")
        assert set(up.services()) == {service.name for service in SERVICES}
        assert all(up.place.url(service) in up.output for service in SERVICES)
        notifications = up.services()["notifications"]
        assert notifications.environ()["PUBLIC_URL"] == up.place.url(WEB), "links in pages lead to the address it says"
        await up.is_ready()
        up.signal(signal.SIGINT)
        assert await up.ends() == 0
        assert up.lines[-1] == "Stopped."


async def test_it_ends_cleanly_while_it_still_starts(data: Path) -> None:
    async with tocsin_up("--data", str(data)) as up:
        await up.says("Waiting until all services are ready")
        up.signal(signal.SIGHUP)  # what a closed terminal sends
        assert await up.ends() == 0
        assert READY not in up.output
        assert Embedded(data).pid() is None


async def test_a_killed_one_leaves_no_service_behind_and_the_next_takes_its_database_over(data: Path) -> None:
    async with tocsin_up("--data", str(data)) as first:
        await first.says(READY)
        database = Embedded(data).pid()
        first.signal(signal.SIGKILL)
        assert await first.ends() == -signal.SIGKILL
        assert Embedded(data).pid() == database is not None
    async with tocsin_up("--data", str(data), place=first.place) as second:
        await second.says(READY)
        assert "taken over" in second.output
        assert Embedded(data).pid() == database
        checked = await tocsin("check", "--data", str(data), "--port-offset", str(second.place.offset))
        assert (checked.status, checked.err) == (0, "")

        os.kill(database, signal.SIGKILL)
        await second.says("!! PostgreSQL died; it starts again")
        await eventually(lambda: Embedded(data).pid() not in {None, database})
        await second.is_ready()
        second.signal(signal.SIGINT)
        assert await second.ends() == 0
        assert Embedded(data).pid() is None
    assert "(0 applied)" in (await tocsin("migrate", "--data", str(data))).out
    assert Embedded(data).pid() is None, "what a command started, it stops"


async def test_a_service_that_dies_is_started_again_loudly_beside_lines_that_stay_json(db_dsn: str) -> None:
    async with tocsin_up("--json", DATABASE_URL=db_dsn) as up:
        await up.says(READY)
        before = up.services()
        before["oncall"].kill()
        await up.says("!! oncall died (killed by SIGKILL); it starts again in 0.5 s")
        await up.says("oncall is back")
        after = up.services()
        assert after.pop("oncall") != before.pop("oncall")
        assert after == before
        up.signal(signal.SIGTERM)
        assert await up.ends() == 0
    events = [json.loads(line)["event"] for line in up.lines]
    assert events.count("listening") == 6


async def test_a_service_that_hangs_is_killed_and_all_is_over_within_five_seconds(db_dsn: str) -> None:
    async with tocsin_up(DATABASE_URL=db_dsn) as up:
        await up.says(READY)
        up.services()["notifications"].suspend()
        up.signal(signal.SIGINT)
        assert await up.ends(STOP_SECONDS) == 0
        assert "!! notifications did not stop" in up.output


async def test_a_second_ctrl_c_kills(db_dsn: str) -> None:
    async with tocsin_up(DATABASE_URL=db_dsn) as up:
        await up.says(READY)
        up.services()["notifications"].suspend()
        up.signal(signal.SIGINT)
        await up.says("once more kills")
        up.signal(signal.SIGINT)
        assert await up.ends() == 0
        assert "notifications did not stop" not in up.output, "nothing waited for it"


async def test_a_taken_port_is_named_with_its_owner_before_anything_starts(data: Path) -> None:
    place = free_place()
    port = place.port(SERVICES[2])
    code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print('on', flush=True); s.accept()"
    with psutil.Popen([sys.executable, "-c", code], stdout=-1) as squatter:
        try:
            assert squatter.stdout.readline() == b"on\n"
            async with tocsin_up("--data", str(data / "new"), place=place) as up:
                assert await up.ends() == 1
            said = "\n".join(up.errors)
            assert f"port {port} (oncall) is taken by process {squatter.pid}: {sys.executable} -c" in said
            assert "--port-offset" in said
            assert not (data / "new").exists()
        finally:
            squatter.kill()


async def test_a_second_one_on_the_same_data_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        async with tocsin_up("--data", str(tmp_path)) as up:
            assert await up.ends() == 1
    said = "\n".join(up.errors)
    assert f"process {os.getpid()} already runs Tocsin on the data in {tmp_path}" in said
    assert "--data FOLDER" in said


async def test_a_wrong_setting_stops_the_start_with_one_line(db_dsn: str) -> None:
    async with tocsin_up(DATABASE_URL=db_dsn, LOG_LEVEL="LOUD") as up:
        assert await up.ends() == os.EX_CONFIG
    assert len(up.errors) == 1
    assert up.errors[0].startswith("LOG_LEVEL is 'LOUD', which is not allowed")


async def test_a_wrong_setting_of_one_service_stops_the_start_and_says_which(db_dsn: str) -> None:
    async with tocsin_up(DATABASE_URL=db_dsn, CORRELATION_WINDOW_MINUTES="soon") as up:
        assert await up.ends() == 1
    said = "\n".join(up.errors)
    assert "incidents does not start (exit code 78)" in said
    assert "CORRELATION_WINDOW_MINUTES is 'soon'" in said


async def test_a_database_that_is_not_there_stops_the_start_and_says_why() -> None:
    async with tocsin_up(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none") as up:
        assert await up.ends() == 1
    assert "cannot connect to the database" in "\n".join(up.errors)
