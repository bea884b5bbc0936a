"""What the managers of teams may change and see."""

from typing import Final
from uuid import UUID

from tocsin.kernel.db import Cursor, fetch_all

SELECT_MANAGED: Final = """
    SELECT t.name FROM oncall.membership AS m JOIN oncall.team AS t ON t.id = m.team_id
    WHERE m.person_id = %(person_id)s AND m.role = 'manager'
    ORDER BY t.name
"""
LOCK_MANAGED: Final = SELECT_MANAGED + " FOR SHARE OF m"


async def find_teams(cur: Cursor, person_id: UUID, *, lock: bool) -> frozenset[str]:
    """Return the names of the teams of which a person is a manager; *lock* keeps them one during the transaction."""
    rows = await fetch_all(cur, LOCK_MANAGED if lock else SELECT_MANAGED, person_id=person_id)
    return frozenset(row["name"] for row in rows)


async def find_known_addresses(cur: Cursor, person_id: UUID, *, manages: bool) -> frozenset[str]:
    """Return, in lower case, a person's own addresses, and with *manages* those of the teams they are a manager of."""
    rows = await fetch_all(
        cur,
        """
        WITH managed AS (
            SELECT team_id FROM oncall.membership
            WHERE person_id = %(person_id)s AND role = 'manager' AND %(manages)s),
        member AS (
            SELECT listed.member FROM oncall.schedule AS s
            CROSS JOIN LATERAL jsonb_array_elements(
                CASE WHEN jsonb_typeof(s.members) = 'array' THEN s.members ELSE '[]' END) AS listed (member)
            WHERE s.team_id IN (SELECT team_id FROM managed)
               OR lower(listed.member ->> 'email') = (SELECT lower(email) FROM oncall.person WHERE id = %(person_id)s)),
        address AS (
            SELECT email AS address FROM oncall.person
            WHERE id = %(person_id)s OR id IN (
                SELECT person_id FROM oncall.membership WHERE team_id IN (SELECT team_id FROM managed))
            UNION ALL
            SELECT member ->> 'email' FROM member
            UNION ALL
            SELECT contact ->> 'address' FROM member
            CROSS JOIN LATERAL jsonb_array_elements(
                CASE WHEN jsonb_typeof(member -> 'contacts') = 'array' THEN member -> 'contacts' ELSE '[]' END)
                AS listed (contact))
        SELECT DISTINCT lower(address) AS address FROM address WHERE address IS NOT NULL
        """,
        person_id=person_id,
        manages=manages,
    )
    return frozenset(row["address"] for row in rows)
