"""Every statement about what a manager may change and see, with the rights of on-call's role."""

from uuid import UUID

from psycopg2.extensions import make_dsn

from tests.support.kernel.quick_settings import quick_settings
from tests.support.waiting import PATIENT
from tocsin.kernel.db import Database, transaction
from tocsin.oncall.repository import managers


async def use_managers(dsn: str, person_id: str) -> None:
    """Run each statement for a person who is the manager of a team."""
    settings = quick_settings(make_dsn(dsn, options="-c role=tocsin_oncall"), **PATIENT)
    db = Database(settings.database_config(), schema="oncall")
    try:
        async with transaction(db) as cur:
            teams = [await managers.find_teams(cur, UUID(person_id), lock=lock) for lock in (False, True)]
            assert teams[0] == teams[1] != frozenset()
            assert await managers.find_known_addresses(cur, UUID(person_id), manages=True)
    finally:
        await db.close()
