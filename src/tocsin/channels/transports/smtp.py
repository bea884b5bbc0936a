"""SMTP: one session with a mail server for each message."""

import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from tocsin.channels.message import Outcome
from tocsin.channels.smtp_url import SMTPServer, StartTLS
from tocsin.kernel import clock

PERMANENT: Final = range(500, 600)
ACCEPTED: Final = 250
QUIT_SECONDS: Final = 1.0


class NoEncryptionError(Exception):
    """The server does not support STARTTLS, but the settings or a password require encryption."""


class SMTPTransport:
    """Sends mail through a mail server."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls

    async def send(self, server: SMTPServer, mail: EmailMessage, *, sender: str, recipient: str) -> Outcome:
        """Send in one session. 5xx responses, bad certificates and missing encryption are permanent failures."""
        mail["Date"] = format_datetime(clock.now())
        try:
            response = await self._send(server, mail, sender, recipient)
        except (SMTPException, OSError, NoEncryptionError) as exc:
            return _failure(exc)
        return Outcome.sent(response, ACCEPTED)

    async def _send(self, server: SMTPServer, mail: EmailMessage, sender: str, recipient: str) -> str:
        client = SMTP(
            hostname=server.host,
            port=server.port,
            # The library's default looks up this machine's full name in DNS.
            local_hostname=socket.gethostname(),
            use_tls=server.implicit_tls,
            start_tls=False,
            tls_context=self._tls,
            timeout=None,
        )
        try:
            await client.connect()
            await _encrypt(client, server)
            if server.username is not None:
                await client.login(server.username, server.password or "")
            _, response = await client.send_message(mail, sender=sender, recipients=[recipient])
            # The server has accepted the message: a later error must not send it again.
            with suppress(SMTPException, OSError):
                await client.quit(timeout=QUIT_SECONDS)
        finally:
            client.close()
        return response


async def _encrypt(client: SMTP, server: SMTPServer) -> None:
    if server.implicit_tls or server.starttls is StartTLS.OFF:
        return
    await client.ehlo()
    if client.supports_extension("starttls"):
        await client.starttls()
    elif server.starttls is StartTLS.REQUIRED or server.username is not None:
        msg = "the mail server does not support STARTTLS, and SMTP_URL or its password requires encryption"
        raise NoEncryptionError(msg)


def _failure(exc: SMTPException | OSError | NoEncryptionError) -> Outcome:
    refusal = exc.recipients[0] if isinstance(exc, SMTPRecipientsRefused) else exc
    if isinstance(refusal, SMTPResponseException):
        text = f"SMTP {refusal.code}: {refusal.message}"
        final = refusal.code in PERMANENT
        return Outcome.failed(text, refusal.code) if final else Outcome.retry(text, refusal.code)
    # Permanent: operators do not fix a certificate or TLS within the minutes for which a page is retried.
    cause = exc.__cause__ or exc
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Outcome.failed(f"the certificate is refused: {cause}")
    text = str(exc) or type(exc).__name__
    return Outcome.failed(text) if isinstance(exc, NoEncryptionError | SMTPNotSupported) else Outcome.retry(text)
