"""E-mail, by a conversation with the mail server that SMTP_URL names: a new one for each message."""

import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from tocsin.kernel import clock
from tocsin.notifications.channels.mail import compose
from tocsin.notifications.channels.smtp_url import SMTPServer, StartTLS
from tocsin.notifications.domain import Message, Outcome

NOT_SET_UP: Final = (
    "e-mail is not set up: set SMTP_URL, such as smtp://user:password@mail.example.com:587, and SMTP_FROM"
)
PERMANENT: Final = range(500, 600)
TAKEN: Final = 250
FAREWELL_SECONDS: Final = 1.0


class NoEmailChannel:
    """Stands in where there is no mail server, and says so."""

    async def send(self, _message: Message) -> Outcome:
        """Fail, with what to do about it."""
        return Outcome.failed(NOT_SET_UP)


class NoEncryptionError(Exception):
    """The server offers no encryption, and it was asked for, or there is a password to send."""


class EmailChannel:
    """Hands messages to one mail server. Whether they reach the mailbox is the server's business from then on."""

    def __init__(self, server: SMTPServer, *, sender: str, tls: ssl.SSLContext, public_url: str | None) -> None:
        self._server = server
        self._sender = sender
        self._tls = tls
        self._public_url = public_url

    async def send(self, message: Message) -> Outcome:
        """Hold one conversation. What the server refuses for good (5xx) is final, all else may pass."""
        mail = compose(message, sender=self._sender, public_url=self._public_url, now=clock.now())
        try:
            answer = await self._converse(mail, message.address)
        except (SMTPException, OSError, NoEncryptionError) as exc:
            return _failure(exc)
        return Outcome.sent(answer, TAKEN)

    async def _converse(self, mail: EmailMessage, recipient: str) -> str:
        client = SMTP(
            hostname=self._server.host,
            port=self._server.port,
            # Its own default asks the name server for this machine's full name.
            local_hostname=socket.gethostname(),
            use_tls=self._server.implicit_tls,
            start_tls=False,
            tls_context=self._tls,
            timeout=None,
        )
        try:
            await client.connect()
            await self._encrypt(client)
            if self._server.username is not None:
                await client.login(self._server.username, self._server.password or "")
            _, answer = await client.send_message(mail, sender=self._sender, recipients=[recipient])
            # The server has the message: a quarrel at the farewell must not send it again.
            with suppress(SMTPException, OSError):
                await client.quit(timeout=FAREWELL_SECONDS)
        finally:
            client.close()
        return answer

    async def _encrypt(self, client: SMTP) -> None:
        if self._server.implicit_tls or self._server.starttls is StartTLS.OFF:
            return
        await client.ehlo()
        if client.supports_extension("starttls"):
            await client.starttls()
        elif self._server.starttls is StartTLS.REQUIRED or self._server.username is not None:
            msg = "the mail server offers no STARTTLS, and mail or password must not go out in the clear; see SMTP_URL"
            raise NoEncryptionError(msg)


def _failure(exc: SMTPException | OSError | NoEncryptionError) -> Outcome:
    refusal = exc.recipients[0] if isinstance(exc, SMTPRecipientsRefused) else exc
    if isinstance(refusal, SMTPResponseException):
        text = f"SMTP {refusal.code}: {refusal.message}"
        final = refusal.code in PERMANENT
        return Outcome.failed(text, refusal.code) if final else Outcome.retry(text, refusal.code)
    # A certificate is not replaced, nor an extension installed, within the minutes that a page may take.
    cause = exc.__cause__ or exc
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Outcome.failed(f"the certificate is refused: {cause}")
    text = str(exc) or type(exc).__name__
    return Outcome.failed(text) if isinstance(exc, NoEncryptionError | SMTPNotSupported) else Outcome.retry(text)
