"""What the web service reads from its environment."""

from typing import Annotated

from pydantic import Field

from tocsin.kernel.settings import HTTPURL, ProcessSettings, Seconds

NAME = r"(\*|\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)"


class Settings(ProcessSettings):
    """The web service's own settings. It has no database."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0 takes any free port."""
    alert_ingestion_url: HTTPURL = "http://127.0.0.1:8001"
    """Where alert-ingestion is reached."""
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """Where incident-management is reached."""
    oncall_service_url: HTTPURL = "http://127.0.0.1:8003"
    """Where oncall-service is reached."""
    notification_service_url: HTTPURL = "http://127.0.0.1:8004"
    """Where notification-service is reached."""
    allowed_hosts: Annotated[str, Field(pattern=rf"^({NAME}(,{NAME})*)?$")] = ""
    """Names, with commas between, under which this server is reached besides localhost and the bind address; or `*`."""
    part_seconds: Seconds = 1.5
    """How long a page waits for each service; what has not answered by then is shown as away."""
    gateway_connect_seconds: Seconds = 2.0
    """How long connecting to a service may take."""
    gateway_silence_seconds: Seconds = 30.0
    """How long a forwarded answer may say nothing. The event stream says something every 15 seconds."""
    gateway_write_seconds: Seconds = 10.0
    """How long a client may take no byte of an answer before it is cut off."""
