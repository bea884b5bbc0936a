"""The configuration of a pool of database connections."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """The address, the size of the pool and its time-outs in seconds."""

    dsn: str = field(repr=False)
    """A libpq connection string; it may contain a password."""
    pool_size: int
    connect_timeout: float
    statement_timeout: float
    lock_timeout: float
