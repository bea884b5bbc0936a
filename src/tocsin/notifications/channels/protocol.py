"""What every channel does."""

from typing import Protocol

from tocsin.notifications.domain import Message, Outcome


class Channel(Protocol):
    """A way to reach a person. It knows what is worth another try; when that comes is not its business."""

    async def send(self, message: Message) -> Outcome:
        """Try once, for as long as the caller allows. What the provider or the network does wrong is an outcome."""
        ...
