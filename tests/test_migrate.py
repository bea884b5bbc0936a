"""The migrator against a real PostgreSQL."""

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg2
import pytest

from tests.support.postgres import Server, run
from tests.support.waiting import eventually
from tocsin import migrate as migrator
from tocsin.kernel.ids import new_id
from tocsin.migrate import MigrationError, migrate, set_role_passwords, sql_folder

NAMES = sorted(path.stem for path in sql_folder().glob("*.sql"))
SCHEMAS = ("alerts", "incidents", "notifications", "oncall")


def start_migrator(dsn: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tocsin.migrate"],
        env={**os.environ, "DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def held(dsn: str, statement: LiteralString) -> Iterator[None]:
    """Keep a transaction open that has run *statement*."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield


WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE application_name = 'tocsin-migrate' AND datname = current_database() AND wait_event_type = 'Lock'
    """


async def kill_when_it_waits_for_a_lock(dsn: str) -> None:
    """Start a migrator; kill -9 it while the server holds it up inside a statement."""
    with start_migrator(dsn) as process:
        await eventually(lambda: run(dsn, WAITING))
        process.kill()


def run_migrator(dsn: str) -> tuple[int, str, str]:
    with start_migrator(dsn) as process:
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def test_an_empty_database_gets_every_file_in_order_and_a_migrated_one_none(empty_dsn: str) -> None:
    assert migrate(empty_dsn) == NAMES
    schemas = {row["nspname"] for row in run(empty_dsn, "SELECT nspname FROM pg_namespace")}
    assert set(SCHEMAS) <= schemas
    assert migrate(empty_dsn) == []


@pytest.mark.slow
def test_the_command_names_what_it_applied(empty_dsn: str) -> None:
    status, out, err = run_migrator(empty_dsn)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        *(f"applied {name}" for name in NAMES),
        f"the schema is up to date ({len(NAMES)} applied)",
    ]


@pytest.mark.slow
def test_migrations_applied_by_a_later_release_are_named_and_kept(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    shutil.copytree(sql_folder(), later)
    (later / "9999_later.sql").write_text("CREATE TABLE incidents.later (id int);")
    with monkeypatch.context() as release:
        release.setattr(migrator, "sql_folder", lambda: later)
        assert migrate(empty_dsn) == [*NAMES, "9999_later"]
    _, out, _ = run_migrator(empty_dsn)
    assert out.splitlines() == [
        "the schema is up to date (0 applied)",
        "the schema is of a later release (9999_later): this release works with it",
    ]
    assert run(empty_dsn, "SELECT count(*) FROM incidents.later") == [{"count": 0}]


def test_eight_migrators_at_once_apply_each_file_once(empty_dsn: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        applied = list(pool.map(migrate, [empty_dsn] * 8))
    assert sorted(name for names in applied for name in names) == NAMES


@pytest.fixture
def own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(migrator, "sql_folder", lambda: tmp_path)
    return tmp_path


def test_a_file_that_fails_leaves_nothing_behind_and_is_named(empty_dsn: str, own_files: Path) -> None:
    (own_files / "0001_good.sql").write_text("CREATE TABLE public.good (id int);")
    (own_files / "0002_bad.sql").write_text("CREATE TABLE public.half (id int); CREATE TABLE public.good (id int);")
    with pytest.raises(MigrationError, match=r'^0002_bad failed and was rolled back: relation "good" already exists$'):
        migrate(empty_dsn)
    tables = run(empty_dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert tables == [{"tablename": "good"}]
    (own_files / "0002_bad.sql").write_text("CREATE TABLE public.half (id int);")
    assert migrate(empty_dsn) == ["0002_bad"]


def test_the_timeouts_of_one_file_do_not_apply_to_the_next(empty_dsn: str, own_files: Path) -> None:
    (own_files / "0001_hasty.sql").write_text("SET statement_timeout = '200ms'; CREATE SCHEMA hasty;")
    (own_files / "0002_patient.sql").write_text(
        "CREATE TABLE public.seen AS SELECT current_setting('statement_timeout');"
    )
    assert migrate(empty_dsn) == ["0001_hasty", "0002_patient"]
    assert run(empty_dsn, "SELECT * FROM public.seen") == [{"current_setting": "0"}]


def test_a_file_may_run_without_a_transaction(empty_dsn: str, own_files: Path) -> None:
    (own_files / "0001_table.sql").write_text("CREATE TABLE public.a (id int);")
    (own_files / "0002_index.sql").write_text(
        "-- no transaction\nSET lock_timeout = '2s';\nCREATE INDEX CONCURRENTLY ON public.a (id);\n"
    )
    assert migrate(empty_dsn) == ["0001_table", "0002_index"]
    assert migrate(empty_dsn) == []
    assert run(empty_dsn, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'") == [{"indexname": "a_id_idx"}]


def test_a_file_without_a_transaction_that_fails_is_named_and_applied_again(empty_dsn: str, own_files: Path) -> None:
    path = own_files / "0001_two.sql"
    path.write_text("-- no transaction\nCREATE TABLE IF NOT EXISTS public.a (id int);\nSELECT 1 / 0;\n")
    with pytest.raises(MigrationError, match=r"^0001_two failed; its earlier statements are committed: division by"):
        migrate(empty_dsn)
    path.write_text("-- no transaction\nCREATE TABLE IF NOT EXISTS public.a (id int);\nSELECT 1;\n")
    assert migrate(empty_dsn) == ["0001_two"]


def test_a_file_that_was_edited_after_it_was_applied_is_refused(empty_dsn: str, own_files: Path) -> None:
    path = own_files / "0001_table.sql"
    path.write_text("CREATE TABLE public.a (id int);")
    migrate(empty_dsn)
    path.write_text("CREATE TABLE public.a (id bigint);")
    for attempt in (migrate, migrator.inspect):
        with pytest.raises(
            MigrationError, match=r"^0001_table differs from the file that was applied to this database: "
        ):
            attempt(empty_dsn)


def test_a_database_with_an_earlier_schema_line_is_refused_in_one_line(empty_dsn: str) -> None:
    run(empty_dsn, "CREATE SCHEMA migrations")
    run(empty_dsn, "CREATE TABLE migrations.applied (migration_hash text, migration_id text)")
    status, out, err = run_migrator(empty_dsn)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "too old to be migrated: keep it for the release that created it" in err


@pytest.mark.slow
async def test_a_migrator_killed_inside_a_file_leaves_the_file_to_the_next(empty_dsn: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        with held(empty_dsn, "CREATE SCHEMA oncall"):
            await kill_when_it_waits_for_a_lock(empty_dsn)
            successor = pool.submit(migrate, empty_dsn)
        assert successor.result(timeout=30) == [name for name in NAMES if name > "0005"]
    assert migrate(empty_dsn) == []


@pytest.mark.slow
async def test_a_migrator_killed_between_a_file_and_its_record_has_committed_neither(db_dsn: str) -> None:
    name = "0007_notifications_create_notification"
    run(db_dsn, "DROP SCHEMA notifications CASCADE")
    run(db_dsn, "DELETE FROM migrations.applied WHERE name = %(name)s", {"name": name})
    with held(db_dsn, "LOCK TABLE migrations.applied IN EXCLUSIVE MODE"):
        await kill_when_it_waits_for_a_lock(db_dsn)
    assert migrate(db_dsn) == [name]


@pytest.mark.slow
async def test_a_database_that_becomes_unavailable_during_a_migration_is_reported_in_one_line(empty_dsn: str) -> None:
    with held(empty_dsn, "CREATE SCHEMA oncall"), start_migrator(empty_dsn) as process:
        await eventually(lambda: run(empty_dsn, WAITING))
        run(empty_dsn, f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS migrator")
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("tocsin.migrate: the database could not be migrated: ")


def test_a_lock_that_is_never_released_is_named(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrator, "_LOCK_WAIT", "100ms")
    with (
        held(empty_dsn, f"SELECT pg_advisory_lock({int.from_bytes(b'tocsin')})"),
        pytest.raises(MigrationError, match="another migrator has held the lock for 100ms"),
    ):
        migrate(empty_dsn)


def test_an_encoding_other_than_utf8_is_refused_in_one_line(postgres: Server) -> None:
    name = postgres.create(template="template0", encoding="LATIN1")
    status, out, err = run_migrator(postgres.dsn(name))
    postgres.drop(name)
    assert (status, out) == (1, "")
    assert err == (
        "tocsin.migrate: the database must be encoded in UTF8, this one is in LATIN1: create it with ENCODING 'UTF8'\n"
    )


def test_an_older_server_is_refused(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrator, "OLDEST_SERVER", 99)
    with pytest.raises(MigrationError, match=r"^PostgreSQL 99 or newer is required, this is 1\d\.\d"):
        migrate(empty_dsn)
    assert run(empty_dsn, "SELECT FROM pg_namespace WHERE nspname = 'migrations'") == []


@pytest.mark.parametrize("dsn", ["postgresql://nobody@127.0.0.1:1/none", "not an address"])
def test_an_unreachable_database_is_reported_in_one_line(dsn: str) -> None:
    with pytest.raises(MigrationError, match=r"\Acannot connect to the database: [^\n]+\Z"):
        migrate(dsn)


def test_a_missing_dsn_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SystemExit) as exit_:
        migrator.main()
    assert exit_.value.code == os.EX_CONFIG
    assert capsys.readouterr().err.startswith("DATABASE_URL is not set.")


def test_an_installation_without_migrations_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(migrator, "__file__", str(tmp_path / "src" / "tocsin" / "migrate.py"))
    with pytest.raises(MigrationError, match="the installation is incomplete"):
        sql_folder()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_services_role_sees_its_own_schema_only_and_defines_nothing(db_dsn: str, schema: str) -> None:
    tables = run(
        db_dsn, "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%(all)s)", {"all": list(SCHEMAS)}
    )
    with closing(psycopg2.connect(db_dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"SET ROLE tocsin_{schema}")
        for table in tables:
            statement = f"SELECT count(*) FROM {table['schemaname']}.{table['tablename']}"
            if table["schemaname"] == schema:
                cursor.execute(statement)
                continue
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)
        for statement in (
            f"CREATE TABLE {schema}.more (id int)",
            "CREATE TABLE public.more (id int)",
            f"DROP SCHEMA {schema}",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)


@pytest.fixture
def role(empty_dsn: str, tmp_path: Path) -> Iterator[str]:
    """A role that may not log in, and a file with a password for it."""
    name = f"role '{new_id().hex}"
    run(empty_dsn, f'CREATE ROLE "{name}" NOLOGIN')
    (tmp_path / name).write_text("pass'word\n")
    yield name
    run(empty_dsn, f'DROP ROLE "{name}"')


def test_a_role_logs_in_with_the_password_in_its_file_of_which_the_server_sees_a_hash(
    empty_dsn: str, role: str, tmp_path: Path
) -> None:
    assert set_role_passwords(empty_dsn, tmp_path) == [role]
    (kept,) = run(empty_dsn, "SELECT rolpassword, rolcanlogin FROM pg_authid WHERE rolname = %(role)s", {"role": role})
    assert kept["rolcanlogin"]
    kind, salted, keys = kept["rolpassword"].split("$")
    rounds, salt = salted.split(":")
    password = hashlib.pbkdf2_hmac("sha256", b"pass'word", base64.b64decode(salt), int(rounds))
    client_key = hmac.digest(password, b"Client Key", "sha256")
    assert kind == "SCRAM-SHA-256"
    assert base64.b64decode(keys.split(":")[0]) == hashlib.sha256(client_key).digest()  # RFC 5802, section 3


def test_a_password_for_a_role_that_does_not_exist_is_refused_in_one_line(empty_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "nobody_at_all").write_text("secret")
    with pytest.raises(MigrationError, match=r'^the passwords of the roles could not be set: role "nobody_at_all"'):
        set_role_passwords(empty_dsn, tmp_path)
