"""The accounts of the programs that belong to an installation, which need a token where log-ins are required.

An admin sees them among the other accounts, and can disable them, change their roles or revoke their tokens: that is
never undone here.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - a class under a lower-case name

SHOWN_CHARACTERS: Final = 16
"""Of a token, to recognise it by."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, and what its account may do."""

    id: UUID
    name: str
    role: str


PROGRAMS: Final = {
    "alertmanager": Program(UUID("0199f000-0000-7000-8000-000000000001"), "Alertmanager", "sender"),
    "demo": Program(UUID("0199f000-0000-7000-8000-000000000002"), "Demo data", "admin"),
    "pipeline": Program(UUID("0199f000-0000-7000-8000-000000000003"), "Delivery pipeline", "admin"),
}
"""By the names of the files with their tokens. Those that add teams are admins."""


def set_program_tokens(cursor: Cursor, folder: Path) -> list[str]:
    """Give each program with a file in *folder* an account with the token in it; return the names of the accounts.

    Raise OSError if a file cannot be read, and what the driver raises.
    """
    found = [(program, folder / name) for name, program in PROGRAMS.items() if (folder / name).is_file()]
    for program, path in found:
        token = path.read_text(encoding="utf-8").strip()
        values = {
            "id": str(program.id),
            "name": program.name,
            "role": program.role,
            "hash": hashlib.sha256(token.encode()).digest(),
            "shown": token[:SHOWN_CHARACTERS],
        }
        cursor.execute(
            """
            UPDATE access.token SET secret_hash = %(hash)s, prefix = %(shown)s WHERE id = %(id)s;
            WITH created AS (
                INSERT INTO access.account (id, kind, name, role) VALUES (%(id)s, 'service', %(name)s, %(role)s)
                ON CONFLICT (id) DO NOTHING RETURNING id
            )
            INSERT INTO access.token (id, account_id, name, secret_hash, prefix)
            SELECT id, id, 'of this installation', %(hash)s, %(shown)s FROM created
            """,
            values,
        )
    return [program.name for program, _ in found]
