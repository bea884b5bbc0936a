"""Prepared statements: a connection parses and plans a frequent statement once, not at each execution.

PostgreSQL keeps the plan until the statistics of a table change, which is too late for a table that grows fast. Prepare
only statements whose plan depends on no table, such as an INSERT of their parameters, and list the columns that they
return: with `*`, they would fail once a migration has added a column.
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
        """Prepare it on the cursor's connection if necessary, and return the statement that executes it."""
        prepared: set[str] = cur.connection.prepared
        if self.name not in prepared:
            await cur.execute(self._preparation)
            prepared.add(self.name)
        return self.execution
