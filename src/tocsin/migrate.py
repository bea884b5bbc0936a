"""Bring the database to the newest schema: `python -m tocsin.migrate`, from as many places at once as one likes.

The files in `sql/` are plain SQL, applied by yoyo in the order of their names. yoyo's own lock is not used: it is a
committed row, so that a migrator that is killed blocks every later one until a person removes it. An advisory lock
goes with its session. The session that holds it also applies the files, so that a statement that outlives its killed
migrator keeps the next one waiting until it has been rolled back.
"""

import glob
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import DirectoryPath, SecretStr
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend

from tocsin.kernel.settings import ProcessSettings, load

OLDEST_SERVER = 17
"""Major version of PostgreSQL; the schema is tested on 17 and 18."""

_LOCK = int.from_bytes(b"tocsin")
_LOCK_WAIT = "5min"


class MigrationError(Exception):
    """The database cannot be migrated; the message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A server that Tocsin can use, and how far its schema is."""

    version: str
    encoding: str
    pending: list[str]
    """The files not applied yet, in order."""
    later: list[str]
    """What a later release has applied, in order: its files are not here."""


class MigrateSettings(ProcessSettings):
    """Read from the environment."""

    database_url: SecretStr
    """A libpq address; its user owns what the migrations create."""
    role_passwords: DirectoryPath | None = None
    """A folder with a file for each role that may log in from now on: its name is the role, its text the password."""


class _Backend(PostgresqlBackend):  # type: ignore[misc]  # yoyo 9 ships no types
    """yoyo's PostgreSQL backend, connected by any libpq connection string, with its tables in a schema of their own."""

    schema = "migrations"

    def connect(self, dburi: str) -> Any:
        try:
            connection = self.driver.connect(dburi, client_encoding="UTF8", application_name="tocsin-migrate")
        except self.driver.Error as exc:  # ProgrammingError: the string itself cannot be parsed
            message = f"cannot connect to the database: {_one_line(exc)}"
            if "authentication failed" in message:  # libpq gives no code for it
                message += (
                    ". The database was made with another password: DATABASE_URL must have that one (in containers, "
                    "DATABASE_PASSWORD, or the volume of the secrets that belongs to the volume of the database)"
                )
            raise MigrationError(message) from exc
        connection.autocommit = True  # yoyo writes BEGIN and COMMIT itself
        return connection

    @contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:  # noqa: ARG002  # yoyo's signature
        """Do nothing: the advisory lock is held already."""
        yield

    def list_tables(self) -> list[str]:
        """Return the names of yoyo's tables; its own way asks a parsed URL for the database."""
        cursor = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = :schema", {"schema": self.schema})
        return [name for (name,) in cursor.fetchall()]

    def reset_session(self) -> None:
        """Undo the SETs of the migration before: its time-outs are not those of the next."""
        self.execute("RESET ALL")
        self.init_connection(self.connection)

    def value(self, sql: str) -> str:
        """Return the only column of the only row, as text."""
        return str(self.execute(sql).fetchone()[0])


def migrate(dsn: str) -> list[str]:
    """Apply what is not applied yet and return the names of the files applied, in order.

    A file and the note that it is applied are one transaction. Raise `MigrationError` where the server is not
    PostgreSQL 17 or newer with a UTF8 database, cannot be reached, or refuses a statement.
    """
    with _Backend(dsn, "applied") as backend:
        try:
            _check(backend)
            _take_lock(backend)
            backend.execute(f"CREATE SCHEMA IF NOT EXISTS {backend.schema}")
            applied = [_apply(backend, migration) for migration in backend.to_apply(_migrations())]
            _take_over_restored(backend)
        except backend.driver.Error as exc:  # a connection that broke off is no DatabaseError
            message = f"the database could not be migrated: {_one_line(exc)}"
            raise MigrationError(message) from exc
        return applied


def let_roles_log_in(dsn: str, folder: Path) -> list[str]:
    """Give each role that has a file in *folder* the password in there, and return the roles' names.

    What reaches the server, and perhaps its log, is what it keeps: a salted hash. Raise `MigrationError` as `migrate`.
    """
    with _Backend(dsn, "applied") as backend:
        try:
            driver, cursor = backend.driver.extensions, backend.connection.cursor()
            paths = sorted(folder.iterdir())
            for path in paths:
                password = path.read_text(encoding="utf-8").strip()
                verifier = driver.encrypt_password(password, path.name, cursor, "scram-sha-256")
                cursor.execute(f"ALTER ROLE {driver.quote_ident(path.name, cursor)} LOGIN PASSWORD %s", (verifier,))
            return [path.name for path in paths]
        except (OSError, backend.driver.Error) as exc:
            message = f"the roles could not be given their passwords: {_one_line(exc)}"
            raise MigrationError(message) from exc


def inspect(dsn: str) -> DatabaseState:
    """Return what server it is and what `migrate` would apply, changing nothing. Raise `MigrationError` as it does."""
    with _Backend(dsn, "applied") as backend:
        try:
            _check(backend)
            rows = backend.execute("SELECT migration_id FROM migrations.applied") if backend.list_tables() else ()
            applied, known = {str(name) for (name,) in rows}, [str(migration.id) for migration in _migrations()]
            return DatabaseState(
                version=backend.value("SHOW server_version"),
                encoding=backend.value("SHOW server_encoding"),
                pending=[name for name in known if name not in applied],
                later=sorted(applied - set(known)),
            )
        except backend.driver.Error as exc:
            message = f"the database does not say what is applied: {_one_line(exc)}"
            raise MigrationError(message) from exc


def sql_folder() -> Path:
    """Return the folder with the migrations: beside this file in an installed wheel, at the root of a checkout."""
    package = Path(__file__).parent
    for folder in (package / "sql", package.parents[1] / "sql"):
        if folder.is_dir():
            return folder
    message = f"no migrations found beside {package}: the installation is incomplete"
    raise MigrationError(message)


def main() -> None:
    """Migrate the database that DATABASE_URL names; exit with one line and status 1 where that fails."""
    settings = load(MigrateSettings)
    dsn = settings.database_url.get_secret_value()
    try:
        applied = migrate(dsn)
        later = inspect(dsn).later
        roles = let_roles_log_in(dsn, settings.role_passwords) if settings.role_passwords else []
    except MigrationError as exc:
        sys.exit(f"tocsin.migrate: {exc}")
    for name in applied:
        sys.stdout.write(f"applied {name}\n")
    sys.stdout.write(f"the schema is up to date ({len(applied)} applied)\n")
    if later:
        sys.stdout.write(f"the schema is of a later release ({', '.join(later)}): this one works on it, too\n")
    if roles:
        sys.stdout.write(f"may log in: {', '.join(roles)}\n")


def _check(backend: _Backend) -> None:
    version = int(backend.value("SHOW server_version_num")) // 10_000
    if version < OLDEST_SERVER:
        message = f"PostgreSQL {OLDEST_SERVER} or newer is needed, this is {backend.value('SHOW server_version')}"
        raise MigrationError(message)
    encoding = backend.value("SHOW server_encoding")
    if encoding != "UTF8":
        message = f"the database must be encoded in UTF8, this one is in {encoding}: create it with ENCODING 'UTF8'"
        raise MigrationError(message)


def _take_lock(backend: _Backend) -> None:
    backend.execute(f"SET lock_timeout = '{_LOCK_WAIT}'")
    try:
        backend.execute(f"SELECT pg_advisory_lock({_LOCK})")
    except backend.driver.errors.LockNotAvailable as exc:
        message = f"another migrator has held the lock for {_LOCK_WAIT}: look for tocsin-migrate in pg_stat_activity"
        raise MigrationError(message) from exc


def _migrations() -> Any:
    return read_migrations(glob.escape(str(sql_folder())))


def _apply(backend: _Backend, migration: Any) -> str:
    # yoyo's own apply_one commits the file on one session and the note about it on another: killed in between, the
    # file would be applied a second time.
    backend.reset_session()
    with backend.transaction():
        try:
            migration.process_steps(backend, "apply")
        except backend.DatabaseError as exc:
            message = f"{migration.id} failed and was rolled back: {_one_line(exc)}"
            raise MigrationError(message) from exc
        backend.mark_one(migration, log=False)
    return str(migration.id)


def _take_over_restored(backend: _Backend) -> None:
    """Give restored changes a transaction that this server has seen.

    A dump brings the numbers of another server's transactions along. Those that are still to come here would keep the
    stream of changes waiting for them, perhaps for years.
    """
    if backend.value("SELECT to_regclass('incidents.timeline') IS NOT NULL") == "True":
        backend.reset_session()
        backend.execute(
            """
            UPDATE incidents.timeline SET xid = pg_current_xact_id()
            WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
            """
        )


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())


if __name__ == "__main__":
    main()
