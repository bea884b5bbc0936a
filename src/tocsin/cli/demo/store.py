"""Access to the database for the commands about demo data."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tocsin.cli.demo.dataset import TEAM_NAMES
from tocsin.kernel.db import Database, fetch_one, required, transaction
from tocsin.kernel.service_settings import ServiceSettings

ADDED: Final = "The demo data is loaded: everything in it is called Demo."
NOT_ADDED: Final = "No demo data was added: this system has data of its own."
STATEMENT_SECONDS: Final = 60.0
"""The time-out of a statement."""


@dataclass(frozen=True, slots=True)
class ExistingData:
    """The contents of a database before demo data is added."""

    demo_teams: int
    own_teams: int
    incidents: bool

    @property
    def allows_demo_data(self) -> bool:
        """Whether the database is empty or has the demo data already: it is never mixed with other data."""
        return self.demo_teams > 0 or not (self.own_teams or self.incidents)


async def inspect(dsn: str) -> ExistingData:
    """Return what the database contains."""
    async with open_database(dsn) as database, transaction(database) as cur:
        row = await fetch_one(
            cur,
            """
            SELECT count(*) FILTER (WHERE name = ANY(%(teams)s)) AS demo_teams,
                   count(*) FILTER (WHERE name <> ALL(%(teams)s)) AS own_teams,
                   EXISTS (SELECT FROM incidents.incident) AS incidents
            FROM oncall.team
            """,
            teams=list(TEAM_NAMES),
        )
    return ExistingData(**required(row))


@asynccontextmanager
async def open_database(dsn: str) -> AsyncIterator[Database]:
    """Yield the database; close it at the end of the block."""
    settings = ServiceSettings.model_validate({"database_url": dsn, "db_statement_timeout_seconds": STATEMENT_SECONDS})
    database = Database(settings.database_config(), schema="incidents")
    try:
        yield database
    finally:
        await database.close()
