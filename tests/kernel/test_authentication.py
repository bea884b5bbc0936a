"""Closed mode: who made a request, and how long a service relies on what it was told."""

from asyncio import Event
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientError, web
from aiohttp.pytest_plugin import AiohttpClient

from tests.support.waiting import eventually
from tocsin.kernel import clock
from tocsin.kernel.app import base_app
from tocsin.kernel.auth import PRINCIPAL, actor_of
from tocsin.kernel.authentication import TOKENS, RememberedTokens, Tokens
from tocsin.kernel.errors import ConfigurationError, UpstreamError
from tocsin.kernel.event_streams import STREAM_LIMIT, StreamLimit, admit_stream, prepare_stream
from tocsin.kernel.key_pair import create_key_pair
from tocsin.kernel.principal import ON_BEHALF_OF, Principal, PrincipalKind, Scope
from tocsin.kernel.routing import get, post
from tocsin.kernel.service_keys import ServiceKeys
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.shared_time import SharedTime

VALID = "good"
PAIRS = {name: create_key_pair() for name in ("web", "things")}
ADA = Principal(
    PrincipalKind.PERSON, "Ada", frozenset({Scope.READ, Scope.PUBLIC}), UUID("0199f6a2-7c31-7e0b-9d44-51c0a8be2f17")
)


class KnownTokens(Tokens):
    """Knows one token, and counts what it is asked."""

    def __init__(self) -> None:
        self.valid = True
        self.away = False
        self.asked = 0

    async def identify(self, token: str) -> Principal | None:
        self.asked += 1
        if self.away:
            msg = "web-ui cannot be reached; try again in a moment."
            raise UpstreamError(msg)
        return ADA if token == VALID and self.valid else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("public")
    for name, pair in PAIRS.items():
        (made / f"{name}.json").write_text(pair.public)
    return made


def closed(service: str, folder: Path) -> ProcessSettings:
    given = {"access": "closed", "service_key": PAIRS[service].private, "service_keys": folder}
    return ProcessSettings.model_validate(given)


async def whoami(request: web.Request) -> web.Response:
    principal = request[PRINCIPAL]
    return web.json_response({"kind": principal.kind, "actor": actor_of(request, "The CEO"), "id": str(principal.id)})


def app_of(folder: Path) -> web.Application:
    app = base_app(closed("things", folder), service="things")
    app[TOKENS] = KnownTokens()
    app.add_routes(
        [
            get("/public", whoami, scope=Scope.PUBLIC),
            get("/read", whoami, scope=Scope.READ),
            post("/respond", whoami, scope=Scope.RESPOND),
            post("/internal", whoami, scope=Scope.SERVICE),
        ]
    )
    return app


def signed(folder: Path, principal: Principal | None) -> dict[str, str]:
    keys = ServiceKeys.of(closed("web", folder), "web", SharedTime())
    token = ON_BEHALF_OF.set(principal)
    try:
        return dict(keys.authorization("things"))
    finally:
        ON_BEHALF_OF.reset(token)


STATUSES = {
    "nobody": (200, 401, 401, 401),
    "a token": (200, 200, 403, 403),
    "a wrong token": (200, 401, 401, 401),
    "a service": (200, 200, 200, 200),
    "a service on behalf of Ada": (200, 200, 403, 200),
}


@pytest.mark.parametrize("caller", STATUSES)
async def test_a_request_may_do_what_its_principal_may(
    folder: Path, aiohttp_client: AiohttpClient, caller: str
) -> None:
    headers = {
        "nobody": {},
        "a token": {"Authorization": "bearer  good"},
        "a wrong token": {"Authorization": "Bearer bad"},
        "a service": signed(folder, None),
        "a service on behalf of Ada": signed(folder, ADA),
    }[caller]
    client = await aiohttp_client(app_of(folder))
    found = []
    for method, path in (("GET", "/public"), ("GET", "/read"), ("POST", "/respond"), ("POST", "/internal")):
        async with client.request(method, path, headers={**headers, "X-Actor": "Eve"}) as response:
            found.append(response.status)
            if response.status == 401:
                assert response.headers["WWW-Authenticate"] == "Bearer"
                assert "Log in" in (await response.json())["detail"]
    assert tuple(found) == STATUSES[caller]


async def test_a_service_names_whom_it_acts_for_and_nobody_else_can(
    folder: Path, aiohttp_client: AiohttpClient
) -> None:
    client = await aiohttp_client(app_of(folder))
    for headers in ({"Authorization": "Bearer good"}, signed(folder, ADA)):
        async with client.get("/read", headers={**headers, "X-Actor": "Eve"}) as response:
            assert await response.json() == {"kind": "person", "actor": "Ada", "id": str(ADA.id)}
    async with client.get("/read", headers=signed(folder, None)) as response:
        assert (await response.json())["actor"] == "The CEO"  # what a person did waits in an outbox as data


async def test_what_needs_no_permission_works_while_tokens_cannot_be_checked(
    folder: Path, aiohttp_client: AiohttpClient
) -> None:
    app = app_of(folder)
    app[TOKENS].away = True  # type: ignore[attr-defined]
    client = await aiohttp_client(app)
    async with client.get("/public", headers={"Authorization": "Bearer good"}) as response:
        assert response.status == 200
    async with client.get("/read", headers={"Authorization": "Bearer good"}) as response:
        assert response.status == 503


def test_closed_mode_requires_keys(folder: Path) -> None:
    settings = closed("things", folder).model_copy(update={"service_key": None, "service_keys": None})
    with pytest.raises(ConfigurationError, match="ACCESS is closed"):
        base_app(settings, service="things")


@pytest.mark.parametrize("access", ["open", "closed"])
@pytest.mark.parametrize("missing", ["service_key", "service_keys"])
def test_a_service_has_its_own_key_and_the_public_ones_or_neither(folder: Path, missing: str, access: str) -> None:
    settings = closed("things", folder).model_copy(update={missing: None, "access": access})
    with pytest.raises(ConfigurationError, match="both SERVICE_KEY and SERVICE_KEYS, or neither"):
        base_app(settings, service="things")


@pytest.fixture
def elapse(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass for this process's monotonic clock."""
    now = [1_000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    return later


async def test_a_token_is_checked_every_twenty_five_seconds(elapse: Callable[[float], None]) -> None:
    source = KnownTokens()
    tokens = RememberedTokens(source)
    assert [await tokens.identify("good") for _ in range(3)] == [ADA] * 3
    assert await tokens.identify("bad") is None
    assert await tokens.identify("bad") is None
    assert source.asked == 2
    source.valid = False
    elapse(24)
    assert await tokens.identify("good") == ADA
    elapse(1)
    assert await tokens.identify("good") is None


async def test_while_the_web_service_is_away_a_known_token_works_for_five_minutes(
    elapse: Callable[[float], None],
) -> None:
    source = KnownTokens()
    tokens = RememberedTokens(source)
    assert await tokens.identify("good") == ADA
    assert await tokens.identify("bad") is None
    source.away = True
    elapse(299)
    assert await tokens.identify("good") == ADA
    with pytest.raises(UpstreamError):
        await tokens.identify("bad")
    with pytest.raises(UpstreamError):
        await tokens.identify("new")
    elapse(1)
    with pytest.raises(UpstreamError):
        await tokens.identify("good")


async def test_many_tokens_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.kernel.authentication.MAX_TOKENS", 3)
    source = KnownTokens()
    tokens = RememberedTokens(source)
    for token in ("good", "a", "b", "c", "\ud800"):
        await tokens.identify(token)
    await tokens.identify("c")
    assert source.asked == 5
    await tokens.identify("good")
    assert source.asked == 6


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await prepare_stream(request, response)
    async with admit_stream(request):
        await response.write(b": hello\r\n\r\n")
        await Event().wait()
    return response


@pytest.mark.parametrize("event", ["revoked", "away, then revoked"])
async def test_a_stream_ends_with_the_token_that_opened_it(
    folder: Path, aiohttp_client: AiohttpClient, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    monkeypatch.setattr("tocsin.kernel.authentication.STREAM_CHECK_SECONDS", 0.01)
    app = app_of(folder)
    app[STREAM_LIMIT] = StreamLimit(5)
    app.add_routes([get("/stream", stream, scope=Scope.READ)])
    tokens: Any = app[TOKENS]
    client = await aiohttp_client(app)
    async with client.get("/stream", headers={"Authorization": "Bearer good"}) as response:
        assert await response.content.readline() == b": hello\r\n"
        if event != "revoked":
            tokens.away, asked = True, tokens.asked
            await eventually(lambda: tokens.asked > asked + 2)
            assert not response.content.at_eof()
            tokens.away = False
        tokens.valid = False
        with pytest.raises(ClientError):
            await response.content.read()


async def test_the_stream_of_a_signed_call_is_the_business_of_its_service(
    folder: Path, aiohttp_client: AiohttpClient
) -> None:
    app = app_of(folder)
    app[STREAM_LIMIT] = StreamLimit(5)
    app.add_routes([get("/stream", stream, scope=Scope.READ)])
    client = await aiohttp_client(app)
    async with client.get("/stream", headers=signed(folder, ADA)) as response:
        assert await response.content.readline() == b": hello\r\n"
    assert app[TOKENS].asked == 0  # type: ignore[attr-defined]
