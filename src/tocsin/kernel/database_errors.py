"""The driver's errors as those of `kernel.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg2
import structlog

from tocsin.kernel.errors import (
    DatabaseUnavailableError,
    DataRefusedError,
    LockTimeoutError,
    StatementTimeoutError,
    TransactionConflictError,
)

log = structlog.get_logger(__name__)
TOO_LONG: Final = "The database took too long; try again in a moment."
DATA_ERRORS: Final = frozenset({"22", "23", "54"})
"""SQLSTATE classes: data exceptions, integrity constraint violations, program limits exceeded."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate the driver's errors into those of `kernel.errors`, except for errors that only a bug can cause."""
    try:
        yield
    except psycopg2.errors.LockNotAvailable as exc:
        raise LockTimeoutError(TOO_LONG) from exc
    except psycopg2.errors.QueryCanceled as exc:
        raise StatementTimeoutError(TOO_LONG) from exc
    except (psycopg2.errors.DeadlockDetected, psycopg2.errors.SerializationFailure) as exc:
        msg = "Another transaction changed the same rows; try again."
        raise TransactionConflictError(msg) from exc
    except psycopg2.errors.ReadOnlySqlTransaction as exc:
        msg = "The database is read-only at the moment; try again in a moment."
        raise DatabaseUnavailableError(msg) from exc
    except psycopg2.errors.DiskFull as exc:
        msg = "The database's disk is full: it is read-only until there is space; try again in a moment."
        log.warning("the database's disk is full", reason=str(exc).strip())
        raise DatabaseUnavailableError(msg) from exc
    except psycopg2.Error as exc:
        if (exc.pgcode or "")[:2] in DATA_ERRORS:
            raise DataRefusedError(str(exc).strip()) from exc
        if not isinstance(exc, psycopg2.OperationalError | psycopg2.InterfaceError):
            raise
        msg = "The database connection was lost; try again in a moment."
        raise DatabaseUnavailableError(msg) from exc
