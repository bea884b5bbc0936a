"""What being on call was like: figures over days, and the tally that they are read from."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.oncall import Level
from tocsin.contracts.overview import OnCallOverview, PagedPerson, PagedService, Reached
from tocsin.kernel.db import Cursor, Database, Row, transaction
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.time_range import days_of, window_of
from tocsin.oncall.nights import NOBODY, Kind, Outcome, Paged, Parts, change, parts_of
from tocsin.oncall.queries import OverviewQuery
from tocsin.oncall.repository import schedules, tally

PEOPLE_SHOWN: Final = 50
SERVICES_SHOWN: Final = 200
ROLL_UP: Final = Failpoint("oncall.roll_up")


async def roll_up(db: Database, *, limit: int) -> bool:
    """Bring the tally up to date with up to *limit* changes; True where more may be to do.

    One replica at a time; where another is at it, there is nothing to do.
    """
    async with ROLL_UP(), transaction(db) as cur:
        if not await tally.lock_rollup(cur):
            return False
        stale = await tally.take_stale(cur, limit=limit)
        if not stale:
            return await tally.mark_history(cur, limit=limit)
        pages = _by_incident(await tally.find_paged(cur, stale))
        teams = sorted({page.team for found in pages.values() for page in found})
        zones = {team: schedule.zone for team, schedule in (await schedules.find_readable(cur, teams)).items()}
        escalated = await tally.find_escalated(cur, stale)
        before = await tally.find_counted(cur, stale)
        after = {item.incident_id: parts_of(item, pages.get(item.incident_id, []), zones) for item in escalated}
        counted = {incident_id: after.get(incident_id, {}) for incident_id in stale}
        await tally.write_counted(cur, counted)
        await _add(cur, (change(before.get(incident_id, {}), parts) for incident_id, parts in counted.items()))
    return True


async def look_over(db: Database, query: OverviewQuery, *, now: datetime | None = None) -> OnCallOverview:
    """Return what being on call was like in some days, beside as many days before.

    Raise InvalidRequestError where the window is empty or longer than 366 days.
    """
    async with transaction(db) as cur:
        before, since, until = days_of(*window_of(query.since, query.until, await schedules.clock(cur, now)))
        weeks = since.weekday() == until.weekday() == 0
        progress = await tally.select_progress(cur)
        outcomes = await tally.select_outcomes(cur, before=before, since=since, until=until, team=query.team)
        nights = await tally.count_nights(cur, before=before, since=since, until=until, team=query.team)
        people = await tally.select_people(cur, since=since, until=until, team=query.team, limit=PEOPLE_SHOWN)
        services = await tally.select_services(
            cur,
            kind=Kind.SERVICE_WEEK if weeks else Kind.SERVICE,
            since=since,
            until=until,
            team=query.team,
            limit=SERVICES_SHOWN,
        )
    return OnCallOverview(
        since=since,
        until=until,
        team=query.team,
        as_of=progress["as_of"],
        history_before=progress["history_before"],
        total=_reached([row for row in outcomes if not row["earlier"]], nights["nights"]),
        before=_reached([row for row in outcomes if row["earlier"]], nights["earlier"]),
        people=[PagedPerson(**row) for row in people],
        services=[PagedService(**row) for row in services],
    )


def _by_incident(pages: Iterable[Paged]) -> dict[UUID, list[Paged]]:
    found: defaultdict[UUID, list[Paged]] = defaultdict(list)
    for page in pages:
        found[page.incident_id].append(page)
    return found


async def _add(cur: Cursor, changes: Iterable[Parts]) -> None:
    total: Parts = {}
    for parts in changes:
        for key, (number, night) in parts.items():
            known = total.get(key, (0, 0))
            total[key] = (known[0] + number, known[1] + night)
    if total:
        await tally.add_to_tally(cur, total)


def _reached(rows: list[Row], nights: int) -> Reached:
    def ended(outcome: Outcome) -> dict[Level, int]:
        return {
            Level(row["level"]): row["incidents"]
            for row in rows
            if row["outcome"] == outcome and row["level"] != NOBODY
        }

    return Reached(
        incidents=sum(row["incidents"] for row in rows),
        answered=ended(Outcome.ANSWERED),
        resolved=ended(Outcome.RESOLVED),
        running=ended(Outcome.RUNNING),
        nobody=sum(row["incidents"] for row in rows if row["level"] == NOBODY),
        nights=nights,
    )
