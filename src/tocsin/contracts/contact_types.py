"""The name of a channel and an address on it.

Both are bounded strings. `tocsin.channels` defines the channels and the format of their addresses; a service that
accepts a contact checks it there.

An address is masked in a response to a reader who may not see it. The response passes its `Reader` to pydantic as the
context of the serialisation; what is stored, or sent to another service, has none, and is complete.
"""

import re
from typing import Annotated, Any, Final, Protocol

from pydantic import (
    AfterValidator,
    PlainSerializer,
    SerializationInfo,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from typing_extensions import TypeAliasType

from tocsin.contracts.model import Text

MASK: Final = "…"
"""Replaces what is masked of an address."""
SITE: Final = re.compile(r"(https?://)(?:[^/?#]*@)?([^/?#@]*)", re.IGNORECASE)
"""The scheme and the host of a URL: many services put a secret into the rest."""
MAIL_ADDRESS: Final = re.compile(r"(?<![\w.+'=-])[\w.+'=-]++@[\w-]++(?:\.[\w-]++)++")
"""E-mail addresses in a sentence, found in linear time."""
IS_MASKED: Final = "It is masked, because you may not see this address: send the whole address."
MAX_EMAIL: Final = 254
MAX_ADDRESS: Final = 2_048


class Reader(Protocol):
    """Whom a response is for."""

    def sees(self, address: str) -> bool:
        """Return whether the reader may see *address*."""
        ...


def masked(address: str) -> str:
    """Return *address* as others see it: `a…@example.org`, `https://chat.example.org/…`, `p…`."""
    if site := SITE.match(address):
        return f"{site[1]}{site[2]}/{MASK}"
    user, at, domain = address.rpartition("@")
    return (user or domain)[:1].rstrip(MASK) + MASK + (at + domain if user else "")


def is_masked(address: str) -> bool:
    """Return whether *address* is what `masked` returns."""
    return address == masked(address)


def masked_in(text: str, address: str) -> str:
    """Return *text* with each occurrence of *address* masked, whatever the case of its letters.

    A word, which only the console accepts, is no address that reaches somebody, and may be any word of the text.
    """
    if not address or address.isalpha():
        return text
    return re.sub(rf"(?<!\w){re.escape(address)}(?!\w)", lambda _: masked(address), text, flags=re.IGNORECASE)


def shown_address(address: str, info: SerializationInfo) -> str:
    """Return *address*, masked if the response's reader may not see it."""
    reader: Reader | None = info.context
    return address if reader is None or reader.sees(address) else masked(address)


def shown_text(text: str, info: SerializationInfo) -> str:
    """Return *text*, with the e-mail addresses masked that the response's reader may not see."""
    reader: Reader | None = info.context
    if reader is None:
        return text
    return MAIL_ADDRESS.sub(lambda found: found[0] if reader.sees(found[0]) else masked(found[0]), text)


def not_masked(address: str, info: ValidationInfo) -> str:
    """Return *address*. Raise ValueError if a request has it from a response in which it was masked."""
    if info.context and is_masked(address):
        raise ValueError(IS_MASKED)
    return address


def mail_address(text: str) -> str:
    """Return *text* if it can be an e-mail address and cannot break a header. Raise ValueError otherwise."""
    if not text.isprintable() or not re.fullmatch(r"[^@\s<>\"(),:;\\\[\]]+@[^@\s<>\"(),:;\\\[\]]+", text):
        msg = "not an e-mail address"
        raise ValueError(msg)
    return text


def _shown_as(**schema: Any) -> tuple[PlainSerializer, WithJsonSchema]:
    return (
        PlainSerializer(shown_address, return_type=str, when_used="json"),
        WithJsonSchema({"type": "string", **schema}, mode="serialization"),
    )


ShownAddress = Annotated[str, *_shown_as()]
"""An address of any channel in a response."""
Reported = Annotated[str, PlainSerializer(shown_text, return_type=str, when_used="json")]
"""A provider's words, which may contain the address."""
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=MAX_EMAIL),
    AfterValidator(mail_address),
    AfterValidator(not_masked),
    *_shown_as(maxLength=MAX_EMAIL),
]
Recipient = Annotated[
    Text,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_ADDRESS, pattern=r"^[^\r\n]+$"),
    *_shown_as(minLength=1, maxLength=MAX_ADDRESS),
]
"""The address of one message, which on-call has checked: a page is not refused because of it."""
Address = Annotated[Recipient, AfterValidator(not_masked)]
ChannelName = TypeAliasType("ChannelName", Annotated[Text, StringConstraints(max_length=64)])
"""The name of a channel, such as `email`."""
