"""The settings of the processes with a database: only these import its driver."""

from pathlib import Path
from typing import Annotated

from pydantic import DirectoryPath, Field, SecretStr, field_validator

from tocsin.kernel.database_config import DatabaseConfig
from tocsin.kernel.dsn import check_dsn
from tocsin.kernel.settings import HTTPURL, ProcessSettings, Seconds


class ServiceSettings(ProcessSettings):
    """The settings of every process with a database."""

    database_url: SecretStr
    """A libpq connection string, such as postgresql://user:password@host/name; the host may be a socket directory."""
    db_pool_size: Annotated[int, Field(ge=2, le=200)] = 10
    """The maximum number of database connections of one process, in addition to the one for notifications."""
    db_connect_timeout_seconds: Seconds = 3.0
    """How long connecting to the database may take."""
    db_statement_timeout_seconds: Seconds = 5.0
    """How long one statement may take; also how long a request waits for a free connection."""
    db_lock_timeout_seconds: Seconds = 2.0
    """How long one statement may wait for a lock."""
    lease_seconds: Seconds = 15.0
    """How long a worker holds the lease of a row; each call that it makes for the row ends sooner."""
    poll_seconds: Seconds = 2.0
    """How often a worker polls, in case it misses a notification."""
    retry_min_seconds: Seconds = 0.5
    """The back-off after the first failure; it doubles with each further one."""
    retry_max_seconds: Seconds = 4.0
    """The longest back-off: after an outage of the other service, calls continue within this time."""
    web_ui_url: HTTPURL = "http://127.0.0.1:8080"
    """Base URL of web-ui, which knows the tokens of accounts; only used if ACCESS is `closed`."""
    disk_path: DirectoryPath = Path("/")
    """A folder on the file system whose free space is exported: PostgreSQL's, if this process can see it."""

    @field_validator("database_url")
    @classmethod
    def check_database_url(cls, value: SecretStr) -> SecretStr:
        """Raise ValueError for a database address that `check_dsn` refuses."""
        check_dsn(value.get_secret_value())
        return value

    def database_config(self) -> DatabaseConfig:
        """Return the configuration of the database pool."""
        return DatabaseConfig(
            dsn=self.database_url.get_secret_value(),
            pool_size=self.db_pool_size,
            connect_timeout=self.db_connect_timeout_seconds,
            statement_timeout=self.db_statement_timeout_seconds,
            lock_timeout=self.db_lock_timeout_seconds,
        )
