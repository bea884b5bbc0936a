"""Settings of the web service, read from its environment."""

from typing import Annotated

from aiohttp import web
from pydantic import Field, SecretStr, field_validator

from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import HTTPURL, MaxStreams, Seconds


class Settings(ServiceSettings):
    """The web service's own settings."""

    database_url: SecretStr = SecretStr("")
    """A libpq connection string, such as postgresql://user:password@host/name, of the database with the accounts. Only
    needed if ACCESS is `closed`."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """The port to listen on; 0 selects a free one."""
    alert_ingestion_url: HTTPURL = "http://127.0.0.1:8001"
    """Base URL of alert-ingestion."""
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """Base URL of incident-management."""
    oncall_service_url: HTTPURL = "http://127.0.0.1:8003"
    """Base URL of oncall-service."""
    notification_service_url: HTTPURL = "http://127.0.0.1:8004"
    """Base URL of notification-service."""
    part_seconds: Seconds = 1.5
    """How long a page waits for each service; one that does not respond in time is shown as unavailable."""
    session_idle_days: Annotated[int, Field(ge=1, le=365)] = 7
    """How many days a log-in lasts without a request."""
    session_days: Annotated[int, Field(ge=1, le=365)] = 30
    """How many days a log-in lasts at most."""
    link_hours: Annotated[int, Field(ge=1, le=8_760)] = 72
    """How many hours a link to choose a password is valid."""
    login_failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 10
    """How many log-ins to an account may fail in a minute; further ones are refused until it has passed."""
    address_failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 30
    """How many log-ins from an address may fail in a minute; further ones are refused until it has passed. The
    addresses of an IPv6 network (/64) count as one."""
    max_streams: MaxStreams = 300
    """The maximum number of clients that follow the event stream of a process; a further one gets 503."""
    gateway_connect_seconds: Seconds = 2.0
    """How long connecting to a service may take."""
    gateway_response_seconds: Seconds = 8.0
    """How long a service may take to start its response once it has the request; after that, the client gets 503."""
    gateway_silence_seconds: Seconds = 30.0
    """How long a forwarded response may send no data. The event stream sends a line at least every 15 seconds."""
    gateway_write_seconds: Seconds = 10.0
    """How long a client may stop reading a forwarded response before its connection is closed."""

    @field_validator("database_url")
    @classmethod
    def check_database_url(cls, value: SecretStr) -> SecretStr:
        """Raise ValueError for a database address that `check_dsn` refuses; an empty one is allowed here."""
        return ServiceSettings.check_database_url(value) if value.get_secret_value() else value


SETTINGS = web.AppKey("SETTINGS", Settings)
