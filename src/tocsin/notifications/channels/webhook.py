"""Webhooks: a POST of JSON to an address that a person typed, on guard against what answers there."""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
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

from tocsin.contracts.notifications import WebhookBody
from tocsin.kernel import build_info, request_id
from tocsin.kernel.retry_after import retry_seconds
from tocsin.notifications.channels.guard import guarded_socket
from tocsin.notifications.domain import Message, Outcome
from tocsin.notifications.settings import Settings

MAX_READ_BYTES: Final = 65_536
READ_SECONDS: Final = 1.0
"""How long an answer's body may take: its status has decided already."""
RESOLVER_THREADS: Final = 32
SUCCESS: Final = range(200, 300)


class WebhookChannel:
    """Posts a `WebhookBody`; 2xx alone is success."""

    def __init__(self, session: ClientSession, *, public_url: str | None) -> None:
        self._session = session
        self._public_url = public_url

    async def send(self, message: Message) -> Outcome:
        """POST once."""
        delivery = str(message.delivery_id)
        headers = {
            hdrs.CONTENT_TYPE: "application/json",
            "Idempotency-Key": delivery,
            "X-Tocsin-Delivery": delivery,
            "X-Tocsin-Attempt": str(message.attempt),
            request_id.HEADER: request_id.REQUEST_ID.get(),
        }
        body = body_of(message, self._public_url)
        try:
            async with self._session.post(
                message.address, data=body, headers=headers, allow_redirects=False
            ) as response:
                return _outcome(response, await _beginning(response))
        except InvalidURL:
            return Outcome.failed("this URL cannot be called")
        except ClientConnectorCertificateError as exc:
            return Outcome.failed(f"the certificate is refused: {exc.certificate_error}")
        except ClientConnectorError as exc:
            if exc.os_error.errno == errno.EACCES:
                return Outcome.failed(str(exc.os_error.strerror))
            return Outcome.retry(f"cannot be reached: {exc.os_error.strerror or exc.os_error}")
        except (ClientError, OSError) as exc:
            return Outcome.retry(f"no answer that can be read: {str(exc) or type(exc).__name__}")


def body_of(message: Message, public_url: str | None) -> bytes:
    """Return the JSON to post: of one message always the same bytes, since one idempotency key goes with them."""
    body = WebhookBody(
        kind=message.kind,
        delivery_id=message.delivery_id,
        incident_id=message.incident_id,
        message=message.text,
        page=message.page,
        incident_url=message.incident_url(public_url),
        created_at=message.created_at,
        digest=list(message.digest) or None,
    )
    return body.model_dump_json().encode()


def _outcome(response: ClientResponse, answer: str) -> Outcome:
    status = response.status
    if status in SUCCESS:
        return Outcome.sent(answer, status)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.retry(f"HTTP {status}: {answer}", status, retry_seconds(response.headers.get(hdrs.RETRY_AFTER)))
    return Outcome.failed(f"HTTP {status}: {answer}", status)


async def _beginning(response: ClientResponse) -> str:
    """Return the answer's beginning. One that trickles, breaks off or never ends changes nothing any more."""
    read = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            while len(read) < MAX_READ_BYTES:
                chunk = await response.content.read(MAX_READ_BYTES - len(read))
                if not chunk:
                    break
                read += chunk
    except (TimeoutError, ClientError, OSError):
        return f"{_text(read)} (the answer broke off)"
    finally:
        response.close()
    return _text(read)


def _text(read: bytes | bytearray) -> str:
    return read.decode(errors="replace")


class ThreadResolver(AbstractResolver):
    """Resolves in threads of its own: names that do not answer must not keep the database's name waiting."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="webhook-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; raise OSError where it has none."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except UnicodeError as exc:  # a label of over 63 characters
            raise OSError(errno.EINVAL, "this is no name of a host") from exc
        return [
            ResolveResult(
                hostname=host, host=str(place[0]), port=port, family=kin, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for kin, _, protocol, _, place in found
        ]

    async def close(self) -> None:
        """Let go of the threads, without waiting for those that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@cache
def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """Return what decides whose certificates are believed: the system's authorities, read once, and *ca_bundle*'s."""
    context = ssl.create_default_context()
    if ca_bundle is not None:
        context.load_verify_locations(ca_bundle)
    return context


@asynccontextmanager
async def webhook_session(settings: Settings) -> AsyncIterator[ClientSession]:
    """Hold the session that may meet hostile receivers: no cookie, unpacking or proxy, a new connection each time."""
    resolver = ThreadResolver()
    connector = TCPConnector(
        socket_factory=guarded_socket(settings.webhook_allowed_networks),
        resolver=resolver,
        ssl=tls_context(settings.ca_bundle),
        # A connection kept alive may be closed at the other end just when the next page is written to it.
        force_close=True,
        limit=0,  # the dispatcher bounds how many run
    )
    async with ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=ClientTimeout(total=None, sock_connect=None),
        headers={hdrs.USER_AGENT: f"Tocsin/{build_info.VERSION}", hdrs.ACCEPT_ENCODING: "identity"},
    ) as session:
        yield session
    await resolver.close()
