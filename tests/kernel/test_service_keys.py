"""The signatures of calls between our services."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient, AiohttpServer
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from pydantic import BaseModel
from time_machine import Traveller

from tocsin.kernel.app import base_app, with_clients
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.errors import ConfigurationError, ForbiddenError, RejectedError, UnauthenticatedError, UpstreamError
from tocsin.kernel.http_client import ServiceClient
from tocsin.kernel.key_pair import KeyPair, create_key_pair, public_key_of
from tocsin.kernel.principal import ON_BEHALF_OF, Principal, PrincipalKind, Scope
from tocsin.kernel.routing import get
from tocsin.kernel.service_keys import SCHEME, ServiceKeys
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.shared_time import SharedTime

PAIRS = {name: create_key_pair() for name in ("caller", "called", "third")}
"""Keys of three services, and the folder of the public ones in `folder`."""


def settings_of(service: str, folder: Path | None, pair: KeyPair | None = None) -> ProcessSettings:
    private = (pair or PAIRS[service]).private if folder or pair else None
    return ProcessSettings.model_validate({"service_key": private, "service_keys": folder})


def keys_of(
    service: str, folder: Path | None, pair: KeyPair | None = None, time: SharedTime | None = None
) -> ServiceKeys:
    return ServiceKeys.of(settings_of(service, folder, pair), service, time or SharedTime())


def token_of(keys: ServiceKeys, audience: str = "called") -> str:
    return keys.authorization(audience)["Authorization"].removeprefix(f"{SCHEME} ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("public")
    for name, pair in PAIRS.items():
        (made / f"{name}.json").write_text(pair.public)
    return made


def test_a_service_knows_who_signed_a_call_to_it(folder: Path) -> None:
    called = keys_of("called", folder)
    assert called.caller(token_of(keys_of("caller", folder))).service == "caller"
    assert called.caller(token_of(keys_of("third", folder))).service == "third"


def test_a_token_is_for_one_service_only(folder: Path) -> None:
    with pytest.raises(UnauthenticatedError, match="for another service"):
        keys_of("called", folder).caller(token_of(keys_of("caller", folder), "third"))


def signed(claims: dict[str, object], pair: KeyPair = PAIRS["caller"], kid: str | None = None) -> str:
    key = OKPKey.import_key(json.loads(pair.private))
    return jwt.encode({"alg": "Ed25519", "kid": kid or key.thumbprint()}, claims, key, algorithms=["Ed25519"])


def unsigned(claims: dict[str, object]) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def signed_with_the_public_key(claims: dict[str, object]) -> str:
    """Return a token whose HMAC has as its secret what everybody can read."""
    key = OctKey.import_key(PAIRS["caller"].public)
    return jwt.encode({"alg": "HS256"}, claims, key, algorithms=["HS256"])


CALLER_ID = OKPKey.import_key(json.loads(PAIRS["caller"].public)).thumbprint()
GOOD: dict[str, object] = {"iss": "caller", "aud": "called"}


@pytest.mark.parametrize(
    "forge",
    [
        lambda claims: signed(claims, PAIRS["third"]),
        lambda claims: signed(claims, PAIRS["third"], kid=CALLER_ID),
        lambda claims: signed(claims, create_key_pair()),
        unsigned,
        signed_with_the_public_key,
        lambda claims: signed({**claims, "exp": None}),
        lambda claims: signed({**claims, "exp": "4000000000"}),
        lambda claims: signed({**claims, "exp": 4_000_000_000}),
        lambda claims: signed({**claims, "exp": True}),
        lambda claims: signed({**claims, "aud": ["called", "third"]}),
        lambda claims: signed({**claims, "iss": ["caller"]}),
        lambda claims: signed({**claims, "iss": "nobody"}),
        lambda claims: signed({**claims, "more": 5_000 * "x"}),
        lambda claims: signed(claims)[:-8] + "AAAAAAAA",
        lambda _: "",
        lambda _: "a.b.c",
        lambda _: "é.\ud800.ü",
    ],
)
def test_a_forged_token_is_refused(folder: Path, forge: Callable[[dict[str, object]], str]) -> None:
    called = keys_of("called", folder)
    claims = {**GOOD, "exp": int(datetime.now(UTC).timestamp()) + 60}
    assert called.caller(signed(claims)).service == "caller"
    with pytest.raises(UnauthenticatedError):
        called.caller(forge(claims))


@given(st.text())
def test_whatever_is_sent_as_a_token_is_refused(folder: Path, token: str) -> None:
    with pytest.raises(UnauthenticatedError):
        keys_of("called", folder).caller(token)


def test_a_token_is_reused_for_five_seconds_and_expires_after_sixty(folder: Path, time_machine: Traveller) -> None:
    began = datetime(2026, 12, 1, tzinfo=UTC)
    time_machine.move_to(began, tick=False)
    caller, called = keys_of("caller", folder), keys_of("called", folder)
    first = token_of(caller)
    time_machine.move_to(began + timedelta(seconds=4.9), tick=False)
    assert token_of(caller) == first
    time_machine.move_to(began + timedelta(seconds=5.1), tick=False)
    assert token_of(caller) != first
    time_machine.move_to(began + timedelta(seconds=59), tick=False)
    assert called.caller(first).service == "caller"
    time_machine.move_to(began + timedelta(seconds=60), tick=False)
    with pytest.raises(UnauthenticatedError, match="expired"):
        called.caller(first)  # although it was checked before


def test_a_token_made_before_the_clock_was_set_back_is_not_reused(folder: Path, time_machine: Traveller) -> None:
    began = datetime(2026, 12, 1, tzinfo=UTC)
    time_machine.move_to(began, tick=False)
    caller = keys_of("caller", folder)
    first = token_of(caller)
    time_machine.move_to(began - timedelta(hours=1), tick=False)
    assert token_of(caller) != first


@pytest.mark.parametrize("hours", [-1, 1])
def test_services_whose_clocks_differ_agree_in_the_time_of_the_database(folder: Path, hours: int) -> None:
    wrong = SharedTime()
    wrong.correct(timedelta(hours=hours))
    called = keys_of("called", folder)
    with pytest.raises(UnauthenticatedError, match=r"expired|from the future"):
        called.caller(token_of(keys_of("caller", folder, time=wrong)))
    measured = SharedTime()
    measured.correct(timedelta(seconds=-20))
    assert called.caller(token_of(keys_of("caller", folder, time=measured))).service == "caller"


def test_the_keys_of_a_service_can_be_replaced_while_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "caller.json").write_text(PAIRS["caller"].public)
    called, new = keys_of("called", tmp_path), create_key_pair()
    assert called.caller(token_of(keys_of("caller", tmp_path))).service == "caller"
    (tmp_path / "caller.json").write_text(new.public)
    assert called.caller(token_of(keys_of("caller", tmp_path, new))).service == "caller"
    (tmp_path / "caller.json").write_text("{")
    with pytest.raises(UnauthenticatedError):  # a damaged file, within a second of the last reading and after it
        called.caller(token_of(keys_of("caller", None, PAIRS["third"])))
    monkeypatch.setattr("tocsin.kernel.service_keys.RELOAD_SECONDS", -1.0)
    for _ in range(2):
        with pytest.raises(UnauthenticatedError):
            called.caller(token_of(keys_of("caller", None, PAIRS["third"])))
    assert called.caller(token_of(keys_of("caller", None, new))).service == "caller"


def test_a_thousand_tokens_do_not_fill_the_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.kernel.service_keys.MAX_REMEMBERED", 3)
    called = keys_of("called", folder)
    expires = int(datetime.now(UTC).timestamp()) + 60
    for number in range(10):
        assert called.caller(signed({**GOOD, "exp": expires, "number": number})).service == "caller"
    assert len(called._checked) <= 3  # noqa: SLF001 - nothing else shows the memory


@pytest.mark.parametrize(
    ("given_settings", "reason"),
    [
        ({"service_key": "secret-of-mine"}, "SERVICE_KEY is not an Ed25519 key"),
        ({"service_key": '{"kty": "OKP"}'}, "SERVICE_KEY is not an Ed25519 key"),
        ({"service_key": "[]"}, "SERVICE_KEY is not an Ed25519 key"),
        ({"service_key": PAIRS["caller"].public}, "SERVICE_KEY is a public key"),
    ],
)
def test_a_key_that_is_none_is_reported_without_it(given_settings: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as refused:
        ServiceKeys.of(ProcessSettings.model_validate(given_settings), "caller", SharedTime())
    assert given_settings["service_key"] not in str(refused.value)


def test_a_file_without_a_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "called.json").write_text("nonsense")
    with pytest.raises(ConfigurationError, match=str(tmp_path / "called.json")):
        keys_of("called", tmp_path)


def test_the_public_key_of_a_private_one_is_the_one_made_with_it() -> None:
    assert public_key_of(PAIRS["caller"].private) == PAIRS["caller"].public
    assert json.loads(PAIRS["caller"].private)["d"] not in PAIRS["caller"].public
    for text in ("nonsense", "[]", "{}", "1"):
        with pytest.raises(ValueError, match=r"key|Expecting"):
            public_key_of(text)


class Whoami(BaseModel):
    kind: str


async def whoami(request: web.Request) -> web.Response:
    return web.json_response(Whoami(kind=request[PRINCIPAL].kind).model_dump())


def app_of(service: str, folder: Path | None, pair: KeyPair | None = None) -> web.Application:
    app = base_app(settings_of(service, folder, pair), service=service)
    app.add_routes([get("/who", whoami, scope=Scope.READ)])
    return app


async def test_a_service_signs_its_calls_and_the_other_one_sees_who_it_is(
    folder: Path, aiohttp_client: AiohttpClient, aiohttp_server: AiohttpServer
) -> None:
    server = await aiohttp_server(app_of("called", folder))
    app = app_of("caller", folder)
    client = ServiceClient(str(server.make_url("/")).rstrip("/"), app[CLIENT_METRICS], peer="called")
    with_clients(app, client)
    await aiohttp_client(app)
    assert (await client.get("/who", Whoami)).kind == "service"
    async with (await aiohttp_client(server)).get("/who") as response:
        assert (await response.json())["kind"] == "open"


async def test_a_refused_service_tries_again_until_its_key_is_known(
    folder: Path, aiohttp_client: AiohttpClient, aiohttp_server: AiohttpServer
) -> None:
    server = await aiohttp_server(app_of("called", folder))
    app = app_of("caller", folder, create_key_pair())
    client = ServiceClient(str(server.make_url("/")).rstrip("/"), app[CLIENT_METRICS], peer="called")
    with_clients(app, client)
    await aiohttp_client(app)
    with pytest.raises(UpstreamError, match="refuses the calls of this service"):
        await client.get("/who", Whoami)


async def test_a_person_who_may_not_do_something_is_told_so_at_once_and_a_service_tries_again(
    folder: Path, aiohttp_client: AiohttpClient, aiohttp_server: AiohttpServer
) -> None:
    asked = 0

    async def refuse(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        msg = "Only managers may."
        raise ForbiddenError(msg)

    called, app = app_of("called", folder), app_of("caller", folder)
    called.add_routes([get("/forbidden", refuse, scope=Scope.READ)])
    server = await aiohttp_server(called)
    client = ServiceClient(str(server.make_url("/")).rstrip("/"), app[CLIENT_METRICS], peer="called")
    with_clients(app, client)
    await aiohttp_client(app)
    token = ON_BEHALF_OF.set(Principal(PrincipalKind.PERSON, "Ada", frozenset({Scope.READ})))
    with pytest.raises(RejectedError, match="Only managers may"):
        await client.get("/forbidden", Whoami)
    assert asked == 1
    ON_BEHALF_OF.reset(token)
    with pytest.raises(UpstreamError, match="refuses the calls of this service"):
        await client.get("/forbidden", Whoami)
    assert asked > 2


async def test_an_invalid_signature_gets_a_problem_document(folder: Path, aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(app_of("called", folder))
    async with client.get("/who", headers={"Authorization": f"{SCHEME} nonsense"}) as response:
        problem = await response.json()
        assert (response.status, problem["type"]) == (401, "urn:tocsin:problem:unauthenticated")
        assert "SERVICE_KEYS" in problem["detail"]
        assert response.headers["WWW-Authenticate"] == SCHEME
    async with client.get("/who", headers={"Authorization": "Bearer nonsense"}) as response:
        assert response.status == 200


async def test_a_service_without_public_keys_checks_no_signature(folder: Path, aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(app_of("called", None))
    signature = keys_of("caller", folder).authorization("called")
    async with client.get("/who", headers=signature) as response:
        assert (await response.json())["kind"] == "open"
