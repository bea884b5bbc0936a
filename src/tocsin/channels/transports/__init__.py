"""The clients that channels send with: HTTP, SMTP, console. Only notification-service may import this package."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tocsin.channels.channel import Transports
from tocsin.channels.transports.http import open_http
from tocsin.channels.transports.smtp import SMTPTransport
from tocsin.channels.transports.ssrf import Network
from tocsin.channels.transports.terminal import StandardError
from tocsin.channels.transports.tls import tls_context


@asynccontextmanager
async def open_transports(*, allowed_networks: Sequence[Network], ca_bundle: Path | None) -> AsyncIterator[Transports]:
    """Yield the transports. HTTP reaches public addresses and *allowed_networks*; *ca_bundle* adds trusted CAs."""
    tls = tls_context(ca_bundle)
    async with open_http(allowed_networks, tls) as http:
        yield Transports(http=http, mail=SMTPTransport(tls), terminal=StandardError())
