"""What a manager of a team may change: decided in the transaction of the change."""

import asyncio
from contextlib import closing
from dataclasses import replace
from uuid import UUID

import psycopg2
import pytest

from tests.oncall.conftest import OnCall, person
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.contracts.oncall import Schedule, ScheduleIn
from tocsin.contracts.people import ChangePerson, Membership, Person, PersonIn, TeamRole
from tocsin.kernel import tasks
from tocsin.kernel.errors import ConflictError, ForbiddenError
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Principal, PrincipalKind, Scope
from tocsin.oncall.domain.authority import Authority
from tocsin.oncall.service import people, schedules

SCOPES = frozenset({Scope.READ, Scope.RESPOND, Scope.MANAGE})
WAITING = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def responder(person_id: str | UUID | None) -> Principal:
    found = UUID(str(person_id)) if person_id else None
    return Principal(PrincipalKind.PERSON, "Mia", SCOPES, new_id(), found)


async def manager_of(oncall: OnCall, team: str) -> tuple[Schedule, Principal]:
    """Create a team of Mia, its manager, and Otto."""
    created = await oncall.team(team, person(f"Mia {team}"), person(f"Otto {team}"))
    (mia,) = (await oncall.get("/api/v1/people", q=f"Mia {team}"))["items"]
    path = f"/api/v1/teams/{mia['teams'][0]['team_id']}/people/{mia['id']}"
    response = await oncall.client.put(path, json={"role": "manager"})
    assert response.status == 200
    return Schedule.model_validate(created), responder(mia["id"])


async def test_who_stops_being_a_manager_while_they_change_a_team_does_not_change_it(oncall: OnCall) -> None:
    schedule, mia = await manager_of(oncall, "Payments")
    given = ScheduleIn.model_validate({**schedule.model_dump(), "time_zone": "Europe/Berlin"})
    with closing(psycopg2.connect(oncall.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE oncall.membership SET role = 'member' WHERE person_id = %s", (str(mia.person_id),))
        change = tasks.create_task(
            schedules.replace(oncall.deps, schedule.id, given, by=mia, version=None), name="the change"
        )
        await eventually(lambda: run(oncall.dsn, WAITING)[0]["n"] > 0)
        connection.commit()
    with pytest.raises(ForbiddenError, match="Only the managers of Payments and admins"):
        await change
    assert (await oncall.get(f"/api/v1/schedules/{schedule.id}"))["version"] == schedule.version


async def test_managers_who_remove_each_other_at_once_leave_a_team_that_one_of_them_changed(oncall: OnCall) -> None:
    schedule, mia = await manager_of(oncall, "Payments")
    (otto,) = (await oncall.get("/api/v1/people", q="Otto"))["items"]
    team = UUID(otto["teams"][0]["team_id"])
    assert mia.person_id
    await people.join_team(oncall.deps, team, UUID(otto["id"]), TeamRole.MANAGER, by=mia)
    pairs = ((mia, UUID(otto["id"])), (responder(otto["id"]), mia.person_id))
    results = await asyncio.gather(
        *(people.join_team(oncall.deps, team, other, TeamRole.MEMBER, by=by) for by, other in pairs),
        return_exceptions=True,
    )
    assert len([result for result in results if not isinstance(result, Exception)]) == 1, results
    left = (await oncall.get(f"/api/v1/teams/{team}"))["people"]
    assert len([item for item in left if item["role"] == "manager"]) == 1
    assert schedule.may_manage


async def test_a_person_of_two_teams_is_changed_and_deleted_by_managers_of_both_only(oncall: OnCall) -> None:
    _, mia = await manager_of(oncall, "Payments")
    added = await people.add_person(oncall.deps, PersonIn(name="Eve", email="eve@example.net"), by=mia, request=None)
    with pytest.raises(ForbiddenError, match="belongs to no team"):  # of anybody in no team, also an admin
        await people.change_person(oncall.deps, added.id, ChangePerson(name="Eva"), by=mia, version=None)
    teams = {item["name"]: UUID(item["id"]) for item in (await oncall.get("/api/v1/teams"))["items"]}
    _, max_ = await manager_of(oncall, "Search")
    teams |= {item["name"]: UUID(item["id"]) for item in (await oncall.get("/api/v1/teams"))["items"]}
    await people.join_team(oncall.deps, teams["Payments"], added.id, TeamRole.MEMBER, by=mia)
    await people.change_person(oncall.deps, added.id, ChangePerson(name="Eva"), by=mia, version=None)
    await people.join_team(oncall.deps, teams["Search"], added.id, TeamRole.MEMBER, by=max_)
    for by in (mia, max_, responder(None)):
        with pytest.raises(ForbiddenError, match=r"belongs to Payments, Search\. Only admins"):
            await people.delete_person(oncall.deps, added.id, by=by)
        with pytest.raises(ForbiddenError):
            await people.change_person(oncall.deps, added.id, ChangePerson(name="Eve"), by=by, version=None)
    assert mia.person_id
    await people.join_team(oncall.deps, teams["Search"], mia.person_id, TeamRole.MANAGER, by=max_)
    assert (await people.delete_person(oncall.deps, added.id, by=mia)).name == "Eva"
    with pytest.raises(ConflictError, match="in the schedule of"):
        await people.leave_team(oncall.deps, teams["Payments"], mia.person_id, by=mia)


async def test_who_manages_no_team_adds_nobody_and_nobody_but_admins_creates_a_team(oncall: OnCall) -> None:
    schedule, mia = await manager_of(oncall, "Payments")
    given = ScheduleIn.model_validate({**schedule.model_dump(), "team": "New", "services": []})
    with pytest.raises(ForbiddenError, match="Only admins may create"):
        await schedules.create(oncall.deps, given, by=mia, request=None)
    with pytest.raises(ForbiddenError, match="Only managers of a team and admins"):
        await people.add_person(
            oncall.deps, PersonIn(name="Eve", email="eve@example.net"), by=responder(new_id()), request=None
        )
    limited = replace(mia, scopes=SCOPES - {Scope.MANAGE})
    assert not (await schedules.get(oncall.deps, schedule.id, limited)).may_manage
    assert (await schedules.get(oncall.deps, schedule.id, mia)).may_manage


def test_people_change_their_own_name_in_any_team_but_not_their_address() -> None:
    member = Membership(team_id=new_id(), team="Payments", role=TeamRole.MEMBER)
    own = Person.model_validate(
        {"id": new_id(), "name": "Ada", "email": "ada@example.net", "version": 1,
         "created_at": "2026-11-02T03:04:05Z", "teams": [member]}
    )  # fmt: skip
    authority = Authority(everything=False, person_id=own.id)
    authority.require_change(own, ChangePerson(name="Ada L."))
    authority.require_change(own, ChangePerson(name="Ada L.", email=own.email))
    for refused, whose in ((ChangePerson(email="x@example.net"), own.id), (ChangePerson(name="X"), new_id())):
        with pytest.raises(ForbiddenError):
            replace(authority, person_id=whose).require_change(own, refused)
