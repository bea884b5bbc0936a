"""The mail server, parsed from one URL."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

FORM: Final = (
    "smtp://user:password@host:587 (with ?starttls=required or ?starttls=off) or smtps://user:password@host:465"
)
DEFAULT_PORTS: Final = {"smtp": 587, "smtps": 465}


class StartTLS(StrEnum):
    """Whether a connection that begins unencrypted is upgraded to TLS."""

    AUTO = "auto"
    """If the server supports it; a password is never sent unencrypted."""
    REQUIRED = "required"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SMTPServer:
    """A mail server that relays to any recipient."""

    host: str
    port: int
    implicit_tls: bool
    starttls: StartTLS
    username: str | None
    password: str | None


def parse_smtp_url(url: str) -> SMTPServer:
    """Parse an `smtp://` or `smtps://` URL. Raise ValueError, without the password, for any other text."""
    msg = f"not of the form {FORM}"
    try:
        parts = urlsplit(url)
        port = parts.port
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        starttls = StartTLS(options.pop("starttls", [StartTLS.AUTO])[-1])
    except ValueError:
        raise ValueError(msg) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or options or parts.path not in {"", "/"} or port == 0:
        raise ValueError(msg)
    return SMTPServer(
        host=parts.hostname,
        port=port or DEFAULT_PORTS[parts.scheme],
        implicit_tls=parts.scheme == "smtps",
        starttls=starttls,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )
