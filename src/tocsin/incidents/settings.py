"""The settings of incident management."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import HTTPURL, MaxStreams, RetentionDays, Seconds


class Settings(ServiceSettings):
    """Settings of incident-management."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8002
    """The port to listen on; 0 selects a free one."""
    oncall_service_url: HTTPURL = "http://127.0.0.1:8003"
    """The base URL of oncall-service."""
    correlation_window_minutes: Annotated[float, Field(gt=0, le=10_080)] = 5.0
    """For how long after its creation an incident accepts new alerts of its service and severity."""
    correlate_lock_seconds: Seconds = 0.25
    """How long correlation waits for a lock; after that, the alerts that need it are left out and retried later."""
    correlate_concurrency: Annotated[int, Field(ge=1, le=100)] = 4
    """The maximum number of batches of alerts that are correlated at a time: the other database connections, at least
    two, stay free for people and for paging. Further batches wait a second, and then get 503."""
    auto_resolve: bool = True
    """Whether an incident is resolved automatically once the senders have resolved all its alerts."""
    assign_seconds: Annotated[float, Field(ge=0, le=10)] = 1.0
    """How long the response to opening an incident by hand waits for on-call to assign it."""
    gauge_seconds: Seconds = 10.0
    """How often the gauges of incidents are updated."""
    reconcile_seconds: Seconds = 10.0
    """How often unacknowledged incidents are compared with the escalations that are running, and missing ones started;
    incidents younger than this are left out."""
    rollup_seconds: Seconds = 5.0
    """How often the figures over days and weeks are refreshed."""
    rollup_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """The maximum number of changed days, each of one service, per refresh."""
    max_streams: MaxStreams = 300
    """The maximum number of clients that follow the event stream of a process; a further one gets 503."""
    alert_retention_days: RetentionDays = 90
    """How many days an incident's alerts are kept at least; 0 keeps them for ever. After that an incident has the
    number of its alerts, the first and the last. Set it to the same value for alert-ingestion."""
    retention_check_seconds: Seconds = 600.0
    """How often partitions are added and expired ones are deleted."""
    stream_poll_seconds: Seconds = 2.0
    """How often the stream polls, in case a notification was missed."""
    stream_send_seconds: Seconds = 10.0
    """The time after which a client of the stream that reads nothing is disconnected."""
    stream_ping_seconds: Seconds = 15.0
    """How often the stream sends a comment as a heartbeat."""
    stream_buffer: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    """Events kept in memory for all clients; a client that is further behind is served from the database."""

    def correlate_slots(self) -> int:
        """Return how many batches of alerts may be correlated at a time."""
        return min(self.correlate_concurrency, max(1, self.db_pool_size - 2))


SETTINGS = web.AppKey("SETTINGS", Settings)
