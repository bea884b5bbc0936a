"""Settings of oncall-service."""

from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field, SecretStr

from tocsin.channels import CHANNELS
from tocsin.contracts.model import Line
from tocsin.contracts.oncall import Contact
from tocsin.kernel.settings import HTTPURL, Seconds, ServiceSettings


def parse_contact(text: str) -> Contact:
    """Read `channel:address`. Raise ValueError where it is none, or the address does not fit the channel."""
    channel, colon, address = text.partition(":")
    if not colon or channel not in CHANNELS:
        msg = f"not channel:address with a channel of {', '.join(CHANNELS.names)}, such as email:noc@example.com"
        raise ValueError(msg)
    CHANNELS[channel].check_address(address)
    return Contact(channel=channel, address=address)


def checked_contact(text: str) -> str:
    """Refuse what is no contact."""
    parse_contact(text)
    return text


class Settings(ServiceSettings):
    """Read from the environment, once, at start-up."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8003
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """Where incident-management is reached."""
    notification_service_url: HTTPURL = "http://127.0.0.1:8004"
    """Where notification-service is reached."""
    escalation_timeout_minutes: Annotated[float, Field(gt=0, le=10_080)] = 5.0
    """How long a level has to answer before the next one is paged; fractions are fine."""
    default_team: Line = "default"
    """Who is paged for services that nobody owns; where there is no such team, the oldest one."""
    catch_all_contact: Annotated[str, AfterValidator(checked_contact)] = "mock:nobody-on-call"
    """Who is paged, as channel:address, when nobody is on call or nobody can be reached."""
    smtp_url: SecretStr | None = None
    """Where set, members without contacts of their own are reached by e-mail, else on the console."""
    due_batch_size: Annotated[int, Field(ge=1, le=1_000)] = 100
    """How many due escalations one transaction steps."""
    gauge_seconds: Seconds = 10.0
    """How often the gauges are read from the database."""
    rollup_seconds: Seconds = 5.0
    """How often changed escalations are added up for the figures over days."""
    rollup_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """How many incidents are added up at once."""

    @property
    def timeout_seconds(self) -> float:
        """How long a level has to answer, in seconds."""
        return self.escalation_timeout_minutes * 60

    @property
    def catch_all(self) -> Contact:
        """Who is paged when nobody is on call."""
        return parse_contact(self.catch_all_contact)


SETTINGS = web.AppKey("SETTINGS", Settings)
