"""Pager load: the overview that people read, and the roll-up that keeps its figures current."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.escalations import Level
from tocsin.contracts.overview import HighestLevels, OnCallOverview, PagedPerson, PagedService
from tocsin.kernel.db import Database, Row, transaction
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.time_range import days_of, window_of
from tocsin.oncall.domain.pager_load import (
    NO_LEVEL,
    Interruption,
    PagerLoadKind,
    PagingOutcome,
    difference,
    load_of,
    sum_of,
)
from tocsin.oncall.repository import pager_load, schedules
from tocsin.oncall.service import Deps

PEOPLE_SHOWN: Final = 50
SERVICES_SHOWN: Final = 200
ROLL_UP: Final = Failpoint("oncall.roll_up")


async def roll_up(db: Database, *, limit: int) -> bool:
    """Recompute what up to *limit* incidents contribute to the pager load; return whether there may be more.

    Triggers mark an incident when its pages or its escalation change. While another replica does so, this is a no-op.
    """
    async with ROLL_UP(), transaction(db) as cur:
        if not await pager_load.lock_rollup(cur):
            return False
        stale = await pager_load.delete_stale(cur, limit=limit)
        if not stale:
            return await pager_load.mark_history(cur, limit=limit)
        interruptions = _by_incident(await pager_load.find_interruptions(cur, stale))
        teams = sorted({item.team for found in interruptions.values() for item in found})
        zones = {team: schedule.zone for team, schedule in (await schedules.find_parsable(cur, teams)).items()}
        before = await pager_load.find_contributions(cur, stale)
        after = {
            incident.incident_id: load_of(incident, interruptions.get(incident.incident_id, []), zones)
            for incident in await pager_load.find_escalated(cur, stale)
        }
        contributions = {incident_id: after.get(incident_id, {}) for incident_id in stale}
        await pager_load.upsert_contributions(cur, contributions)
        changes = (difference(before.get(incident_id, {}), load) for incident_id, load in contributions.items())
        await pager_load.add_load(cur, sum_of(changes))
    return True


async def get_overview(
    deps: Deps, *, since: datetime | None, until: datetime | None, team: str | None
) -> OnCallOverview:
    """Return the pager load of a range of days, by default the last 30, and of the same number of days before.

    Raise InvalidRequestError if the range is empty or longer than 366 days.
    """
    async with transaction(deps.db) as cur:
        before, first, end = days_of(*window_of(since, until, await schedules.select_now(cur)))
        weeks = first.weekday() == end.weekday() == 0
        progress = await pager_load.select_progress(cur)
        outcomes = await pager_load.select_outcomes(cur, before=before, since=first, until=end, team=team)
        nights = await pager_load.count_nights(cur, before=before, since=first, until=end, team=team)
        people = await pager_load.select_people(cur, since=first, until=end, team=team, limit=PEOPLE_SHOWN)
        services = await pager_load.select_services(
            cur,
            kind=PagerLoadKind.SERVICE_WEEK if weeks else PagerLoadKind.SERVICE,
            since=first,
            until=end,
            team=team,
            limit=SERVICES_SHOWN,
        )
    return OnCallOverview(
        since=first,
        until=end,
        team=team,
        as_of=progress["as_of"],
        history_before=progress["history_before"],
        total=_highest_levels([row for row in outcomes if not row["earlier"]], nights["nights"]),
        before=_highest_levels([row for row in outcomes if row["earlier"]], nights["earlier"]),
        people=[PagedPerson(**row) for row in people],
        services=[PagedService(**row) for row in services],
    )


def _by_incident(interruptions: Iterable[Interruption]) -> dict[UUID, list[Interruption]]:
    found: defaultdict[UUID, list[Interruption]] = defaultdict(list)
    for interruption in interruptions:
        found[interruption.incident_id].append(interruption)
    return found


def _highest_levels(rows: list[Row], nights: int) -> HighestLevels:
    def by_level(outcome: PagingOutcome) -> dict[Level, int]:
        return {
            Level(row["level"]): row["incidents"]
            for row in rows
            if row["outcome"] == outcome and row["level"] != NO_LEVEL
        }

    return HighestLevels(
        incidents=sum(row["incidents"] for row in rows),
        answered=by_level(PagingOutcome.ACKNOWLEDGED),
        resolved=by_level(PagingOutcome.RESOLVED),
        running=by_level(PagingOutcome.RUNNING),
        nobody=sum(row["incidents"] for row in rows if row["level"] == NO_LEVEL),
        nights=nights,
    )
