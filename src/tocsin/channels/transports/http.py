"""HTTP requests to user-supplied URLs, protected against SSRF and hostile responses."""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
    hdrs,
)
from aiohttp.abc import AbstractResolver, ResolveResult

from tocsin.channels.channel import HTTPResponse, NotSentError
from tocsin.channels.message import Outcome
from tocsin.channels.transports.ssrf import Network, guarded_socket
from tocsin.kernel import build_info, tasks

MAX_READ_BYTES: Final = 65_536
READ_SECONDS: Final = 1.0
"""The time-out for a response's body; it is short, because the status alone determines the outcome."""
RESOLVER_THREADS: Final = 32


class HTTPClient:
    """An HTTP transport over one session."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> HTTPResponse:
        """POST once, follow no redirect. Raise NotSentError."""
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                return HTTPResponse(response.status, response.headers, await _read_start(response))
        except (ClientError, OSError) as exc:
            raise NotSentError(_failure(exc)) from exc


def _failure(exc: ClientError | OSError) -> Outcome:
    if isinstance(exc, InvalidURL):
        return Outcome.failed("this URL is invalid")
    if isinstance(exc, ClientConnectorCertificateError):
        return Outcome.failed(f"the certificate is refused: {exc.certificate_error}")
    if isinstance(exc, ClientConnectorError):
        error = exc.os_error
        if error.errno == errno.EACCES:
            return Outcome.failed(str(error.strerror))
        return Outcome.retry(f"cannot be reached: {error.strerror or error}")
    return Outcome.retry(f"no readable response: {str(exc) or type(exc).__name__}")


async def _read_start(response: ClientResponse) -> str:
    """Return the start of a body. A slow, incomplete or endless body does not change the outcome."""
    read = bytearray()
    try:
        async with tasks.timeout(READ_SECONDS):
            while len(read) < MAX_READ_BYTES:
                chunk = await response.content.read(MAX_READ_BYTES - len(read))
                if not chunk:
                    break
                read += chunk
    except (TimeoutError, ClientError, OSError):
        return f"{read.decode(errors='replace')} (the response is incomplete)"
    finally:
        response.close()
    return read.decode(errors="replace")


class ThreadResolver(AbstractResolver):
    """Resolves names in its own threads, so that slow name servers do not delay resolving the database's name."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="webhook-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of *host*. Raise OSError if it has none."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except UnicodeError as exc:  # a label of over 63 characters
            raise OSError(errno.EINVAL, "invalid host name") from exc
        return [
            ResolveResult(
                hostname=host, host=str(sockaddr[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, sockaddr in found
        ]

    async def close(self) -> None:
        """Shut down the threads without waiting for hanging lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def open_http(allowed: Sequence[Network], tls: ssl.SSLContext) -> AsyncIterator[HTTPClient]:
    """Yield a client for untrusted receivers: no cookies, decompression or proxy; a new connection for each request."""
    resolver = ThreadResolver()
    connector = TCPConnector(
        socket_factory=guarded_socket(allowed),
        resolver=resolver,
        ssl=tls,
        # The receiver might close a kept-alive connection just when the next page is sent over it.
        force_close=True,
        limit=0,  # the dispatcher limits the concurrency
    )
    async with ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=ClientTimeout(total=None, sock_connect=None),
        headers={hdrs.USER_AGENT: f"Tocsin/{build_info.VERSION}", hdrs.ACCEPT_ENCODING: "identity"},
    ) as session:
        yield HTTPClient(session)
    await resolver.close()
