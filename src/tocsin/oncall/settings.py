"""Settings of oncall-service."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from tocsin.channels import CHANNELS
from tocsin.contracts.model import Line
from tocsin.contracts.oncall import Contact
from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import HTTPURL, Seconds


def parse_contact(text: str) -> Contact:
    """Parse `channel:address`. Raise ValueError if it is malformed or the address is not valid for the channel."""
    channel, colon, address = text.partition(":")
    if not colon or channel not in CHANNELS:
        msg = f"not channel:address with a channel of {', '.join(CHANNELS.names)}, such as email:noc@example.com"
        raise ValueError(msg)
    CHANNELS[channel].check_address(address)
    return Contact(channel=channel, address=address)


def check_contact(text: str) -> str:
    """Return *text* if it is a contact. Raise ValueError otherwise."""
    parse_contact(text)
    return text


class Settings(ServiceSettings):
    """Read from the environment, once, at start-up."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8003
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """The base URL of incident-management."""
    notification_service_url: HTTPURL = "http://127.0.0.1:8004"
    """The base URL of notification-service."""
    escalation_timeout_minutes: Annotated[float, Field(gt=0, le=10_080)] = 5.0
    """How long people have to acknowledge before the next level is paged; fractions are allowed."""
    default_team: Line = "default"
    """The team that is paged for services without an owner; if it does not exist, the oldest team."""
    catch_all_contact: Annotated[str, AfterValidator(check_contact)] = "mock:nobody-on-call"
    """The contact, as channel:address, that is paged if nobody is on call or no page can be delivered."""
    email_enabled: bool = False
    """Whether notification-service can send e-mail: members without contacts are then paged by it, otherwise on the
    console."""
    smtp_url: SecretStr | None = None
    """If set, EMAIL_ENABLED counts as true: for services that share one environment."""
    due_batch_size: Annotated[int, Field(ge=1, le=1_000)] = 100
    """The maximum number of due escalations per transaction."""
    gauge_seconds: Seconds = 10.0
    """How often the gauges are read from the database."""
    rollup_seconds: Seconds = 5.0
    """How often changed escalations are rolled up into the pager load per day."""
    rollup_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """The maximum number of incidents per roll-up."""

    @property
    def timeout_seconds(self) -> float:
        """Time to acknowledge, in seconds."""
        return self.escalation_timeout_minutes * 60

    @property
    def pages_by_email(self) -> bool:
        """Whether members without contacts are paged by e-mail."""
        return self.email_enabled or self.smtp_url is not None

    @property
    def catch_all(self) -> Contact:
        """The catch-all contact."""
        return parse_contact(self.catch_all_contact)
