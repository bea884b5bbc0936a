"""E-mail, sent through the mail server in SMTP_URL."""

import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Annotated, Final, Self

from pydantic import AfterValidator, SecretStr, model_validator

from tocsin.channels.channel import Channel, ChannelSettings, Transports
from tocsin.channels.message import Message, Outcome, one_line
from tocsin.channels.smtp_url import SMTPServer, parse_smtp_url
from tocsin.contracts.contact_types import Email, mail_address

MAX_SUBJECT: Final = 200
GREY: Final = "color:#5a6169"
PAGE: Final = "margin:0;padding:24px;font:16px/1.5 system-ui,sans-serif;color:#1c1f23;background:#ffffff"
BUTTON: Final = (
    "display:inline-block;padding:10px 18px;border-radius:6px;background:#b3261e;color:#ffffff;"
    "text-decoration:none;font-weight:600"
)


def checked_smtp_url(url: SecretStr) -> SecretStr:
    """Validate the URL of a mail server. The error does not contain it, because it may contain a password."""
    parse_smtp_url(url.get_secret_value())
    return url


class EmailSettings(ChannelSettings):
    """The mail server and the sender."""

    smtp_url: Annotated[SecretStr, AfterValidator(checked_smtp_url)] | None = None
    """The mail server, such as smtp://user:password@mail.example.com:587 or smtps://…:465; without it, e-mail fails."""
    smtp_from: Email | None = None
    """The sender's address; by default the user in SMTP_URL."""

    @model_validator(mode="after")
    def check_sender(self) -> Self:
        """Require a sender if a mail server is set."""
        if self.smtp_url is not None and self.sender() is None:
            msg = "SMTP_FROM is not set, and SMTP_URL contains no e-mail address"
            raise ValueError(msg)
        return self

    def smtp_server(self) -> SMTPServer | None:
        """Return the mail server, if one is set."""
        return None if self.smtp_url is None else parse_smtp_url(self.smtp_url.get_secret_value())

    def sender(self) -> str | None:
        """Return the sender's address, if one is set."""
        server = self.smtp_server()
        user = server.username if server is not None else None
        return self.smtp_from or (user if user and "@" in user else None)


class EmailChannel(Channel[EmailSettings]):
    """Sends mail through one server, which is then responsible for its delivery."""

    name = "email"
    label = "E-mail"
    label_in_text = "e-mail"
    address_help = "an e-mail address"
    address_example = "priya@example.org"
    set_up = "set SMTP_URL, such as smtp://user:password@mail.example.com:587, and SMTP_FROM"
    settings_type = EmailSettings

    def check_address(self, address: str) -> None:
        """Reject an address that mail servers reject, or that would inject a header."""
        mail_address(address)

    def is_set_up(self, settings: EmailSettings) -> bool:
        """Return whether a mail server is set; `check_sender` then guarantees a sender."""
        return settings.smtp_url is not None

    def render(self, message: Message, settings: EmailSettings) -> EmailMessage:
        """Return text and HTML, with the headers by which mail clients thread an incident.

        All mail of one incident replies to one message that was never sent (RFC 5322, section 3.6.4). Auto-Submitted
        suppresses out-of-office replies (RFC 3834, section 5).
        """
        sender = settings.sender() or ""
        domain = sender.rpartition("@")[2]
        mail = EmailMessage(policy=SMTP)
        mail["From"] = Address("Tocsin", *_parts(sender))
        mail["To"] = Address("", *_parts(message.address))
        mail["Subject"] = subject_of(message)
        mail["Message-ID"] = f"<{message.delivery_id}@{domain}>"
        if len(message.digest) <= 1:
            thread = f"<incident-{message.incident_id}@{domain}>"
            mail["In-Reply-To"] = thread
            mail["References"] = thread
        mail["Auto-Submitted"] = "auto-generated"
        text, html = _text(message), _html(message)
        mail.set_content(text)
        mail.add_alternative(html, subtype="html")
        # Random by default, but a retry must send the same bytes. A text cannot contain its own hash.
        mail.set_boundary(hashlib.sha256(f"{text}\0{html}".encode(errors="replace")).hexdigest())
        return mail

    async def send(self, message: Message, settings: EmailSettings, transports: Transports) -> Outcome:
        """Send the message in one SMTP session."""
        server, sender = settings.smtp_server(), settings.sender()
        if server is None or sender is None:
            return Outcome.failed(f"e-mail is not set up: {self.set_up}")
        return await transports.mail.send(
            server, self.render(message, settings), sender=sender, recipient=message.address
        )


def subject_of(message: Message) -> str:
    """Return the subject. It is the same for all pages of an incident: some mail clients thread by it alone."""
    if message.page is None:
        return one_line(message.text, MAX_SUBJECT)
    if len(message.digest) > 1:
        return f"{len(message.digest)} incidents are unacknowledged"
    incident = message.page.incident
    return one_line(f"#{incident.number} {incident.severity}: {incident.title}", MAX_SUBJECT)


def _parts(address: str) -> tuple[str, str]:
    user, _, domain = address.rpartition("@")
    return user, domain


def _heading(message: Message) -> str:
    """Return the heading, or an empty string if the text names the incident itself."""
    if message.page is None or len(message.digest) > 1 or message.page.incident.title in message.text:
        return ""
    incident = message.page.incident
    return f"#{incident.number} {incident.title}: {incident.severity} in {incident.service}"


def _details(message: Message) -> dict[str, str]:
    page = None if len(message.digest) > 1 else message.page
    about = {} if page is None else {"Opened": f"{page.incident.created_at:%Y-%m-%d %H:%M} UTC", "Reason": page.reason}
    return {**about, "Delivery": str(message.delivery_id)}


def _link_text(message: Message) -> str:
    return "Open the newest incident" if len(message.digest) > 1 else "Open the incident"


def _text(message: Message) -> str:
    link = f"{_link_text(message)}: {message.incident_url}" if message.incident_url else ""
    details = "\n".join(f"{name + ':':9} {value}" for name, value in _details(message).items())
    return "\n\n".join(part for part in (_heading(message), message.text, link, details) if part) + "\n"


def _html(message: Message) -> str:
    heading, url = _heading(message), message.incident_url
    rows = [
        f'<tr><td style="padding:2px 16px 2px 0">{name}</td><td style="padding:2px 0">{escape(value)}</td></tr>'
        for name, value in _details(message).items()
    ]
    parts = [
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Tocsin</title></head>',
        f'<body style="{PAGE}">',
        f'<h1 style="margin:0 0 16px;font-size:22px;line-height:1.3">{escape(heading)}</h1>' if heading else "",
        f'<p style="margin:0 0 16px;white-space:pre-wrap">{escape(message.text)}</p>',
        f'<p style="margin:0 0 24px"><a href="{escape(url)}" style="{BUTTON}">{_link_text(message)}</a></p>'
        if url
        else "",
        f'<table role="presentation" style="border-collapse:collapse;font-size:14px;{GREY}">',
        *rows,
        "</table>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


CHANNEL = EmailChannel()
