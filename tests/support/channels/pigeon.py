"""A made-up channel, which a test copies into the package to check that it appears everywhere."""

import json
import re
from typing import Any

from pydantic import SecretStr

from tocsin.channels.channel import Channel, ChannelSettings, NotSentError, Transports
from tocsin.channels.message import Message, Outcome, one_line

ACCEPTED = 202
UNAVAILABLE = 503


class PigeonSettings(ChannelSettings):
    """The loft."""

    pigeon_loft_url: str | None = None
    """Where pigeons start, such as https://loft.example.com."""
    pigeon_token: SecretStr | None = None
    """The key to the loft."""


class PigeonChannel(Channel[PigeonSettings]):
    """Sends a pigeon."""

    name = "pigeon"
    label = "Carrier pigeon"
    label_in_text = "carrier pigeon"
    address_help = "a ring number and its PIN"
    address_example = "DE-4711:2481"
    set_up = "set PIGEON_LOFT_URL and PIGEON_TOKEN"
    secret_in_address = re.compile(r"^[A-Z]{2}-\d+:(\d{4})$")
    sends_at_once = 1
    settings_type = PigeonSettings

    def check_address(self, address: str) -> None:
        """Refuse what is not a ring number with its PIN."""
        if not re.fullmatch(r"[A-Z]{2}-\d+:\d{4}", address):
            msg = f"not a ring number with its PIN, such as {self.address_example}"
            raise ValueError(msg)

    def is_set_up(self, settings: PigeonSettings) -> bool:
        """Return whether there is a loft."""
        return settings.pigeon_loft_url is not None

    def rate_limit_key(self, address: str) -> str:
        """Return the pigeon: it flies one message at a time."""
        return f"{self.name} {address.partition(':')[0]}"

    def render(self, message: Message, _settings: PigeonSettings) -> dict[str, Any]:
        """Return the note that the pigeon carries: forty characters."""
        ring, _, pin = message.address.partition(":")
        return {"ring": ring, "pin": pin, "note": one_line(message.text, 40), "flight": str(message.delivery_id)}

    async def send(self, message: Message, settings: PigeonSettings, transports: Transports) -> Outcome:
        """Let the pigeon start."""
        if settings.pigeon_loft_url is None:
            return Outcome.failed(f"no pigeon can start: {self.set_up}")
        body = json.dumps(self.render(message, settings)).encode()
        token = settings.pigeon_token.get_secret_value() if settings.pigeon_token else ""
        headers = {"Authorization": f"Loft {token}"}
        try:
            response = await transports.http.post(f"{settings.pigeon_loft_url}/fly", body=body, headers=headers)
        except NotSentError as exc:
            return exc.outcome
        if response.status == ACCEPTED:
            return Outcome.sent(response.text, response.status)
        return (Outcome.retry if response.status == UNAVAILABLE else Outcome.failed)(response.text, response.status)


CHANNEL = PigeonChannel()
