"""Responses that are event streams: they have no end, so their number has a bound of its own."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web

from tocsin.kernel import tasks
from tocsin.kernel.authentication import ending_with_log_in
from tocsin.kernel.errors import ClientDisconnectedError, UnavailableError
from tocsin.kernel.principal import Scope

EVENT_STREAM: Final = "text/event-stream"
CHUNK_BYTES: Final = 16 * 1024
"""Events are written together until they have so many bytes."""
STREAMING = web.RequestKey("STREAMING", bool)
"""Set in a request whose response is an event stream. The client closes such a stream: that is no error, and is not
logged."""


class StreamLimit:
    """How many event streams a process serves at a time."""

    def __init__(self, most: int) -> None:
        """*most* is the maximum number of streams."""
        self._most = most
        self._open = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a stream in this block. Raise UnavailableError if there are as many as allowed."""
        if self._open >= self._most:
            msg = f"{self._most} clients follow the event stream, which is the maximum (MAX_STREAMS); try again later."
            raise UnavailableError(msg)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


STREAM_LIMIT = web.AppKey("STREAM_LIMIT", StreamLimit)


@asynccontextmanager
async def admit_stream(request: web.Request) -> AsyncIterator[None]:
    """Count *request* as a stream in this block, which ends with the log-in or token that may read.

    Raise UnavailableError if there are as many streams as allowed.
    """
    with request.app[STREAM_LIMIT].admit():
        async with ending_with_log_in(request, Scope.READ):
            yield


def encode_event(*, event_id: str, event: str, data: str) -> bytes:
    """Return a server-sent event as it is sent; no argument may have a line break."""
    return f"id: {event_id}\r\nevent: {event}\r\ndata: {data}\r\n\r\n".encode()


def _chunks(encoded: Iterable[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for event in encoded:
        chunk += event
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


async def prepare_stream(request: web.Request, response: web.StreamResponse) -> None:
    """Send the headers of an event stream. Raise ClientDisconnectedError if the client has disconnected."""
    request[STREAMING] = True
    if request.transport is None:  # the response would fail on it
        raise ClientDisconnectedError
    try:
        await response.prepare(request)
    except ConnectionError as exc:
        raise ClientDisconnectedError from exc


async def send_events(
    request: web.Request, response: web.StreamResponse, encoded: Iterable[bytes], *, seconds: float
) -> None:
    """Send encoded events, in chunks, so that a client that reads slowly does not fill the memory.

    Raise ConnectionError, or TimeoutError if the client does not read a chunk in *seconds*.
    """
    try:
        for chunk in _chunks(encoded):
            async with tasks.timeout(seconds):
                await response.write(chunk)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()  # otherwise the end of the response would wait for the client as well
        raise
