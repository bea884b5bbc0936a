"""Calls to other services: typed, bounded in time and size, retried if that may help, with one idempotency key."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar

from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    web,
)
from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential

from tocsin.kernel import clock, request_id, tasks
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.principal import ON_BEHALF_OF
from tocsin.kernel.query_string import flatten_query
from tocsin.kernel.retry_after import retry_seconds
from tocsin.kernel.tracing import NO_SPAN, TRACING, Kind

M = TypeVar("M", bound=BaseModel)
RETRYABLE_STATUSES: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses below 500 after which a retry may succeed."""
REFUSALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST})
"""Statuses by which one of our services refuses another, not the request: its keys or names are wrong, and the call is
good once they are right."""
MAX_RESPONSE: Final = 32 * 1024 * 1024
"""The maximum size of a response in bytes."""
MAX_DETAIL: Final = 1_000
"""The maximum number of characters of an error's detail."""
TIMEOUT: Final = "timeout"  # the reason of a TransientError after which the service may still be at work
IDLE_SECONDS: Final = 3.0
"""Idle time-out. aiohttp reuses the longest idle connection: its default, 15 s, keeps 15 open at a request a second."""
PATH_IDS: Final = re.compile(r"/([0-9a-f]{8}-[0-9a-f-]{27}|[0-9]+)(?=/|$)")
"""The ids in a path, which a span's name must not contain."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one call: *attempts* attempts of *attempt_seconds* each, and *seconds* in total."""

    attempts: int
    seconds: float
    attempt_seconds: float


INTERACTIVE: Final = Budget(attempts=3, seconds=3.0, attempt_seconds=2.0)
"""For calls that a person waits for."""
ONCE: Final = Budget(attempts=1, seconds=5.0, attempt_seconds=5.0)
"""For calls from a queue, which has a back-off of its own."""


class TransientError(UpstreamError):
    """One attempt failed, and a retry may succeed."""

    def __init__(self, message: str, *, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class ServiceClient:
    """A client of one service; its `context` is a cleanup context that opens and closes the session."""

    def __init__(self, base_url: str, metrics: ClientMetrics, *, peer: str) -> None:
        self.base_url = base_url
        self.peer = peer
        self.sign: Callable[[str], Mapping[str, str]] | None = None
        """Returns the headers that sign a call of a peer. Set in a service, which its peers refuse for a while only."""
        self.headers: Mapping[str, str] = {}
        """Sent with every call."""
        self._metrics = metrics
        self._session: ClientSession | None = None

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Keep a session open while the application runs."""
        # No compression: a small response could decompress to any size. Addresses are cached briefly: services move.
        async with ClientSession(
            connector=TCPConnector(keepalive_timeout=IDLE_SECONDS, ttl_dns_cache=2),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
        ) as self._session:
            yield
        self._session = None

    async def get(
        self, path: str, model: type[M], *, query: Mapping[str, Any] | None = None, budget: Budget = INTERACTIVE
    ) -> M:
        """GET *path*; raise UpstreamError when the budget is spent, RejectedError on 4xx."""
        return await self._call("GET", path, model, budget=budget, query=query)

    async def post(
        self,
        path: str,
        body: BaseModel | bytes,
        model: type[M],
        *,
        idempotency_key: str,
        query: Mapping[str, Any] | None = None,
        budget: Budget = INTERACTIVE,
    ) -> M:
        """POST *body*; a repeat with the same key has no second effect. Raise UpstreamError, RejectedError."""
        return await self._call(
            "POST", path, model, budget=budget, query=query, body=body, idempotency_key=idempotency_key
        )

    async def patch(
        self,
        path: str,
        body: BaseModel,
        model: type[M],
        *,
        idempotency_key: str,
        headers: Mapping[str, str] | None = None,
        budget: Budget = INTERACTIVE,
    ) -> M:
        """PATCH *path* with the fields that are set in *body*. Raise UpstreamError, RejectedError."""
        return await self._call(
            "PATCH", path, model, budget=budget, body=body, idempotency_key=idempotency_key, headers=headers
        )

    async def put(self, path: str, body: BaseModel, model: type[M], *, headers: Mapping[str, str]) -> M:
        """PUT *body* to *path*. Raise UpstreamError, RejectedError."""
        return await self._call("PUT", path, model, budget=INTERACTIVE, body=body, headers=headers)

    async def delete(self, path: str, model: type[M]) -> M:
        """DELETE *path*; return what it was. Raise UpstreamError, RejectedError."""
        return await self._call("DELETE", path, model, budget=INTERACTIVE)

    async def _call(
        self,
        method: str,
        path: str,
        model: type[M],
        *,
        budget: Budget,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | bytes | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> M:
        sparse = method == "PATCH"  # leaves out fields that are not set
        data = body.__pydantic_serializer__.to_json(body, exclude_unset=sparse) if isinstance(body, BaseModel) else body
        sent = {
            "Accept": "application/json",
            request_id.HEADER: request_id.valid_or_new(request_id.REQUEST_ID.get()),
            **(headers or {}),
        }
        if data is not None:
            sent["Content-Type"] = "application/json"
        if idempotency_key is not None:
            sent["Idempotency-Key"] = idempotency_key
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            wait=_wait,
            stop=stop_after_attempt(budget.attempts) | stop_before_delay(budget.seconds),
            before_sleep=self._count_retry,
            sleep=clock.sleep,
            reraise=True,
        )
        request = _Request(method, path, data, sent, flatten_query(query), budget, clock.monotonic() + budget.seconds)
        raw: bytes = await retrying(self._attempt, request)
        try:
            return model.model_validate_json(raw)
        except ValidationError as exc:
            msg = f"{self.peer} sent a response that cannot be parsed; are both services of the same version?"
            raise UpstreamError(msg) from exc

    async def _attempt(self, request: "_Request") -> bytes:
        started = clock.monotonic()
        outcome = "cancelled"
        try:
            with self._span(request) if TRACING.on else NO_SPAN:
                raw = await self._exchange(request)
        except TransientError as exc:
            outcome = exc.reason
            raise
        except RejectedError:
            outcome = "rejected"
            raise
        else:
            outcome = "ok"
            return raw
        finally:
            self._metrics.seconds.labels(self.peer, outcome).observe(clock.monotonic() - started)

    def _span(self, request: "_Request") -> AbstractContextManager[None]:
        if request.path == "/health":
            return NO_SPAN
        name = f"{request.method} {PATH_IDS.sub('/{id}', request.path)}"
        return TRACING.span(name, Kind.CLIENT, peer__service=self.peer, http__request__method=request.method)

    async def _exchange(self, request: "_Request") -> bytes:
        if self._session is None:
            msg = f"the client of {self.peer} is used outside its context"
            raise RuntimeError(msg)
        try:
            async with (
                tasks.timeout(min(request.budget.attempt_seconds, request.deadline - clock.monotonic())),
                self._session.request(
                    request.method,
                    self.base_url + request.path,
                    data=request.data,
                    headers=self._headers(request),
                    params=request.query,
                    allow_redirects=False,
                ) as response,
            ):
                raw = await self._read(response)
        except TimeoutError as exc:
            self._fail("does not respond in time", TIMEOUT, cause=exc)
        except (ClientConnectionError, ClientPayloadError, OSError) as exc:
            self._fail("cannot be reached", "connection", cause=exc)
        except ClientResponseError as exc:
            self._fail("sent a response that is not HTTP", "protocol", cause=exc)
        # A person who may not do this may not at the next attempt either.
        is_forbidden = response.status == HTTPStatus.FORBIDDEN and ON_BEHALF_OF.get() is not None
        if response.status in REFUSALS and self.sign is not None and not is_forbidden:
            self._fail(f"refuses the calls of this service ({self._detail(raw, response.status)})", "refused")
        if response.status in RETRYABLE_STATUSES or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._fail(
                f"returns {response.status}", "status", retry_after=retry_seconds(response.headers.get("Retry-After"))
            )
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise RejectedError(response.status, self._detail(raw, response.status))
        return raw

    def _headers(self, request: "_Request") -> Mapping[str, str]:
        """Return the headers of one attempt: its signature and its trace context are new each time."""
        signature = self.sign(self.peer) if self.sign is not None else {}
        headers = {**request.headers, **self.headers, **signature}
        return TRACING.with_traceparent(headers) if TRACING.on else headers

    def _detail(self, raw: bytes, status: int) -> str:
        """Return the detail of a problem document. A 4xx without one did not come from the service, and is retried."""
        try:
            return _ProblemDetail.model_validate_json(raw).detail[:MAX_DETAIL]
        except ValidationError as exc:
            self._fail(f"returns {status} without a problem document", "protocol", cause=exc)

    async def _read(self, response: ClientResponse) -> bytes:
        raw = bytearray()
        async for chunk in response.content.iter_any():
            raw += chunk
            if len(raw) > MAX_RESPONSE:
                self._fail("sent a response that is too large", "too_large")
        return bytes(raw)

    def _fail(
        self, what: str, reason: str, *, retry_after: float = 0.0, cause: BaseException | None = None
    ) -> NoReturn:
        msg = f"{self.peer} {what}; try again in a moment."
        raise TransientError(msg, reason=reason, retry_after=retry_after) from cause

    def _count_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        reason = error.reason if isinstance(error, TransientError) else "other"
        self._metrics.retries.labels(self.peer, reason).inc()


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    data: bytes | None
    headers: Mapping[str, str]
    query: list[tuple[str, str]] | None
    budget: Budget
    deadline: float


_backoff = wait_random_exponential(multiplier=0.05, max=2)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(error.retry_after if isinstance(error, TransientError) else 0.0, _backoff(state))


class _ProblemDetail(BaseModel):
    detail: str
