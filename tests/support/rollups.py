"""Run a service's roll-up in a test."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from tests.support.waiting import PATIENT
from tocsin.kernel.db import Database
from tocsin.kernel.service_settings import ServiceSettings


class RollUp(Protocol):
    """One round of a service's worker; returns whether there may be more to do."""

    def __call__(self, db: Database, *, limit: int) -> Awaitable[bool]: ...


def rolled_up(
    roll_up: RollUp, settings: type[ServiceSettings], dsn: str, *, schema: str, limit: int = 500, rounds: int = 1_000
) -> None:
    """Run rounds until nothing is left to do."""

    async def work() -> None:
        db = Database(settings.model_validate({"database_url": dsn, **PATIENT}).database_config(), schema=schema)
        try:
            for _ in range(rounds):
                if not await roll_up(db, limit=limit):
                    return
        finally:
            await db.close()

    asyncio.run(work())
