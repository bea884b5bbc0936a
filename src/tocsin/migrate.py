"""Migrate the database to the newest schema: `python -m tocsin.migrate`. It may run several times concurrently.

The files in `sql/` are plain SQL. Each is applied once, in the order of the names, and in one transaction with the row
that records it, unless it begins with `-- no transaction`. An advisory lock admits one migrator at a time. The session
that applies the files holds it, so that the running statement of a killed migrator blocks the next migrator until it
has been rolled back.
"""

import hashlib
import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class under a lower-case name
from psycopg2.extensions import encrypt_password, quote_ident
from pydantic import DirectoryPath, SecretStr

from tocsin.kernel.settings import ProcessSettings, load
from tocsin.program_accounts import set_program_tokens

OLDEST_SERVER = 17
"""Major version of PostgreSQL; the schema is tested on 17 and 18."""
NO_TRANSACTION: Final = "-- no transaction"
"""First line of a file whose statements commit one by one. Such a file must be idempotent."""

_LOCK = int.from_bytes(b"tocsin")
"""The key of the advisory lock."""
_LOCK_WAIT = "5min"


class MigrationError(Exception):
    """The database cannot be migrated; the message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The version and encoding of a server that Tocsin can use, and the state of the schema."""

    version: str
    encoding: str
    pending: list[str]
    """The files that are not applied yet, in order."""
    later: list[str]
    """The applied files that this release does not have, in order: they belong to a later one."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `sql/`."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def steps(self) -> list[str]:
        """The texts to send to the server: the whole file, or each statement of a file without a transaction.

        In such a file a semicolon at the end of a line always ends a statement.
        """
        if not self.sql.startswith(NO_TRANSACTION):
            return [self.sql]
        return [statement for statement in re.split(r";\s*$", self.sql, flags=re.MULTILINE) if statement.strip()]


class MigrateSettings(ProcessSettings):
    """Read from the environment, once, at start-up."""

    database_url: SecretStr
    """A libpq connection string, whose user owns everything that the migrations create."""
    role_passwords: DirectoryPath | None = None
    """A folder with a file for each role that may log in: the name is the role, the content the password."""
    program_tokens: DirectoryPath | None = None
    """A folder with a file for each program of the installation: the token of its account, if ACCESS is `closed`."""


def migrate(dsn: str) -> list[str]:
    """Apply the pending files and return their names, in order.

    Raise `MigrationError` if the server is not PostgreSQL 17 or newer with a UTF8 database, is unreachable, rejects a
    statement, or has a schema that other files created.
    """
    with _connect(dsn) as cursor:
        _check(cursor)
        _take_lock(cursor)
        applied = _applied(cursor)
        cursor.execute(
            """
            CREATE SCHEMA IF NOT EXISTS migrations;
            CREATE TABLE IF NOT EXISTS migrations.applied (
                name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
            """
        )
        pending = [migration for migration in _migrations() if migration.name not in applied]
        for migration in pending:
            _apply(cursor, migration)
        _adopt_restored_events(cursor)
        return [migration.name for migration in pending]


def set_role_passwords(dsn: str, folder: Path) -> list[str]:
    """Set the password of each role that has a file in *folder* to its content, and return the names of the roles.

    The roles may log in from then on. Only a salted hash is sent to the server, because the server may log the
    statement. Raise `MigrationError` as `migrate` does.
    """
    with _connect(dsn) as cursor:
        try:
            paths = sorted(folder.iterdir())
            for path in paths:
                password = path.read_text(encoding="utf-8").strip()
                verifier = encrypt_password(password, path.name, cursor, "scram-sha-256")
                cursor.execute(f"ALTER ROLE {quote_ident(path.name, cursor)} LOGIN PASSWORD %s", (verifier,))
            return [path.name for path in paths]
        except (OSError, psycopg2.Error) as exc:
            message = f"the passwords of the roles could not be set: {_one_line(exc)}"
            raise MigrationError(message) from exc


def inspect(dsn: str) -> DatabaseState:
    """Return the server's state and the files that `migrate` would apply. Raise `MigrationError` as `migrate` does."""
    with _connect(dsn) as cursor:
        _check(cursor)
        applied, known = _applied(cursor), [migration.name for migration in _migrations()]
        return DatabaseState(
            version=_value(cursor, "SHOW server_version"),
            encoding=_value(cursor, "SHOW server_encoding"),
            pending=[name for name in known if name not in applied],
            later=sorted(applied - set(known)),
        )


def sql_folder() -> Path:
    """Return the folder with the migrations: next to this file in an installed wheel, at the root in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "sql", package.parents[1] / "sql"):
        if folder.is_dir():
            return folder
    message = f"no migrations found next to {package}: the installation is incomplete"
    raise MigrationError(message)


def main() -> None:
    """Migrate the database of DATABASE_URL; exit with one line and status 1 if that fails."""
    settings = load(MigrateSettings)
    dsn = settings.database_url.get_secret_value()
    try:
        applied = migrate(dsn)
        later = inspect(dsn).later
        roles = set_role_passwords(dsn, settings.role_passwords) if settings.role_passwords else []
        programs: list[str] = []
        if settings.access == "closed" and settings.program_tokens is not None:
            with _connect(dsn) as cursor:
                programs = set_program_tokens(cursor, settings.program_tokens)
    except (MigrationError, OSError) as exc:
        sys.exit(f"tocsin.migrate: {exc}")
    for name in applied:
        sys.stdout.write(f"applied {name}\n")
    sys.stdout.write(f"the schema is up to date ({len(applied)} applied)\n")
    if later:
        sys.stdout.write(f"the schema is of a later release ({', '.join(later)}): this release works with it\n")
    if roles:
        sys.stdout.write(f"roles that may log in: {', '.join(roles)}\n")
    if programs:
        sys.stdout.write(f"programs with an account: {', '.join(programs)}\n")


@contextmanager
def _connect(dsn: str) -> Iterator[Cursor]:
    """Yield a cursor in autocommit mode; turn the driver's errors into `MigrationError`."""
    try:
        connection = psycopg2.connect(dsn, client_encoding="UTF8", application_name="tocsin-migrate")
    except psycopg2.Error as exc:  # ProgrammingError: the string itself cannot be parsed
        message = f"cannot connect to the database: {_one_line(exc)}"
        if "authentication failed" in message:  # libpq gives no code for it
            message += (
                ". The database was created with another password: DATABASE_URL must have that one (in containers, "
                "DATABASE_PASSWORD, or the volume of the secrets that belongs to the volume of the database)"
            )
        raise MigrationError(message) from exc
    with closing(connection), connection.cursor() as cursor:
        connection.autocommit = True
        try:
            yield cursor
        except psycopg2.Error as exc:
            message = f"the database could not be migrated: {_one_line(exc)}"
            raise MigrationError(message) from exc


def _value(cursor: Cursor, sql: str) -> str:
    """Return the only column of the only row, as text."""
    cursor.execute(sql)
    [(value,)] = cursor.fetchall()
    return str(value)


def _check(cursor: Cursor) -> None:
    version = int(_value(cursor, "SHOW server_version_num")) // 10_000
    if version < OLDEST_SERVER:
        message = f"PostgreSQL {OLDEST_SERVER} or newer is required, this is {_value(cursor, 'SHOW server_version')}"
        raise MigrationError(message)
    encoding = _value(cursor, "SHOW server_encoding")
    if encoding != "UTF8":
        message = f"the database must be encoded in UTF8, this one is in {encoding}: create it with ENCODING 'UTF8'"
        raise MigrationError(message)


def _take_lock(cursor: Cursor) -> None:
    cursor.execute(f"SET lock_timeout = '{_LOCK_WAIT}'")
    try:
        cursor.execute(f"SELECT pg_advisory_lock({_LOCK})")
    except psycopg2.errors.LockNotAvailable as exc:
        message = f"another migrator has held the lock for {_LOCK_WAIT}: look for tocsin-migrate in pg_stat_activity"
        raise MigrationError(message) from exc


def _migrations() -> list[Migration]:
    return [Migration(path.stem, path.read_text(encoding="utf-8")) for path in sorted(sql_folder().glob("*.sql"))]


def _applied(cursor: Cursor) -> set[str]:
    """Return the names of the applied files.

    Raise `MigrationError` if the content of one differs from the file of that name in this release.
    """
    cursor.execute("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('migrations.applied') AND attnum > 0")
    columns = {name for (name,) in cursor.fetchall()}
    if not columns:
        return set()
    if "checksum" not in columns:
        message = (
            "the schema of this database is too old to be migrated: keep it for the release that created it, and use "
            "an empty database for this one"
        )
        raise MigrationError(message)
    cursor.execute("SELECT name, checksum FROM migrations.applied")
    applied = dict(cursor.fetchall())
    for migration in _migrations():
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            message = (
                f"{migration.name} differs from the file that was applied to this database: restore the file (a change "
                "to the schema needs a new file), or use an empty database"
            )
            raise MigrationError(message)
    return set(applied)


def _apply(cursor: Cursor, migration: Migration) -> None:
    cursor.execute("RESET ALL")  # the time-outs that the previous file set
    atomic = not migration.sql.startswith(NO_TRANSACTION)
    cursor.connection.autocommit = not atomic
    try:
        for step in migration.steps:
            cursor.execute(step)
        note = (migration.name, migration.checksum)
        cursor.execute("INSERT INTO migrations.applied (name, checksum) VALUES (%s, %s)", note)
        cursor.connection.commit()
    except psycopg2.Error as exc:
        if cursor.connection.closed:
            raise
        cursor.connection.rollback()
        outcome = "failed and was rolled back" if atomic else "failed; its earlier statements are committed"
        message = f"{migration.name} {outcome}: {_one_line(exc)}"
        raise MigrationError(message) from exc
    cursor.connection.autocommit = True


def _adopt_restored_events(cursor: Cursor) -> None:
    """In restored timeline entries, replace transaction ids that this server has not assigned yet by the current one.

    A dump contains the transaction ids of another server. The event stream would stop at the first id that this server
    has not reached, perhaps for years.
    """
    if _value(cursor, "SELECT to_regclass('incidents.timeline') IS NOT NULL") == "True":
        cursor.execute("RESET ALL")
        cursor.execute(
            """
            UPDATE incidents.timeline SET xid = pg_current_xact_id()
            WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
            """
        )


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())


if __name__ == "__main__":
    main()
