"""People, teams, and who belongs to which."""

from typing import Any, Final
from uuid import UUID

from tocsin.contracts.people import ChangePerson, Person, PersonIn, Team, TeamRole
from tocsin.kernel.db import Cursor, defer, execute, fetch_all, fetch_one, required
from tocsin.kernel.pagination import page_of
from tocsin.oncall.queries import PeopleQuery, TeamsQuery

SELECT_PEOPLE: Final = """
    SELECT p.id, p.name, p.email, p.version, p.created_at,
           COALESCE((SELECT json_agg(json_build_object('team_id', t.id, 'team', t.name, 'role', m.role) ORDER BY t.name)
                     FROM oncall.membership AS m JOIN oncall.team AS t ON t.id = m.team_id
                     WHERE m.person_id = p.id), '[]') AS teams
    FROM oncall.person AS p
    WHERE (%(id)s::uuid IS NULL OR p.id = %(id)s)
      AND (%(email)s::text IS NULL OR lower(p.email) = lower(%(email)s))
      AND (%(team)s::text IS NULL OR p.id IN (
          SELECT m.person_id FROM oncall.membership AS m JOIN oncall.team AS t ON t.id = m.team_id
          WHERE t.name = %(team)s))
      AND (%(q)s::text IS NULL OR strpos(lower(CASE WHEN %(by_email)s THEN p.name || ' ' || p.email ELSE p.name END),
                                          lower(%(q)s)) > 0)
      AND (%(after_at)s::timestamptz IS NULL OR (p.created_at, p.id) < (%(after_at)s, %(after_id)s::uuid))
    ORDER BY p.created_at DESC, p.id DESC
    LIMIT %(fetch)s
"""
SELECT_TEAMS: Final = """
    SELECT t.id, t.name, t.created_at,
           COALESCE((SELECT json_agg(json_build_object('id', p.id, 'name', p.name, 'email', p.email, 'role', m.role)
                                     ORDER BY p.name, p.id)
                     FROM oncall.membership AS m JOIN oncall.person AS p ON p.id = m.person_id
                     WHERE m.team_id = t.id), '[]') AS people,
           ARRAY(SELECT s.name FROM oncall.service AS s WHERE s.team_id = t.id ORDER BY s.name) AS services
    FROM oncall.team AS t
    WHERE (%(id)s::uuid IS NULL OR t.id = %(id)s)
      AND (%(after_at)s::timestamptz IS NULL OR (t.created_at, t.id) < (%(after_at)s, %(after_id)s::uuid))
    ORDER BY t.created_at DESC, t.id DESC
    LIMIT %(fetch)s
"""
NO_FILTER: Final[dict[str, Any]] = {
    "id": None, "email": None, "team": None, "q": None, "by_email": True,
    "after_at": None, "after_id": None, "fetch": None,
}  # fmt: skip


async def list_people(cur: Cursor, query: PeopleQuery, *, by_email: bool) -> tuple[list[Person], str | None]:
    """Return a page of people, newest first, and the cursor of the next page; *by_email* includes e-mail in `q`."""
    filters = {**NO_FILTER, **query.model_dump(include={"q", "team"}), "by_email": by_email, **query.after()}
    return page_of(await fetch_all(cur, SELECT_PEOPLE, **filters), query.limit, Person.model_validate)


async def get_person(cur: Cursor, person_id: UUID) -> Person:
    """Return a person. Raise NotFoundError."""
    row = await fetch_one(cur, SELECT_PEOPLE, **{**NO_FILTER, "id": person_id})
    return Person.model_validate(required(row, f"There is no person {person_id}. GET /api/v1/people lists the people."))


async def find_by_email(cur: Cursor, email: str) -> Person | None:
    """Return the person with an e-mail address, whatever the case of its letters."""
    row = await fetch_one(cur, SELECT_PEOPLE, **{**NO_FILTER, "email": email})
    return Person.model_validate(row) if row else None


async def insert_person(cur: Cursor, person_id: UUID, given: PersonIn) -> bool:
    """Insert a person. Return False if another one has the e-mail address."""
    inserted = await execute(
        cur,
        """
        INSERT INTO oncall.person (id, name, email) VALUES (%(id)s, %(name)s, %(email)s)
        ON CONFLICT (lower(email)) DO NOTHING
        """,
        id=person_id,
        name=given.name,
        email=given.email,
    )
    return inserted > 0


async def lock_people(cur: Cursor) -> None:
    """Let nobody else insert or change a person until the end of the transaction. This is deferred."""
    await defer(cur, "LOCK TABLE oncall.person IN SHARE ROW EXCLUSIVE MODE")


async def update_person(cur: Cursor, person_id: UUID, change: ChangePerson) -> None:
    """Change a person; the caller has locked people, and knows that nobody else has the e-mail address."""
    await execute(
        cur,
        """
        UPDATE oncall.person
        SET name = COALESCE(%(name)s, name), email = COALESCE(%(email)s, email), version = version + 1
        WHERE id = %(id)s
        """,
        id=person_id,
        name=change.name,
        email=change.email,
    )


async def delete_person(cur: Cursor, person_id: UUID) -> None:
    """Delete a person and their memberships."""
    await execute(cur, "DELETE FROM oncall.person WHERE id = %(id)s", id=person_id)


async def find_rotations(cur: Cursor, person_id: UUID, *, team_id: UUID | None = None) -> list[str]:
    """Return the names of the teams, or of one team, whose schedule has the person as a member."""
    rows = await fetch_all(
        cur,
        """
        SELECT DISTINCT t.name
        FROM oncall.person AS p
        JOIN oncall.schedule AS s ON EXISTS (
            SELECT FROM oncall.members_of(s.members) AS member WHERE lower(member.email) = lower(p.email))
        JOIN oncall.team AS t ON t.id = s.team_id
        WHERE p.id = %(person_id)s AND (%(team_id)s::uuid IS NULL OR t.id = %(team_id)s)
        ORDER BY t.name
        """,
        person_id=person_id,
        team_id=team_id,
    )
    return [row["name"] for row in rows]


async def list_teams(cur: Cursor, query: TeamsQuery) -> tuple[list[Team], str | None]:
    """Return a page of teams, newest first, and the cursor of the next page."""
    return page_of(
        await fetch_all(cur, SELECT_TEAMS, **{**NO_FILTER, **query.after()}), query.limit, Team.model_validate
    )


async def get_team(cur: Cursor, team_id: UUID) -> Team:
    """Return a team. Raise NotFoundError."""
    row = await fetch_one(cur, SELECT_TEAMS, **{**NO_FILTER, "id": team_id})
    return Team.model_validate(required(row, f"There is no team {team_id}. GET /api/v1/teams lists the teams."))


async def upsert_membership(cur: Cursor, *, team_id: UUID, person_id: UUID, role: TeamRole) -> None:
    """Add a person to a team, or change their role there."""
    await execute(
        cur,
        """
        INSERT INTO oncall.membership (team_id, person_id, role) VALUES (%(team_id)s, %(person_id)s, %(role)s)
        ON CONFLICT (team_id, person_id) DO UPDATE SET role = EXCLUDED.role
        """,
        team_id=team_id,
        person_id=person_id,
        role=role.value,
    )


async def delete_membership(cur: Cursor, *, team_id: UUID, person_id: UUID) -> bool:
    """Remove a person from a team. Return False if they do not belong to it."""
    deleted = await execute(
        cur,
        "DELETE FROM oncall.membership WHERE team_id = %(team_id)s AND person_id = %(person_id)s",
        team_id=team_id,
        person_id=person_id,
    )
    return deleted > 0
