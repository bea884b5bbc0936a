"""The registry of channels: their names, labels, settings, and the validation of contacts."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Self, TypeVar

from pydantic import create_model

from tocsin.channels.channel import Channel, ChannelSettings
from tocsin.kernel.errors import FieldError
from tocsin.kernel.settings import ProcessSettings

T = TypeVar("T", bound=ProcessSettings)


class UnknownChannelError(ValueError):
    """No channel has this name."""


class Registry:
    """Channels by name, in display order."""

    def __init__(self, *channels: Channel[Any]) -> None:
        self._channels = {channel.name: channel for channel in channels}

    @classmethod
    def load(cls, *modules: str) -> Self:
        """Return the channels that *modules* of this package define as `CHANNEL`."""
        return cls(*(import_module(f"tocsin.channels.{module}").CHANNEL for module in modules))

    def __iter__(self) -> Iterator[Channel[Any]]:
        return iter(self._channels.values())

    def __contains__(self, name: object) -> bool:
        return name in self._channels

    def __getitem__(self, name: str) -> Channel[Any]:
        """Return the channel *name*. Raise UnknownChannelError, which lists the names that exist."""
        try:
            return self._channels[name]
        except KeyError:
            names = [f"'{known}'" for known in self._channels]
            msg = f"Input should be {', '.join(names[:-1])} or {names[-1]}"
            raise UnknownChannelError(msg) from None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all channels."""
        return tuple(self._channels)

    @property
    def labels(self) -> dict[str, str]:
        """The labels by name, for a select field."""
        return {channel.name: channel.label for channel in self}

    def label(self, name: str) -> str:
        """Return a channel's label, or its name if this release does not have the channel."""
        return self[name].label if name in self else name

    def label_in_text(self, name: str) -> str:
        """Return a channel's label for use within a sentence, or its name if this release does not have the channel."""
        return self[name].label_in_text if name in self else name

    def shown_address(self, address: str) -> str:
        """Return *address* with the secret parts of every channel masked."""
        for channel in self:
            address = channel.shown_address(address)
        return address

    def contact_errors(self, name: str, address: str, *, pointer: str = "#") -> list[FieldError]:
        """Return the validation errors of channel *name* and *address*, both members of the object at *pointer*."""
        try:
            channel = self[name]
        except UnknownChannelError as exc:
            return [{"pointer": f"{pointer}/channel", "detail": str(exc)}]
        try:
            channel.check_address(address)
        except ValueError as exc:
            return [{"pointer": pointer, "detail": str(exc)}]
        return []

    def name_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a registered channel's name."""
        return {"description": "How a person is reached.", "enum": list(self.names), "type": "string"}

    def with_settings(self, settings: type[T]) -> type[T]:
        """Add the settings of every channel to the class *settings*; a class decorator."""
        own = [channel.settings_type for channel in self if channel.settings_type is not ChannelSettings]
        return create_model(
            settings.__name__,
            __base__=(settings, *dict.fromkeys(own)),
            __module__=settings.__module__,
            __doc__=settings.__doc__,
        )
