"""People and teams: add, change and remove people, and give them a role in a team."""

from typing import Any, Final
from uuid import UUID

import structlog

from tocsin.contracts.audit import AuditAction
from tocsin.contracts.model import Page
from tocsin.contracts.people import ChangePerson, Person, PersonIn, Team, TeamRole
from tocsin.kernel import audit
from tocsin.kernel.audit_entry import Subject
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import ConflictError, NotFoundError, StaleError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.idempotency import replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Principal
from tocsin.kernel.reader import Reader
from tocsin.oncall.queries import PeopleQuery, TeamsQuery
from tocsin.oncall.repository import people
from tocsin.oncall.service import Deps
from tocsin.oncall.service.authority import find_authority

log = structlog.get_logger(__name__)
ADD: Final = Failpoint("oncall.add_person")
CHANGE: Final = Failpoint("oncall.change_person")
JOIN: Final = Failpoint("oncall.join_team")


async def list_people(deps: Deps, query: PeopleQuery, by: Principal) -> Page[Person]:
    """Return a page of people, newest first.

    Only callers who see every e-mail address can search for one: others could find it out letter by letter.
    """
    async with autocommit(deps.db) as cur:
        found, cursor = await people.list_people(cur, query, by_email=Reader.of(by).sees_all)
    return Page[Person](items=found, next_cursor=cursor)


async def get_person(deps: Deps, person_id: UUID) -> Person:
    """Return a person. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        return await people.get_person(cur, person_id)


async def add_person(deps: Deps, given: PersonIn, *, by: Principal, request: IdempotentRequest | None) -> Person:
    """Add a person. Raise ForbiddenError, or ConflictError if another one has the e-mail address."""
    person_id = new_id()
    async with ADD(), transaction(deps.db) as cur:
        (await find_authority(cur, by, lock=True)).require_new_person()
        first = await replay(cur, request, person_id)
        if first is not None:
            return await people.get_person(cur, first)
        if not await people.insert_person(cur, person_id, given):
            raise await _taken(cur, given.email)
        added = await people.get_person(cur, person_id)
        await audit.record(cur, AuditAction.PERSON_CREATE, _subject(added), after=_fields(added))
    log.info("person added", person_id=str(person_id))
    return added


async def change_person(
    deps: Deps, person_id: UUID, change: ChangePerson, *, by: Principal, version: int | None
) -> Person:
    """Change a person. Equal values are a no-op.

    Raise NotFoundError; ForbiddenError; StaleError if *version* is given and is not the current one; ConflictError if
    another person has the e-mail address, or if a schedule names the present one.
    """
    async with CHANGE(), transaction(deps.db) as cur:
        await people.lock_people(cur)
        person = await people.get_person(cur, person_id)
        (await find_authority(cur, by, lock=True)).require_change(person, change)
        if version is not None and version != person.version:
            msg = f"{person.name} has changed since version {version}: read the person again and repeat the change."
            raise StaleError(msg)
        wanted = person.model_copy(update=change.model_dump(exclude_none=True))
        if wanted == person:
            return person
        if wanted.email.lower() != person.email.lower():
            await _require_in_no_rotation(cur, person, "Their e-mail address is in the schedule of")
            if await people.find_by_email(cur, wanted.email) is not None:
                raise await _taken(cur, wanted.email)
        await people.update_person(cur, person_id, change)
        changed = await people.get_person(cur, person_id)
        fields = {"before": _fields(person), "after": _fields(changed)}
        await audit.record(cur, AuditAction.PERSON_CHANGE, _subject(changed), **fields)
        return changed


async def delete_person(deps: Deps, person_id: UUID, *, by: Principal) -> Person:
    """Delete a person, and return who that was.

    Raise NotFoundError; ForbiddenError; ConflictError if a schedule names them.
    """
    async with CHANGE(), transaction(deps.db) as cur:
        await people.lock_people(cur)
        person = await people.get_person(cur, person_id)
        (await find_authority(cur, by, lock=True)).require_deletion(person)
        await _require_in_no_rotation(cur, person, "They are in the schedule of")
        await people.delete_person(cur, person_id)
        await audit.record(cur, AuditAction.PERSON_DELETE, _subject(person), before=_fields(person))
    log.info("person deleted", person_id=str(person_id))
    return person


async def list_teams(deps: Deps, query: TeamsQuery) -> Page[Team]:
    """Return a page of teams, newest first."""
    async with autocommit(deps.db) as cur:
        found, cursor = await people.list_teams(cur, query)
    return Page[Team](items=found, next_cursor=cursor)


async def get_team(deps: Deps, team_id: UUID) -> Team:
    """Return a team. Raise NotFoundError."""
    async with autocommit(deps.db) as cur:
        return await people.get_team(cur, team_id)


async def join_team(deps: Deps, team_id: UUID, person_id: UUID, role: TeamRole, *, by: Principal) -> Team:
    """Add a person to a team, or change their role there. Raise NotFoundError, ForbiddenError."""
    async with JOIN(), transaction(deps.db) as cur:
        before = await people.get_team(cur, team_id)
        (await find_authority(cur, by, lock=True)).require_team(before.name)
        await people.get_person(cur, person_id)
        await people.upsert_membership(cur, team_id=team_id, person_id=person_id, role=role)
        team = await people.get_team(cur, team_id)
        await _record_membership(cur, before, team, person_id)
    log.info("team joined", team=team.name, person_id=str(person_id), role=role)
    return team


async def leave_team(deps: Deps, team_id: UUID, person_id: UUID, *, by: Principal) -> Team:
    """Remove a person from a team.

    Raise NotFoundError; ForbiddenError; ConflictError if the team's schedule names them.
    """
    async with JOIN(), transaction(deps.db) as cur:
        team = await people.get_team(cur, team_id)
        (await find_authority(cur, by, lock=True)).require_team(team.name)
        person = await people.get_person(cur, person_id)
        await _require_in_no_rotation(cur, person, "They are in the schedule of", team_id=team_id)
        if not await people.delete_membership(cur, team_id=team_id, person_id=person_id):
            msg = f"{person.name} does not belong to {team.name}."
            raise NotFoundError(msg)
        before, team = team, await people.get_team(cur, team_id)
        await _record_membership(cur, before, team, person_id)
    log.info("team left", team=team.name, person_id=str(person_id))
    return team


async def _record_membership(cur: Cursor, before: Team, after: Team, person_id: UUID) -> None:
    """Record the role of a person before and after a change, unless it is the same."""
    old, new = (
        {each.name: each.role.value for each in team.people if each.id == person_id} for team in (before, after)
    )
    action = AuditAction.MEMBERSHIP_CHANGE if new else AuditAction.MEMBERSHIP_DELETE
    if old != new:
        await audit.record(cur, action, Subject("team", after.id, after.name), before=old, after=new)


def _subject(person: Person) -> Subject:
    return Subject("person", person.id, person.name)


def _fields(person: Person) -> dict[str, Any]:
    """Return what the audit compares."""
    return person.model_dump(mode="json", include={"name", "email"})


async def _taken(cur: Cursor, email: str) -> ConflictError:
    other = await people.find_by_email(cur, email)
    owner = f"{other.name} ({other.id})" if other else "Another person"
    return ConflictError(f"{owner} has the e-mail address {email}. Use that person, or another address.")


async def _require_in_no_rotation(cur: Cursor, person: Person, what: str, *, team_id: UUID | None = None) -> None:
    teams = await people.find_rotations(cur, person.id, team_id=team_id)
    if teams:
        msg = f"{what} {', '.join(teams)}. Change that first, with PUT /api/v1/schedules/{{id}}."
        raise ConflictError(msg)
