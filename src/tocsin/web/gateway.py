"""Forward `/api/v1/...` to the service that owns it, streaming in both directions."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import structlog
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tocsin.kernel import client_address, request_id, tasks
from tocsin.kernel.auth import ACTOR_HEADER, PRINCIPAL
from tocsin.kernel.body_memory import STREAMED_BODY
from tocsin.kernel.errors import ClientDisconnectedError, DomainError, NotFoundError, TooLargeError, UpstreamError
from tocsin.kernel.event_streams import EVENT_STREAM, admit_stream
from tocsin.kernel.principal import PrincipalKind
from tocsin.kernel.requests import body_chunks
from tocsin.kernel.service_keys import SERVICE_KEYS
from tocsin.kernel.tracing import TRACING
from tocsin.web.settings import SETTINGS, Settings

log = structlog.get_logger(__name__)
MAX_BODY: Final = 8 * 1024 * 1024
BODILESS: Final = frozenset({204, 304})
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of one connection only (RFC 9110, section 7.6.1; RFC 2616, section 13.5.1)."""
NOT_FORWARDED: Final = HOP_BY_HOP | {
    "host",
    "expect",
    "cookie",
    "origin",
    "referer",
    "sec-fetch-site",
    "forwarded",
    "x-real-ip",
    client_address.HEADER.lower(),
}
"""Headers for this service alone, or claims about the client that a service must not trust, like `X-Forwarded-*`."""
CLIENT_HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that the client library would add: only the caller's own are forwarded."""
INTERNAL: Final = frozenset(
    {
        (hdrs.METH_POST, "incidents", "correlate"),
        (hdrs.METH_POST, "incidents", "states"),
        (hdrs.METH_POST, "incidents", "*", "timeline"),
        (hdrs.METH_GET, "incidents", "board"),
        (hdrs.METH_GET, "incidents", "listing"),
        (hdrs.METH_GET, "incidents", "*", "view"),
        (hdrs.METH_GET, "incidents", "alerts-in-use"),
        (hdrs.METH_POST, "escalations"),
        (hdrs.METH_POST, "escalations", "running"),
        (hdrs.METH_POST, "escalations", "*", "stop"),
        (hdrs.METH_POST, "escalations", "*", "delivery-failed"),
        (hdrs.METH_GET, "oncall", "board"),
        (hdrs.METH_GET, "oncall", "listing"),
        (hdrs.METH_POST, "notifications", "void"),
        (hdrs.METH_GET, "notifications", "board"),
    }
)
"""Endpoints between our own services, `*` for an id: not reachable from outside."""


@dataclass(slots=True)
class Gateway:
    """The session to the services, and the responses being streamed."""

    settings: Settings
    streams: set[ClientResponse] = field(default_factory=set)
    _session: ClientSession | None = None

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Open the session while the application runs."""
        timeout = ClientTimeout(
            total=None,
            sock_connect=self.settings.gateway_connect_seconds,
            sock_read=self.settings.gateway_silence_seconds,
        )
        async with ClientSession(
            connector=TCPConnector(limit=0),
            cookie_jar=DummyCookieJar(),
            timeout=timeout,
            auto_decompress=False,
            skip_auto_headers=CLIENT_HEADERS,
        ) as self._session:
            yield

    @property
    def session(self) -> ClientSession:
        """The session. Raise RuntimeError outside of `context`."""
        if self._session is None:
            msg = "the gateway is used outside its context"
            raise RuntimeError(msg)
        return self._session

    async def end_streams(self, _app: web.Application) -> None:
        """Close every stream, so that a stopping process does not wait for readers; they reconnect by themselves."""
        for upstream in list(self.streams):
            upstream.close()


GATEWAY = web.AppKey("GATEWAY", Gateway)


def forward_to(peer: str, base_url: Callable[[Settings], str]) -> Handler:
    """Return a handler that forwards requests to *peer*."""

    async def forward(request: web.Request) -> web.StreamResponse:
        gateway = request.app[GATEWAY]
        _check_path(request)
        body = _Body(request, gateway.settings.gateway_response_seconds)
        try:
            async with body.deadline():
                upstream = await gateway.session.request(
                    request.method,
                    upstream_url(base_url(gateway.settings), request.rel_url),
                    headers=_request_headers(request, peer),
                    data=body.chunks() if request.can_read_body else None,
                    allow_redirects=False,
                )
            async with upstream:
                if upstream.content_type != EVENT_STREAM:
                    return await _stream_response(request, gateway, upstream)
                async with admit_stream(request):
                    return await _stream_response(request, gateway, upstream)
        except TimeoutError as exc:
            raise _unavailable(peer, "does not respond in time") from exc
        except ClientError as exc:
            if body.error is not None:
                raise body.error from exc
            raise _unavailable(peer, "cannot be reached") from exc

    return forward


def upstream_url(base_url: str, target: URL) -> URL:
    """Return the address at *base_url* with the path and query of *target*.

    The scheme and host of *target* are left out: a client may name any in the request line (RFC 9112, section 3.2.2).
    """
    query = f"?{target.raw_query_string}" if target.raw_query_string else ""
    return URL(base_url + target.raw_path + query, encoded=True)


def _check_path(request: web.Request) -> None:
    """Raise NotFoundError for an internal endpoint, and for a path that a service could interpret as another one."""
    segments = _segments(request.rel_url.raw_path)
    ambiguous = any(segment in {"", ".", ".."} or "/" in segment for segment in segments)
    if ambiguous or is_hidden(request.method, request.rel_url.raw_path):
        msg = "There is nothing at this address."
        raise NotFoundError(msg)


def is_hidden(method: str, path: str) -> bool:
    """Return whether the endpoint is internal; *path* is that of a request, or of a route with its parameters."""
    segments = _segments(path)
    verb = hdrs.METH_GET if method == hdrs.METH_HEAD else method
    shapes = {(verb, *segments), (verb, *segments[:1], "*", *segments[2:])}
    return not shapes.isdisjoint(INTERNAL)


def _segments(path: str) -> list[str]:
    return [unquote(segment) for segment in path.split("/")[3:]]


class _Body:
    """The body of a forwarded request, limited in size."""

    def __init__(self, request: web.Request, response_seconds: float) -> None:
        if (request.content_length or 0) > MAX_BODY:
            raise _too_large()
        self._request = request
        self._response_seconds = response_seconds
        self._deadline: tasks.TimeLimit | None = None
        self.error: Exception | None = None
        """Why the body ended early: the client library reports only a lost connection."""

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Raise TimeoutError if the response does not start in time; each chunk of the body extends the deadline."""
        try:
            async with tasks.timeout(self._response_seconds) as self._deadline:
                yield
        finally:
            self._deadline = None

    async def chunks(self) -> AsyncIterator[bytes]:
        sent = 0
        try:
            async for chunk in body_chunks(self._request, held=STREAMED_BODY):
                if self._deadline is not None and not self._deadline.expired():
                    tasks.extend(self._deadline, self._response_seconds)
                sent += len(chunk)
                if sent > MAX_BODY:
                    raise _too_large()
                yield chunk
        except (ClientDisconnectedError, DomainError) as exc:
            self.error = exc
            raise


def _request_headers(request: web.Request, peer: str) -> CIMultiDict[str]:
    headers = _end_to_end(request.headers, NOT_FORWARDED)
    if request[PRINCIPAL].kind is not PrincipalKind.OPEN:
        # The service believes the signature, and nothing that the caller says about itself.
        headers.popall(hdrs.AUTHORIZATION, None)
        headers.popall(ACTOR_HEADER, None)
        headers.update(request.app[SERVICE_KEYS].authorization(peer))
    headers.popall(request.app[SETTINGS].remote_user_header, None)
    headers[request_id.HEADER] = request_id.REQUEST_ID.get()
    if (trace_context := TRACING.context()) is not None:
        headers["traceparent"] = trace_context
    return headers


def _end_to_end(given: CIMultiDictProxy[str], dropped: frozenset[str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for value in given.getall(hdrs.CONNECTION, ()) for name in value.split(",")}
    return CIMultiDict(
        (name, value)
        for name, value in given.items()
        if name.lower() not in dropped | named and not name.lower().startswith("x-forwarded-")
    )


async def _stream_response(request: web.Request, gateway: Gateway, upstream: ClientResponse) -> web.StreamResponse:
    headers = _end_to_end(upstream.headers, HOP_BY_HOP)
    headers[request_id.HEADER] = request_id.REQUEST_ID.get()
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
    if upstream.content_length is None and upstream.status not in BODILESS and request.version >= (1, 1):
        response.enable_chunked_encoding()
    gateway.streams.add(upstream)
    try:
        await response.prepare(request)
        await _copy(response, upstream, gateway.settings.gateway_write_seconds)
    except (ClientError, ConnectionError, TimeoutError) as exc:
        # The response has started: the only way left to report an error is to abort the connection.
        client_left = request.transport is None or request.transport.is_closing()
        level = logging.DEBUG if client_left else logging.INFO
        log.log(level, "a forwarded response was interrupted", path=request.path, reason=type(exc).__name__)
        if request.transport is not None:
            request.transport.abort()
    finally:
        gateway.streams.discard(upstream)
    return response


async def _copy(response: web.StreamResponse, upstream: ClientResponse, write_seconds: float) -> None:
    async for chunk in upstream.content.iter_any():
        async with tasks.timeout(write_seconds):
            await response.write(chunk)
    await response.write_eof()


def _too_large() -> TooLargeError:
    return TooLargeError(f"The body is larger than {MAX_BODY // 1024 // 1024} MiB.")


def _unavailable(peer: str, what: str) -> UpstreamError:
    return UpstreamError(f"{peer} {what}; try again in a moment.")
