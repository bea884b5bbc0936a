"""Prepared statements: a connection parses and plans a frequent statement once, not at each execution.

PostgreSQL then keeps one plan for all values until the statistics of a table change, but tables grow faster. Therefore
only for statements whose plan depends on no table, such as an INSERT of its parameters. The names of the columns that
it returns must be listed: with `*` it would fail once a migration has added a column.
"""

from typing import Any, Final


class PreparedStatement:
    """A statement that `execute`, `fetch_one` and `fetch_all` prepare on each connection that runs it."""

    def __init__(self, name: str, sql: str, /, **types: str) -> None:
        self.name: Final = name
        self.sql: Final = sql
        """With parameters as psycopg2 writes them; *types* are their types in PostgreSQL."""
        numbered = {parameter: f"${number}" for number, parameter in enumerate(types, start=1)}
        self._preparation: Final = f"PREPARE {name} ({', '.join(types.values())}) AS {sql % numbered}"
        self.execution: Final = f"EXECUTE {name} ({', '.join(f'%({parameter})s' for parameter in types)})"

    async def prepare(self, cur: Any) -> str:
        """Prepare it on the cursor's connection unless it is, and return the statement that executes it."""
        prepared: set[str] = cur.connection.prepared
        if self.name not in prepared:
            await cur.execute(self._preparation)
            prepared.add(self.name)
        return self.execution
