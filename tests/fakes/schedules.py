"""A fake of the part of oncall-service that the pages use; it computes shifts with the code of the service."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web

from tests.fakes.answers import answer, newest_page, page_of, refuse
from tests.fakes.peer import FakePeer
from tocsin.contracts.boards import OnCallBoard, OnCallListing
from tocsin.contracts.escalations import Escalate, Escalation, Escalations
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import OnCall, Schedule, ScheduleIn, Upcoming
from tocsin.contracts.overview import OnCallOverview  # noqa: TC001 - beside what is needed at run time
from tocsin.contracts.people import Person
from tocsin.kernel.ids import new_id
from tocsin.oncall.domain.authority import Authority
from tocsin.oncall.domain.schedule import StoredSchedule, anchor_of
from tocsin.oncall.service.views import schedule_view, shift_view


def stored(schedule: Schedule) -> StoredSchedule:
    """Return *schedule* as oncall-service stores it."""
    return StoredSchedule(
        id=schedule.id,
        team=schedule.team,
        rotation_type=schedule.rotation_type,
        members=tuple(schedule.members),
        services=tuple(schedule.services),
        zone=ZoneInfo(schedule.time_zone),
        anchor=schedule.anchor,
        created_at=schedule.created_at,
        version=schedule.version,
    )


def made_of(given: ScheduleIn) -> Schedule:
    """Return the schedule that results from *given* now."""
    now = datetime.now(UTC)
    made = Schedule(**dict(given), id=new_id(), anchor=anchor_of(given, now), created_at=now)
    return schedule_view(stored(made), Authority(everything=True))


class FakeSchedules(FakePeer):
    """Schedules, shifts and escalations."""

    def __init__(self) -> None:
        super().__init__(
            [
                web.get("/api/v1/schedules", self._schedules),
                web.post("/api/v1/schedules", self._create),
                web.get("/api/v1/schedules/{schedule_id}", self._schedule),
                web.put("/api/v1/schedules/{schedule_id}", self._replace),
                web.get("/api/v1/oncall/upcoming", self._upcoming),
                web.get("/api/v1/oncall/current", self._current),
                web.get("/api/v1/oncall/overview", self._overview),
                web.get("/api/v1/oncall/board", self._board),
                web.get("/api/v1/oncall/listing", self._listing),
                web.get("/api/v1/people", self._people),
                web.get("/api/v1/escalations", self._escalations),
                web.post("/api/v1/escalate", self._escalate),
            ]
        )
        self.schedules: list[Schedule] = []
        self.on_call: dict[str, OnCall] = {}
        self.overview: OnCallOverview | None = None
        self.escalations: dict[UUID, Escalation] = {}
        self.escalated: list[Escalate] = []
        self.people: list[Person] = []

    def found(self, schedule_id: str) -> Schedule | None:
        """Return a schedule by its id."""
        return next((item for item in self.schedules if str(item.id) == schedule_id), None)

    async def _schedules(self, request: web.Request) -> web.Response:
        return page_of(request, Page[Schedule], self.schedules)

    async def _people(self, request: web.Request) -> web.Response:
        return page_of(request, Page[Person], self.people)

    async def _board(self, request: web.Request) -> web.Response:
        page = newest_page(request, Page[Schedule], self.schedules, limit=int(request.query["limit"]))
        teams = [self.on_call[item.team] for item in page.items if item.team in self.on_call]
        more = page.next_cursor is not None
        return answer(OnCallBoard(teams=teams, more_teams=more, escalations=self._found_escalations(request)))

    async def _listing(self, request: web.Request) -> web.Response:
        page = newest_page(request, Page[Schedule], self.schedules, limit=int(request.query["limit"]))
        return answer(OnCallListing(schedules=page, escalations=self._found_escalations(request)))

    async def _create(self, request: web.Request) -> web.Response:
        given = ScheduleIn.model_validate(await request.json())
        if any(item.team == given.team for item in self.schedules):
            return refuse(409, f"The team {given.team!r} has a schedule already.")
        self.schedules.append(made_of(given))
        return answer(self.schedules[-1])

    async def _schedule(self, request: web.Request) -> web.Response:
        found = self.found(request.match_info["schedule_id"])
        return answer(found) if found else refuse(404, "There is no such schedule.")

    async def _replace(self, request: web.Request) -> web.Response:
        found = self.found(request.match_info["schedule_id"])
        if found is None:
            return refuse(404, "There is no such schedule.")
        if request.headers["If-Match"] != f'"{found.version}"':
            return refuse(412, f"The schedule of {found.team} has changed since you looked at it.")
        changed = made_of(ScheduleIn.model_validate(await request.json()))
        changed = changed.model_copy(update={"id": found.id, "version": found.version + 1})
        self.schedules[self.schedules.index(found)] = changed
        return answer(changed)

    async def _upcoming(self, request: web.Request) -> web.Response:
        found = next((item for item in self.schedules if item.team == request.query["team"]), None)
        if found is None:
            return refuse(404, f"There is no team {request.query['team']}.")
        since = datetime.fromisoformat(request.query.get("since") or datetime.now(UTC).isoformat())
        shifts = stored(found).shifts(since, since + timedelta(days=int(request.query["days"])))
        items = [shift_view(found.team, shift) for shift in shifts]
        return answer(Upcoming(team=found.team, time_zone=found.time_zone, items=items))

    async def _current(self, request: web.Request) -> web.Response:
        found = self.on_call.get(request.query["team"])
        return answer(found) if found else refuse(404, f"There is no team {request.query['team']}.")

    async def _overview(self, _request: web.Request) -> web.Response:
        return answer(self.overview) if self.overview else refuse(503, "Not now.")

    async def _escalations(self, request: web.Request) -> web.Response:
        return answer(Escalations(items=self._found_escalations(request)))

    def _found_escalations(self, request: web.Request) -> list[Escalation]:
        ids = [UUID(item) for item in request.query.getall("incident_id", [])]
        return [self.escalations[item] for item in ids if item in self.escalations]

    async def _escalate(self, request: web.Request) -> web.Response:
        order = Escalate.model_validate(await request.json())
        known = self.escalations.get(order.incident_id)
        if known is None:
            return refuse(404, "This incident has no escalation.")
        if known.stopped_at is not None:
            return refuse(409, "Paging has stopped: acknowledged by somebody.")
        self.escalated.append(order)
        return answer(known)
