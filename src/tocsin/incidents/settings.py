"""What incident management reads from its environment."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from tocsin.kernel.settings import HTTPURL, Seconds, ServiceSettings


class Settings(ServiceSettings):
    """Settings of incident-management."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8002
    """0 takes any free port."""
    oncall_service_url: HTTPURL = "http://127.0.0.1:8003"
    """Where oncall-service is reached."""
    correlation_window_minutes: Annotated[float, Field(gt=0, le=10_080)] = 5.0
    """For how long after its creation an incident takes new alerts of its service and severity."""
    correlate_lock_seconds: Seconds = 0.25
    """How long correlating waits for what another transaction holds; then what is held is left out, and told later."""
    auto_resolve: bool = True
    """Whether an incident resolves itself once every one of its alerts was resolved by its sender."""
    assign_seconds: Annotated[float, Field(ge=0, le=10)] = 1.0
    """How long opening an incident by hand waits to hear who is on call."""
    gauge_seconds: Seconds = 10.0
    """How often the numbers of incidents are counted."""
    reconcile_seconds: Seconds = 10.0
    """How often incidents that nobody is paged for are looked for, and how old they must be to be one."""
    rollup_seconds: Seconds = 5.0
    """How often changed incidents are added up for the figures over days and weeks."""
    rollup_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """How many days of services are added up at once."""
    stream_poll_seconds: Seconds = 2.0
    """How often the stream looks by itself, should a wake-up have been missed."""
    stream_send_seconds: Seconds = 10.0
    """A client of the stream that takes nothing for so long is cut."""
    stream_ping_seconds: Seconds = 15.0
    """How often a comment shows that the stream is alive."""
    stream_buffer: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    """Events kept in memory for all clients; one that is further behind is served from the database."""


SETTINGS = web.AppKey("SETTINGS", Settings)
