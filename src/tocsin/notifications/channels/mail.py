"""What an e-mail looks like: pure, but for the templates."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tocsin.notifications.domain import Message, one_line

MAX_SUBJECT: Final = 200
TEMPLATES: Final = Environment(
    loader=PackageLoader("tocsin.notifications.channels"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


def compose(message: Message, *, sender: str, public_url: str | None, now: datetime) -> EmailMessage:
    """Return the e-mail for *message*: text and HTML, and the headers by which mail programs thread an incident.

    All mail of one incident answers one message that was never sent (RFC 5322, section 3.6.4). Auto-Submitted keeps
    absence replies away (RFC 3834, section 5).
    """
    domain = sender.rpartition("@")[2]
    thread = f"<incident-{message.incident_id}@{domain}>"
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address("Tocsin", *_parts(sender))
    mail["To"] = Address("", *_parts(message.address))
    mail["Subject"] = subject_of(message)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.delivery_id}@{domain}>"
    together = len(message.digest) > 1
    if not together:
        mail["In-Reply-To"] = thread
        mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    values = {
        "subject": mail["Subject"],
        "text": message.text,
        "page": None if together else message.page,
        "opened": f"{message.page.incident.created_at:%Y-%m-%d %H:%M} UTC" if message.page is not None else "",
        "incident_url": message.incident_url(public_url),
        "link_text": "Open the newest incident" if together else "Open the incident",
        "delivery_id": message.delivery_id,
    }
    mail.set_content(TEMPLATES.get_template("page.txt").render(values))
    mail.add_alternative(TEMPLATES.get_template("page.html").render(values), subtype="html")
    return mail


def subject_of(message: Message) -> str:
    """Return a subject that stays the same for an incident's pages: some mail programs thread by it alone."""
    if message.page is None:
        return one_line(message.text, MAX_SUBJECT)
    if len(message.digest) > 1:
        return f"{len(message.digest)} incidents still wait for an answer"
    incident = message.page.incident
    return one_line(f"#{incident.number} {incident.severity}: {incident.title}", MAX_SUBJECT)


def _parts(address: str) -> tuple[str, str]:
    user, _, domain = address.rpartition("@")
    return user, domain
