"""The interface of a channel. Everything that is specific to one channel is in its own module."""

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
"""Replaces the secret part of an address."""
URL_SECRETS: Final = re.compile(r"^https?://(?:([^/?#]*)@)?[^/?#@]*(?:[/?#]+(.+))?$", re.IGNORECASE | re.DOTALL)
"""A `secret_in_address` for channels whose addresses are URLs: many services put a token into the path or the query, so
that only the scheme and the host are shown."""


class ChannelSettings(ProcessSettings):
    """Settings of one channel. notification-service loads those of all channels with its own."""


class NotSentError(Exception):
    """The request failed before a response arrived."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome: Final = outcome


@dataclass(frozen=True, slots=True)
class HTTPResponse:
    """A response whose body was read up to a limit."""

    status: int
    headers: Mapping[str, str]
    text: str


class HTTPTransport(Protocol):
    """Sends HTTP requests to user-supplied URLs."""

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> HTTPResponse:
        """POST once, follow no redirect. Raise NotSentError."""
        ...


class MailTransport(Protocol):
    """Sends mail over SMTP."""

    async def send(self, server: SMTPServer, mail: EmailMessage, *, sender: str, recipient: str) -> Outcome:
        """Send *mail* through *server*, over a new connection."""
        ...


class Terminal(Protocol):
    """The console of notification-service."""

    def write(self, line: str, **fields: object) -> None:
        """Print *line*, and log *fields*."""
        ...


@dataclass(frozen=True, slots=True)
class Transports:
    """The clients that channels send with. Only notification-service creates them, so no other service can send."""

    http: HTTPTransport
    mail: MailTransport
    terminal: Terminal


S = TypeVar("S", bound=ChannelSettings)


class Channel(ABC, Generic[S]):
    """A way to reach a person."""

    name: ClassVar[str]
    """Its name in the API and the database; never changes."""
    label: ClassVar[str]
    """Its display name."""
    label_in_text: ClassVar[str]
    """Its display name within a sentence."""
    address_help: ClassVar[str]
    """Describes its addresses, such as "an e-mail address"."""
    address_example: ClassVar[str]
    set_up: ClassVar[str]
    """What an operator must configure before it can deliver, as an imperative clause."""
    secret_in_address: ClassVar[re.Pattern[str] | None] = None
    """Its groups match the secret parts of an address; None if no part is secret."""
    sends_at_once: ClassVar[int | None] = None
    """How many messages of one `rate_limit_key` a process sends concurrently; None for SENDS_PER_RECEIVER."""
    settings_type: type[S]

    @abstractmethod
    def check_address(self, address: str) -> None:
        """Raise ValueError, with a description of valid addresses, if *address* is invalid."""

    def is_set_up(self, _settings: S) -> bool:
        """Return whether *settings* are complete, so that it can send."""
        return True

    def rate_limit_key(self, _address: str) -> str:
        """Return the key that `sends_at_once` applies to: the name, or the name, a space and part of the address."""
        return self.name

    def shown_address(self, address: str) -> str:
        """Return *address* with its secret parts masked."""
        found = self.secret_in_address.search(address) if self.secret_in_address else None
        if found is None:
            return address
        for group in range(found.re.groups, 0, -1):  # from the last one, so that the positions stay right
            if found[group]:
                address = address[: found.start(group)] + HIDDEN + address[found.end(group) :]
        return address

    @abstractmethod
    def render(self, message: Message, settings: S) -> Any:
        """Return *message* in the channel's format. Pure: equal arguments give an equal result."""

    @abstractmethod
    async def send(self, message: Message, settings: S, transports: Transports) -> Outcome:
        """Attempt to send once. A failure of the provider or network is an outcome; the caller sets the time-out."""
