"""The console: a line for people on standard error, and a line for machines in the log."""

import sys

import structlog

from tocsin.notifications.domain import Message, Outcome, one_line, shown

log = structlog.get_logger(__name__)
MAX_LINE = 400
"""Characters of the line for people."""


class MockChannel:
    """Reaches whoever watches the console: for trying things out, and until another channel is set up."""

    async def send(self, message: Message) -> Outcome:
        """Write the two lines."""
        incident = message.page.incident if message.page is not None and not message.digest else None
        about = f"#{incident.number} {incident.severity}: " if incident is not None else ""
        person = f"{message.page.person} " if message.page is not None else ""
        recipient = shown(message.address)
        line = one_line(f"{message.kind.upper()} to {person}<{recipient}>: {about}{message.text}", MAX_LINE)
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
        log.info(
            "mock delivery",
            delivery_id=str(message.delivery_id),
            incident_id=str(message.incident_id),
            kind=message.kind,
            recipient=recipient,
            text=message.text,
        )
        return Outcome.sent("written to the console")
