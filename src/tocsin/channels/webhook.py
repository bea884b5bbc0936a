"""Webhooks: POST JSON to a user-supplied URL."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from tocsin.channels.channel import URL_SECRETS, Channel, ChannelSettings, HTTPResponse, NotSentError, Transports
from tocsin.channels.message import Message, Outcome
from tocsin.contracts.notifications import WebhookBody
from tocsin.kernel import request_id
from tocsin.kernel.retry_after import retry_seconds

SUCCESS: Final = range(200, 300)
MAX_HOST: Final = 253
"""The maximum length of a host name (RFC 1035); the rest is ignored."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class WebhookChannel(Channel[ChannelSettings]):
    """Posts a `WebhookBody`; only a status of 2xx is success."""

    name = "webhook"
    label = "Webhook"
    label_in_text = "webhook"
    address_help = "an http or https URL"
    address_example = "https://chat.example.org/hooks/priya"
    set_up = "no configuration required for public addresses; WEBHOOK_ALLOWED_NETWORKS allows private networks"
    secret_in_address = URL_SECRETS
    settings_type = ChannelSettings

    def check_address(self, address: str) -> None:
        """Require an absolute http or https URL. The host is checked when the connection is made."""
        msg = "the address of a webhook is an http or https URL"
        try:
            parts = urlsplit(address)
            usable = parts.scheme in DEFAULT_PORTS and parts.hostname and parts.port != 0
        except ValueError as exc:  # an unclosed bracket, a port over 65535
            raise ValueError(msg) from exc
        if not usable or not address.isprintable() or " " in address:
            raise ValueError(msg)

    def rate_limit_key(self, address: str) -> str:
        """Return the host and port, so that a slow receiver delays only its own messages."""
        parts = urlsplit(address)
        return f"{self.name} {(parts.hostname or '')[:MAX_HOST]}:{parts.port or DEFAULT_PORTS[parts.scheme]}"

    def render(self, message: Message, _settings: ChannelSettings) -> bytes:
        """Return the JSON to post: the same bytes for every attempt, since all share one idempotency key."""
        body = WebhookBody(
            kind=message.kind,
            delivery_id=message.delivery_id,
            incident_id=message.incident_id,
            message=message.text,
            page=message.page,
            incident_url=message.incident_url,
            created_at=message.created_at,
            digest=list(message.digest) or None,
        )
        return body.model_dump_json().encode()

    async def send(self, message: Message, settings: ChannelSettings, transports: Transports) -> Outcome:
        """POST once."""
        delivery = str(message.delivery_id)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": delivery,
            "X-Tocsin-Delivery": delivery,
            "X-Tocsin-Attempt": str(message.attempt),
            request_id.HEADER: message.request_id,
        }
        try:
            response = await transports.http.post(message.address, body=self.render(message, settings), headers=headers)
        except NotSentError as exc:
            return exc.outcome
        return _outcome(response)


def _outcome(response: HTTPResponse) -> Outcome:
    status, text = response.status, response.text
    if status in SUCCESS:
        return Outcome.sent(text, status)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.retry(f"HTTP {status}: {text}", status, retry_seconds(response.headers.get("Retry-After")))
    return Outcome.failed(f"HTTP {status}: {text}", status)


CHANNEL = WebhookChannel()
