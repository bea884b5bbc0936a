"""Settings of notification-service."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from tocsin.contracts.contact_types import Email
from tocsin.kernel.settings import HTTPURL, Seconds, ServiceSettings
from tocsin.notifications.channels.guard import Network, never_allowed
from tocsin.notifications.channels.smtp_url import SMTPServer, parse_smtp_url


def checked_smtp_url(url: SecretStr) -> SecretStr:
    """Refuse what is no SMTP address, without showing it."""
    parse_smtp_url(url.get_secret_value())
    return url


def networks(value: Any) -> Any:
    """Read networks separated by commas. Raise ValueError for one that could never be reached."""
    if not isinstance(value, str):
        return value
    found = tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())
    for network in found:
        if never_allowed(network):
            msg = f"{network} is never reached: loopback, link-local and multicast addresses cannot be allowed"
            raise ValueError(msg)
    return found


def existing_file(path: Path) -> Path:
    """Refuse a file that is not there."""
    if not path.is_file():
        msg = f"there is no file {path}"
        raise ValueError(msg)
    return path


class Settings(ServiceSettings):
    """Read from the environment, once, at start-up."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8004
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """Where incident-management is reached."""
    oncall_service_url: HTTPURL = "http://127.0.0.1:8003"
    """Where oncall-service is reached."""
    public_url: HTTPURL | None = None
    """Where people open the web pages: messages then carry a link to their incident."""
    smtp_url: Annotated[SecretStr, AfterValidator(checked_smtp_url)] | None = None
    """The mail server, such as smtp://user:password@mail.example.com:587 or smtps://…:465; without it e-mail fails."""
    smtp_from: Email | None = None
    """The sender of e-mail; by default the user in SMTP_URL."""
    webhook_allowed_networks: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(networks)] = ()
    """Private networks that webhooks may reach, such as 10.1.0.0/16,192.168.7.0/24; loopback and link-local never."""
    ca_bundle: Annotated[Path, AfterValidator(existing_file)] | None = None
    """A PEM file of certificate authorities that e-mail and webhooks trust beside the system's."""
    send_timeout_seconds: Seconds = 10.0
    """How long a receiver may take over one message; never longer than most of a lease."""
    sends_per_receiver: Annotated[int, Field(ge=1, le=100)] = 8
    """How many messages one process sends at once over one channel, or to one host of a webhook."""
    give_up_tries: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Tries after which a message becomes a dead letter."""
    give_up_seconds: Seconds = 300.0
    """Seconds after its first try in which a message is tried again; then, too, it becomes a dead letter."""
    ask_state_seconds: Seconds = 0.5
    """How long incident management may take to say whether a page is still wanted; without an answer it goes out."""

    @model_validator(mode="after")
    def check_sender(self) -> Self:
        """Refuse a mail server without a sender."""
        if self.smtp_url is not None and self.sender() is None:
            msg = "SMTP_FROM is not set: with SMTP_URL, it says whose name e-mail is sent in"
            raise ValueError(msg)
        return self

    def smtp_server(self) -> SMTPServer | None:
        """Return the mail server, if there is one."""
        return None if self.smtp_url is None else parse_smtp_url(self.smtp_url.get_secret_value())

    def sender(self) -> str | None:
        """Return the address in whose name e-mail is sent, if there is one."""
        server = self.smtp_server()
        user = server.username if server is not None else None
        return self.smtp_from or (user if user and "@" in user else None)
