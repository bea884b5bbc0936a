"""A mail server that speaks real SMTP: STARTTLS, implicit TLS, authentication and scripted refusals."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from warnings import catch_warnings, simplefilter

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """One message, and how it arrived."""

    sender: str
    recipients: list[str]
    content: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        """The parsed message."""
        parsed = message_from_bytes(self.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass(slots=True)
class MailServer:
    """Records messages. `rcpt` and `data` script the replies to the next RCPT and DATA, such as "450 later"."""

    host: str = "127.0.0.1"
    port: int = 0
    received: list[ReceivedMail] = field(default_factory=list)
    rcpt: deque[str] = field(default_factory=deque)
    data: deque[str] = field(default_factory=deque)
    silent: bool = False
    """Accepts connections, but sends nothing."""
    hangs_up: bool = False
    """Sends nothing more once it has accepted a message."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Reply to RCPT TO."""
        if self.rcpt:
            return self.rcpt.popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Accept a message."""
        if self.data:
            return self.data.popleft()
        content = envelope.content
        assert isinstance(content, bytes)
        given: Any = session.auth_data
        user = given.login.decode() if isinstance(given, LoginPassword) else None
        encrypted = server.transport is not None and server.transport.get_extra_info("sslcontext") is not None
        recipients = list(map(str, envelope.rcpt_tos))
        self.received.append(ReceivedMail(str(envelope.mail_from), recipients, content, encrypted, user))
        return "250 OK: queued as A1B2C3"

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        """Reply to QUIT, or do not."""
        if self.hangs_up:
            await asyncio.Event().wait()
        return "221 Bye"


def _log_in(_server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
    known = mechanism in {"LOGIN", "PLAIN"} and given == LoginPassword(b"tocsin", b"s3cret/word")
    return AuthResult(success=known, handled=known, auth_data=given)


@asynccontextmanager
async def open_mail_server(
    *, implicit: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, log_in: bool = False
) -> AsyncIterator[MailServer]:
    """Yield a mail server; with *log_in* it accepts mail only from user `tocsin`, password `s3cret/word`."""
    mail = MailServer()
    loop = asyncio.get_running_loop()

    def converse() -> asyncio.BaseProtocol:
        if mail.silent:
            return asyncio.Protocol()
        with catch_warnings():
            simplefilter("ignore")  # some tests send a password unencrypted
            return SMTP(
                mail,
                hostname="mail.halyard.example",
                tls_context=starttls,
                auth_required=log_in,
                auth_require_tls=starttls is not None,
                authenticator=_log_in if log_in else None,
                loop=loop,
            )

    server = await loop.create_server(converse, mail.host, 0, ssl=implicit)
    mail.port = server.sockets[0].getsockname()[1]
    try:
        yield mail
    finally:
        server.close()
