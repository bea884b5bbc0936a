"""What a channel is: one module each, with everything that Tocsin knows of it."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from tocsin.channels.message import Message, Outcome
from tocsin.channels.smtp_url import SMTPServer
from tocsin.kernel.settings import ProcessSettings

HIDDEN: Final = "***"
URL_CREDENTIALS: Final = re.compile(r"^https?://([^/?#]*)@", re.IGNORECASE)
"""A `secret_in_address` for channels whose addresses are URLs."""


class ChannelSettings(ProcessSettings):
    """Settings of one channel. notification-service reads those of all channels beside its own."""


class NotSentError(Exception):
    """The request failed before a response arrived."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.answer)
        self.outcome: Final = outcome


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """A response whose body was read up to a limit."""

    status: int
    headers: Mapping[str, str]
    text: str


class HTTPTransport(Protocol):
    """Sends HTTP requests to addresses that users typed."""

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> HTTPResponse:
        """POST once, follow no redirect. Raise NotSentError."""
        ...


class MailTransport(Protocol):
    """Speaks SMTP."""

    async def send(self, server: SMTPServer, mail: EmailMessage, *, sender: str, recipient: str) -> Outcome:
        """Hand *mail* to *server*, over a connection of its own."""
        ...


class Terminal(Protocol):
    """The console of notification-service."""

    def write(self, line: str, **facts: object) -> None:
        """Print *line*, and log *facts*."""
        ...


@dataclass(frozen=True, slots=True)
class Transports:
    """What sending takes. Only notification-service has one, so that nothing else can send."""

    http: HTTPTransport
    mail: MailTransport
    terminal: Terminal


S = TypeVar("S", bound=ChannelSettings)


class Channel(ABC, Generic[S]):
    """A way to reach a person."""

    name: ClassVar[str]
    """Its name in the API and the database; never changes."""
    label: ClassVar[str]
    """Its name as a heading."""
    label_in_text: ClassVar[str]
    """Its name within a sentence."""
    address_help: ClassVar[str]
    """What an address is, such as "an e-mail address"."""
    address_example: ClassVar[str]
    set_up: ClassVar[str]
    """What an operator has to do before it delivers, as an imperative."""
    secret_in_address: ClassVar[re.Pattern[str] | None] = None
    """Its first group is the part of an address that must never be shown; None where the whole may be shown."""
    sends_at_once: ClassVar[int | None] = None
    """Messages of one `rate_limit_key` that one process sends at once; None for SENDS_PER_RECEIVER."""
    settings_type: type[S]

    @abstractmethod
    def check_address(self, address: str) -> None:
        """Raise ValueError, saying what an address is, where *address* cannot be one."""

    def is_set_up(self, _settings: S) -> bool:
        """Return whether *settings* suffice for sending."""
        return True

    def rate_limit_key(self, _address: str) -> str:
        """Return what shares `sends_at_once`: the channel's name, or the name, a space and a part of the address."""
        return self.name

    def shown_address(self, address: str) -> str:
        """Return *address* without what is secret in it."""
        found = self.secret_in_address.search(address) if self.secret_in_address else None
        return address if found is None else address[: found.start(1)] + HIDDEN + address[found.end(1) :]

    @abstractmethod
    def render(self, message: Message, settings: S) -> Any:
        """Return what goes out for *message*. Pure: equal arguments, equal result."""

    @abstractmethod
    async def send(self, message: Message, settings: S, transports: Transports) -> Outcome:
        """Try once. A failure of the provider or the network is an outcome; the caller bounds the time."""
