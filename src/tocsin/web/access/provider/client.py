"""HTTP requests to the OpenID provider.

Each is bounded in time and size, follows no redirect and is made once: a person waits for it, and can try again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, Generic, NoReturn, TypeVar

import structlog
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs, web
from pydantic import BaseModel, TypeAdapter, ValidationError

from tocsin.kernel import build_info, clock, tasks
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.web.access.domain.openid import ProviderError

log = structlog.get_logger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
PEER: Final = "openid-provider"
REQUEST_SECONDS: Final = 5.0
MAX_RESPONSE: Final = 1024 * 1024
KEEP_SECONDS: Final = 3_600.0
"""How long the provider's addresses and keys are used before they are fetched again."""
RETRY_SECONDS: Final = 3.0
"""How long a failure to fetch them counts for everybody, so that many log-ins do not burden a provider that fails."""
_DOCUMENT: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])


class Kept(Generic[T]):
    """A document of the provider, which concurrent callers fetch once. It is kept for a while, and so is a failure."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._fetched_at = 0.0
        self._failure = ""
        self._failed_at = 0.0

    async def get(self, *, seconds: float = KEEP_SECONDS) -> T:
        """Return the document, at most *seconds* old. Raise ProviderError."""
        async with self._lock:
            now = clock.monotonic()
            if self._value is not None and now - self._fetched_at < seconds:
                return self._value
            if self._failure and now - self._failed_at < RETRY_SECONDS:
                raise ProviderError(self._failure)
            try:
                self._value, self._failure = await self._fetch(), ""
            except ProviderError as exc:
                self._failure, self._failed_at = str(exc), clock.monotonic()
                raise
            self._fetched_at = now
            return self._value


class ProviderClient:
    """Makes the requests to the provider that people call *name*."""

    def __init__(self, name: str, metrics: ClientMetrics) -> None:
        self._name = name
        self._metrics = metrics
        self._session: ClientSession | None = None

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Keep a session open while the application runs (a cleanup context)."""
        # No compression: a small response could decompress to any size.
        async with ClientSession(
            connector=TCPConnector(force_close=True),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
            headers={
                hdrs.USER_AGENT: f"Tocsin/{build_info.VERSION}",
                hdrs.ACCEPT: "application/json",
                hdrs.ACCEPT_ENCODING: "identity",
            },
        ) as self._session:
            yield
        self._session = None

    async def request(self, method: str, url: str, **given: Any) -> tuple[int, bytes]:
        """Return the status and the body of a response. Raise ProviderError."""
        if self._session is None:
            msg = "the client of the OpenID provider is used outside its context"
            raise RuntimeError(msg)
        started, outcome = clock.monotonic(), "error"
        try:
            async with (
                tasks.timeout(REQUEST_SECONDS),
                self._session.request(method, url, allow_redirects=False, **given) as response,
            ):
                raw = await self._read(response)
                outcome = "ok" if response.status == HTTPStatus.OK else "status"
                return response.status, raw
        except TimeoutError as exc:
            outcome = "timeout"
            self.fail("it does not respond in time", f"no response within {REQUEST_SECONDS:g} s from {url}", cause=exc)
        except (ClientError, OSError, ValueError) as exc:
            outcome = "connection"
            self.fail("it cannot be reached", f"{type(exc).__name__}: {exc}", cause=exc)
        finally:
            self._metrics.seconds.labels(PEER, outcome).observe(clock.monotonic() - started)

    async def _read(self, response: ClientResponse) -> bytes:
        raw = bytearray()
        async for chunk in response.content.iter_any():
            raw += chunk
            if len(raw) > MAX_RESPONSE:
                response.close()
                self.fail("its response is too large", f"more than {MAX_RESPONSE:,} bytes from {response.url.host}")
        return bytes(raw)

    def parse(self, model: type[M], raw: bytes) -> M:
        """Return a response as a *model*. Raise ProviderError if it is not one."""
        try:
            return model.model_validate_json(raw)
        except ValidationError as exc:
            fields = [".".join(map(str, error["loc"])) for error in exc.errors(include_input=False)]
            self.fail("its response cannot be read", f"wrong or missing: {', '.join(fields)[:200] or 'JSON'}")

    def document(self, raw: bytes) -> dict[str, Any]:
        """Return a response that is a JSON object. Raise ProviderError if it is not one."""
        try:
            return _DOCUMENT.validate_json(raw)
        except ValidationError:
            self.fail("its response cannot be read", "not a JSON object")

    def fail(self, what: str, reason: str, *, cause: BaseException | None = None) -> NoReturn:
        """Log the *reason*, in which there is no secret, and raise ProviderError with what a person needs to know."""
        log.warning("log-in by the provider failed", reason=reason)
        msg = f"The log-in by {self._name} does not work right now: {what}. Use your password, or try again."
        raise ProviderError(msg) from cause
