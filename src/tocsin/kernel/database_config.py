"""What a pool of database connections needs to know."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """An address and its limits, the times in seconds."""

    dsn: str = field(repr=False)
    """A libpq address; it may contain a password."""
    pool_size: int
    connect_timeout: float
    statement_timeout: float
    lock_timeout: float
