"""Settings of notification-service."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from tocsin.channels import CHANNELS
from tocsin.channels.transports.ssrf import Network, never_allowed
from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import HTTPURL, RetentionDays, Seconds


def networks(value: Any) -> Any:
    """Parse comma-separated networks. Raise ValueError for a network that can never be allowed."""
    if not isinstance(value, str):
        return value
    found = tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
    for network in found:
        if never_allowed(network):
            msg = f"{network} cannot be allowed: loopback, link-local and multicast addresses are always blocked"
            raise ValueError(msg)
    return found


def existing_file(path: Path) -> Path:
    """Raise ValueError if the file does not exist."""
    if not path.is_file():
        msg = f"the file {path} does not exist"
        raise ValueError(msg)
    return path


@CHANNELS.with_settings
class Settings(ServiceSettings):
    """Read from the environment, once, at start-up, with the settings of every channel."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8004
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """The base URL of incident-management."""
    oncall_service_url: HTTPURL = "http://127.0.0.1:8003"
    """The base URL of oncall-service."""
    webhook_allowed_networks: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(networks)] = ()
    """Private networks that webhooks may reach, such as 10.1.0.0/16,192.168.7.0/24; never loopback or link-local."""
    ca_bundle: Annotated[Path, AfterValidator(existing_file)] | None = None
    """A PEM file of certificate authorities that e-mail and webhooks trust in addition to the system's."""
    send_timeout_seconds: Seconds = 10.0
    """How long one attempt to send may take; at most 80 % of a lease."""
    sends_per_receiver: Annotated[int, Field(ge=1, le=100)] = 8
    """How many messages one process sends concurrently over one channel; for webhooks, to one host and port."""
    send_retry_max_seconds: Seconds = 30.0
    """The longest back-off between attempts to send; providers count attempts, and may block a sender of too many."""
    give_up_tries: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Attempts after which a message fails."""
    give_up_seconds: Seconds = 300.0
    """How long a message is retried, counted from its first attempt; then it fails."""
    notification_retention_days: RetentionDays = 400
    """How many days messages and their attempts are kept; 0 keeps them for ever."""
    incident_state_timeout_seconds: Seconds = 0.5
    """How long to wait for the states of incidents before pages are sent without checking for an acknowledgement."""
