"""The migrator against a real PostgreSQL."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.postgres import Server, run
from tocsin import migrate as migrator
from tocsin.migrate import MigrationError, migrate, sql_folder

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


def run_migrator(dsn: str) -> tuple[int, str, str]:
    with start_migrator(dsn) as process:
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def test_an_empty_database_gets_every_file_in_order_and_a_migrated_one_none(empty_dsn: str) -> None:
    assert migrate(empty_dsn) == NAMES
    schemas = {row["nspname"] for row in run(empty_dsn, "SELECT nspname FROM pg_namespace")}
    assert set(SCHEMAS) <= schemas
    assert migrate(empty_dsn) == []


def test_the_command_names_what_it_applied(empty_dsn: str) -> None:
    status, out, err = run_migrator(empty_dsn)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        *(f"applied {name}" for name in NAMES),
        f"the schema is up to date ({len(NAMES)} applied)",
    ]


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


def test_the_time_outs_of_one_file_do_not_reach_the_next(empty_dsn: str, own_files: Path) -> None:
    (own_files / "0001_hasty.sql").write_text("SET statement_timeout = '200ms'; CREATE SCHEMA hasty;")
    (own_files / "0002_patient.sql").write_text(
        "CREATE TABLE public.seen AS SELECT current_setting('statement_timeout');"
    )
    assert migrate(empty_dsn) == ["0001_hasty", "0002_patient"]
    assert run(empty_dsn, "SELECT * FROM public.seen") == [{"current_setting": "0"}]


def test_another_encoding_than_utf8_is_refused_in_one_line(postgres: Server) -> None:
    name = postgres.create(template="template0", encoding="LATIN1")
    status, out, err = run_migrator(postgres.dsn(name))
    postgres.drop(name)
    assert (status, out) == (1, "")
    assert err == (
        "tocsin.migrate: the database must be encoded in UTF8, this one is in LATIN1: create it with ENCODING 'UTF8'\n"
    )
