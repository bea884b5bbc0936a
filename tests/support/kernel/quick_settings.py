"""Settings whose time-outs are tenths of a second."""

from typing import Any

from tocsin.kernel.service_settings import ServiceSettings

QUICK = {
    "db_pool_size": 4,
    "db_connect_timeout_seconds": 1.0,
    "db_statement_timeout_seconds": 1.0,
    "db_lock_timeout_seconds": 0.5,
    "lease_seconds": 2.0,
    "poll_seconds": 0.2,
    "retry_min_seconds": 0.02,
    "retry_max_seconds": 0.1,
}


def quick_settings(dsn: str, **given: Any) -> ServiceSettings:
    """Return settings whose time-outs are tenths of a second."""
    return ServiceSettings.model_validate({"database_url": dsn, **QUICK, **given})
