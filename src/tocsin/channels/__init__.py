"""The registered channels. To add one, write a module of this package and list it below."""

from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from tocsin.channels.registry import Registry

CHANNELS: Final = Registry.load(
    "console",
    "webhook",
    "email",
)


def registered(name: str) -> str:
    """Return *name* if a channel has it. Raise UnknownChannelError otherwise."""
    return CHANNELS[name].name


RegisteredName = Annotated[str, AfterValidator(registered), WithJsonSchema(CHANNELS.name_schema())]
"""For query filters. Bodies use `ChannelName`, which `CHANNELS.contact_errors` validates together with the address."""
