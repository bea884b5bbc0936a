"""The channels over which people are reached. A new one is a module of this package and its line here."""

from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from tocsin.channels.registry import Registry

CHANNELS: Final = Registry.load(
    "console",
    "webhook",
    "email",
)


def registered(name: str) -> str:
    """Refuse what is not the name of a channel."""
    return CHANNELS[name].name


RegisteredName = Annotated[str, AfterValidator(registered), WithJsonSchema(CHANNELS.name_schema())]
"""The type of a filter; bodies carry a `ChannelName`, and `CHANNELS.contact_errors` checks it with its address."""
