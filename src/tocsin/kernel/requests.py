"""Parse and validate requests."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, Final, TypeVar
from uuid import UUID

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from tocsin.kernel import clock, tasks
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.body_memory import BODY_MEMORY, SMALL_BODY, holdings_of
from tocsin.kernel.errors import (
    BodyTimeoutError,
    ClientDisconnectedError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
    UnsupportedMediaTypeError,
)
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.validation import BODY_LIMIT, MAX_ERRORS, parse_json, sentence

M = TypeVar("M", bound=BaseModel)
INTERNAL_BODY_LIMIT: Final = 8 * 1024 * 1024
"""The maximum size in bytes of a body between our own services; the largest alert has less than 4 MiB."""
MAX_KEY: Final = 255
"""The maximum number of characters of an idempotency key."""
BODY: Final = web.RequestKey("BODY", bytes)
"""The body, once it has been read."""
RECHECK_SECONDS: Final = 0.5
"""How often a large body that stopped arriving is compared with whether others wait for its place."""
BODY_SECONDS: Final = web.AppKey("BODY_SECONDS", float)
"""How long a body may take to arrive."""


async def read_body(request: web.Request, *, limit: int = BODY_LIMIT) -> bytes:
    """Return the body; later calls return the same bytes. Raise TooLargeError if it has more than *limit* bytes.

    Raise UnsupportedMediaTypeError if it is compressed: a small body may decompress to gigabytes. Raise OverloadedError
    if there is no memory for it in time, and what `body_chunks` raises.
    """
    body = request.get(BODY)
    if body is None:
        body = request[BODY] = await _read_body(request, limit)
        await holdings_of(request).take_handling(body)
    return body


async def _read_body(request: web.Request, limit: int) -> bytes:
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        msg = "A compressed body is not supported; send it uncompressed."
        raise UnsupportedMediaTypeError(msg)
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if request.content.is_eof():  # a small body arrived together with the headers
        with _disconnects():
            arrived = request.content.read_nowait()
        if len(arrived) > limit:
            raise _too_large(limit)
        return arrived
    body = bytearray()
    async for chunk in body_chunks(request, held=limit):
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


async def body_chunks(request: web.Request, *, held: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives; the caller holds at most *held* bytes of it at a time.

    Raise ClientDisconnectedError if the client disconnects before its end. Raise BodyTimeoutError if the end does not
    arrive in time, or never, as after an invalid chunk. Raise OverloadedError if there is no memory for it in time.
    """
    started = clock.monotonic()
    arrived, is_large = 0, False
    with _disconnects():
        while True:
            chunk = await _next_chunk(request, started, is_large=is_large)
            if not chunk:
                return
            arrived += len(chunk)
            if arrived > SMALL_BODY and not is_large:
                is_large = True
                waits_since = clock.monotonic()
                await holdings_of(request).take_arriving(min(held, request.content_length or held))
                started += clock.monotonic() - waits_since
            yield chunk


async def _next_chunk(request: web.Request, started: float, *, is_large: bool) -> bytes:
    """Return the next chunk. If the body takes too long from *started* on, raise BodyTimeoutError.

    A large body that takes too long only because others wait for its place may be sent again: raise OverloadedError.
    """
    memory = request.app[BODY_MEMORY]
    while True:
        others_wait = is_large and memory.arriving.waiting > 0
        # Half of the time that others wait, so that they get its place before they are refused.
        seconds = min(request.app[BODY_SECONDS], memory.wait_seconds / 2 if others_wait else inf)
        left = max(0.0, started + seconds - clock.monotonic())
        limit = tasks.timeout(min(left, RECHECK_SECONDS) if is_large else left)
        try:
            async with limit:
                return await request.content.readany()
        except TimeoutError as exc:
            if not limit.expired():
                raise  # a time-out of TCP
            if left > RECHECK_SECONDS and is_large:
                continue
            what = f"The body did not arrive within {seconds:g} s"
            error = memory.overloaded(f"{what}, while others wait") if others_wait else BodyTimeoutError(f"{what}.")
            raise error from exc


@contextmanager
def _disconnects() -> Iterator[None]:
    try:
        yield
    except OSError as exc:  # a reset, or a time-out of TCP
        raise ClientDisconnectedError from exc


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is larger than the {limit // 1024} KiB that this address allows.")


async def parse_body(request: web.Request, model: type[M], *, limit: int = BODY_LIMIT) -> M:
    """Validate the JSON body against *model*. Raise MalformedRequestError, InvalidRequestError, TooLargeError."""
    return parse_json(await read_body(request, limit=limit), model)


def parse_query(request: web.Request, model: type[M]) -> M:
    """Validate the query against *model*, whose list fields accept a repeated parameter; an unknown one is refused."""
    values: dict[str, Any] = {}
    for name in set(request.query):
        field = model.model_fields.get(name)
        if field is None:
            raise InvalidRequestError([{"pointer": f"?{name}", "detail": "Unknown parameter."}])
        given = request.query.getall(name)
        if "list[" in str(field.annotation):
            values[name] = given
        elif len(given) > 1:
            raise InvalidRequestError([{"pointer": f"?{name}", "detail": "This parameter is given more than once."}])
        else:
            values[name] = given[0]
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidRequestError(
            [
                {"pointer": "?" + ".".join(map(str, item["loc"])), "detail": sentence(item["msg"])}
                for item in found[:MAX_ERRORS]
            ]
        ) from exc


def path_uuid(request: web.Request, name: str) -> UUID:
    """Return the id in the path. Raise NotFoundError if it is not a UUID."""
    try:
        return UUID(request.match_info[name])
    except ValueError as exc:
        msg = f"There is no {name.removesuffix('_id').replace('_', ' ')} {request.match_info[name][:64]!r}."
        raise NotFoundError(msg) from exc


def idempotency_key(request: web.Request) -> str | None:
    """Return the `Idempotency-Key` header. Raise InvalidRequestError if it is empty or over 255 characters."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isprintable()):
        raise InvalidRequestError([{"pointer": "Idempotency-Key", "detail": "Must be 1 to 255 printable characters."}])
    return key


async def idempotent_request(request: web.Request) -> IdempotentRequest | None:
    """Return what identifies a retry of *request*; None without an `Idempotency-Key`. Raise as `read_body` does."""
    key = idempotency_key(request)
    if key is None:
        return None
    return IdempotentRequest(
        key, request.method, request.path, await read_body(request), scope=request[PRINCIPAL].key_scope
    )


def if_match(request: web.Request) -> int | None:
    """Return the version in `If-Match: "<version>"`; None without the header, and for `*`."""
    given = request.headers.get(hdrs.IF_MATCH, "*").strip()
    if given == "*":
        return None
    version = re.fullmatch(r'(?:W/)?"?([0-9]{1,9})"?', given)
    if version is None:
        raise InvalidRequestError([{"pointer": "If-Match", "detail": 'Must be a version such as "3".'}])
    return int(version[1])
