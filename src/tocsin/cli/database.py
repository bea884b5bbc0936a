"""The database that a command uses: DATABASE_URL, else the embedded one of a data folder."""

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from tocsin.cli.console import PROGRAM, CommandError
from tocsin.cli.postgres import EmbeddedPostgres, default_folder, exclusive
from tocsin.kernel.settings import ProcessSettings, load

DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="TOCSIN_DATA",
        default_factory=default_folder,
        help="Folder of the embedded PostgreSQL, used if DATABASE_URL is not set.",
        show_default="/var/lib/tocsin for root, else .tocsin",
    ),
]


class DatabaseSettings(ProcessSettings):
    """Settings of the commands; each service reads its own."""

    database_url: SecretStr | None = None
    """An existing PostgreSQL; without it, the embedded one is used."""


def data_argument(folder: Path) -> str:
    """Return the option that names *folder* in an advised command; empty for the default folder."""
    return "" if folder == default_folder() else f" --data {shlex.quote(str(folder))}"


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[str]:
    """Yield the database's DSN; an embedded server that is not running is started for the duration of the block."""
    settings = load(DatabaseSettings)
    server = EmbeddedPostgres(folder)
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    elif server.pid() is not None:
        yield server.dsn
    elif not server.exists:
        msg = f"there is no database in {folder}"
        raise CommandError(msg, f"Start one: {PROGRAM} up. Or use another: DATABASE_URL, or --data FOLDER.")
    else:
        with exclusive(folder):
            await server.start()
            try:
                yield server.dsn
            finally:
                await server.stop(at_once=False)
