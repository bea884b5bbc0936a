"""Checks of a database address that PostgreSQL itself would make too late, or not at all."""

from typing import Final

import psycopg2
from psycopg2.extensions import parse_dsn

CLOCK_SETTING: Final = "tocsin.clock_offset"


def check_dsn(dsn: str) -> None:
    """Raise ValueError if libpq cannot parse *dsn*, or if its options set the clock offset.

    libpq's own message is left out: it quotes passwords.
    """
    try:
        parameters = parse_dsn(dsn)
    except psycopg2.ProgrammingError:
        parameters = {"port": "-"}
    ports = parameters.get("port", "").split(",")
    if not all(port == "" or (port.isascii() and port.isdigit()) for port in ports):
        msg = "not a PostgreSQL address such as postgresql://user:password@host:5432/name"
        raise ValueError(msg)
    # PostgreSQL ignores case and accepts a backslash before any character.
    if CLOCK_SETTING in parameters.get("options", "").replace("\\", "").lower():
        msg = f"its options set {CLOCK_SETTING}, which only tests may do: escalations and leases would be off by it"
        raise ValueError(msg)
