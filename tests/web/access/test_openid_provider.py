"""The OpenID provider over real HTTP: what is asked of it, what is believed, and what happens while it misbehaves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry

from tests.fakes.openid_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    FakeOpenIDProvider,
    never_responds,
    new_key,
    returns,
    without_end,
)
from tests.support.kernel.fake_clock import FakeClock
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.shared_time import SharedTime
from tocsin.web.access.domain.openid import Flow, LogInRefusedError, ProviderError, new_flow
from tocsin.web.access.provider import client
from tocsin.web.access.provider.openid import OpenIDProvider
from tocsin.web.settings import Settings

Connect: TypeAlias = Callable[..., Awaitable[OpenIDProvider]]


@pytest_asyncio.fixture(loop_scope="session")
async def fake() -> AsyncIterator[FakeOpenIDProvider]:
    async with FakeOpenIDProvider(redirect_uri="https://tocsin.example/login/oidc/callback").serving() as serving:
        yield serving


@pytest.fixture
def time() -> SharedTime:
    return SharedTime()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest_asyncio.fixture(loop_scope="session")
async def connect(fake: FakeOpenIDProvider, time: SharedTime, registry: CollectorRegistry) -> AsyncIterator[Connect]:
    """Connect to the fake provider, with the given settings."""
    opened = []
    metrics = ClientMetrics.register(registry)

    async def connected(**given: Any) -> OpenIDProvider:
        settings = {
            "access": "closed",
            "public_url": "https://tocsin.example",
            "oidc_issuer": fake.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
        }
        provider = OpenIDProvider(Settings.model_validate(settings | given), time, metrics)
        opened.append(provider.context(web.Application()))
        await anext(opened[-1])
        return provider

    yield connected
    for context in opened:
        assert await anext(context, "closed") == "closed"


@pytest_asyncio.fixture(loop_scope="session")
async def provider(connect: Connect) -> OpenIDProvider:
    return await connect()


async def answer_to(provider: OpenIDProvider, flow: Flow) -> dict[str, str]:
    """Log in as a browser does; return the parameters with which it comes back."""
    url = await provider.authorization_url(flow, select_account=False)
    async with ClientSession() as browser, browser.get(url, allow_redirects=False) as response:
        assert response.status == 303, await response.text()
        query = parse_qs(urlsplit(response.headers["Location"]).query)
        return {name: values[0] for name, values in query.items()}


async def log_in(provider: OpenIDProvider) -> Any:
    flow = new_flow("")
    return await provider.identify(flow, await answer_to(provider, flow))


async def failure(provider: OpenIDProvider) -> str:
    with pytest.raises(ProviderError) as caught:
        await log_in(provider)
    return str(caught.value)


async def test_a_person_is_identified(provider: OpenIDProvider, fake: FakeOpenIDProvider) -> None:
    found = await log_in(provider)
    assert (found.issuer, found.subject, found.email) == (fake.issuer, "f:7c1d/ada", "Ada@example.org")
    assert (found.name, found.groups) == ("Ada Lovelace", {"sre", "everybody"})
    assert fake.refused == []
    assert "userinfo" not in fake.asked


async def test_addresses_and_keys_are_fetched_once_an_hour(
    provider: OpenIDProvider, fake: FakeOpenIDProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    clock.install(monkeypatch, ["tocsin.web.access.provider.client.clock"])
    for _ in range(3):
        await log_in(provider)
    assert (fake.asked["openid-configuration"], fake.asked["keys"]) == (1, 1)
    clock.seconds += client.KEEP_SECONDS + 1
    await log_in(provider)
    assert (fake.asked["openid-configuration"], fake.asked["keys"]) == (2, 2)


async def test_new_keys_are_fetched_when_a_token_needs_them_at_most_once_a_minute(
    provider: OpenIDProvider, fake: FakeOpenIDProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    clock.install(monkeypatch, ["tocsin.web.access.provider.client.clock"])
    await log_in(provider)
    published = fake.keys
    fake.keys = [new_key("second")]
    assert "its answer is not valid" in await failure(provider)
    assert fake.asked["keys"] == 1
    clock.seconds += 61
    await log_in(provider)
    await log_in(provider)
    assert fake.asked["keys"] == 2
    fake.keys = published  # signed by a key that was published when nobody asked
    for _ in range(5):
        await failure(provider)
    assert fake.asked["keys"] == 2


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "another client"},
        {"azp": "another client"},
        {"nonce": "of another log-in"},
        {"nonce": None},
        {"exp": 1_000_000_000},
        {"iat": 9_000_000_000},
        {"sub": None},
    ],
)
async def test_a_token_with_wrong_claims_is_not_believed(
    provider: OpenIDProvider, fake: FakeOpenIDProvider, claims: dict[str, Any]
) -> None:
    fake.claims = claims
    assert "its answer is not valid" in await failure(provider)


async def test_time_is_the_databases_and_may_differ_by_a_minute(provider: OpenIDProvider, time: SharedTime) -> None:
    for minutes in (-0.9, 5.5):  # a token is valid for five minutes
        time.correct(timedelta(minutes=-minutes))
        await log_in(provider)
    for minutes in (-1.5, 6.5):
        time.correct(timedelta(minutes=-minutes))
        assert "its answer is not valid" in await failure(provider)


async def test_the_answer_of_another_provider_is_refused(provider: OpenIDProvider, fake: FakeOpenIDProvider) -> None:
    flow = new_flow("")
    answer = await answer_to(provider, flow)
    for mixed_up in (answer | {"iss": "https://evil.example"}, {k: v for k, v in answer.items() if k != "iss"}):
        with pytest.raises(ProviderError, match="another provider"):
            await provider.identify(flow, mixed_up)
    assert "token" not in fake.asked, "the code was sent to nobody"
    await provider.identify(flow, answer)


async def test_a_provider_that_never_states_itself_in_an_answer_is_believed(
    provider: OpenIDProvider, fake: FakeOpenIDProvider
) -> None:
    fake.metadata = {"authorization_response_iss_parameter_supported": None}
    flow = new_flow("")
    answer = await answer_to(provider, flow)
    del answer["iss"]
    assert (await provider.identify(flow, answer)).subject == "f:7c1d/ada"


async def test_a_code_is_good_once_and_for_the_flow_that_it_was_issued_to(
    provider: OpenIDProvider, fake: FakeOpenIDProvider
) -> None:
    flow = new_flow("")
    answer = await answer_to(provider, flow)
    with pytest.raises(LogInRefusedError):  # PKCE: the verifier of another browser
        await provider.identify(Flow(new_flow("").browser, flow.state), answer)
    answer = await answer_to(provider, flow)
    await provider.identify(flow, answer)
    with pytest.raises(LogInRefusedError):
        await provider.identify(flow, answer)
    assert fake.refused == ["invalid_grant"] * 2


@pytest.mark.parametrize("methods", [["client_secret_post"], ["private_key_jwt", "client_secret_basic"], None])
async def test_the_secret_is_sent_as_the_provider_wants_it(
    connect: Connect, fake: FakeOpenIDProvider, methods: list[str] | None
) -> None:
    fake.metadata = {"token_endpoint_auth_methods_supported": methods}
    await log_in(await connect())
    assert fake.refused == []
    assert "it refuses" in await failure(await connect(oidc_client_secret="another"))  # noqa: S106 - it is wrong
    assert fake.refused == ["invalid_client"]


async def test_what_is_not_in_the_token_is_asked_for(connect: Connect, fake: FakeOpenIDProvider) -> None:
    fake.claims = {"email": None, "email_verified": None, "groups": None}
    found = await log_in(await connect())
    assert (found.email, found.groups) == ("Ada@example.org", {"sre", "everybody"})
    fake.claims = {"groups": None}
    await log_in(await connect())
    assert fake.asked["userinfo"] == 1, "without OIDC_ROLES nobody needs groups"
    await log_in(await connect(oidc_roles="sre=viewer"))
    assert fake.asked["userinfo"] == 2
    fake.behaviours["userinfo"] = returns(200, b'{"sub": "somebody else", "groups": ["admins"]}')
    assert "contradict" in await failure(await connect(oidc_roles="sre=viewer"))


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "http://id.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "http://id.example"},
    ],
)
async def test_a_provider_that_states_something_unsafe_is_not_used(
    provider: OpenIDProvider, fake: FakeOpenIDProvider, metadata: dict[str, Any]
) -> None:
    fake.metadata = metadata
    await failure(provider)
    assert set(fake.asked) == {"openid-configuration"}


async def test_the_query_of_the_providers_own_address_stays(provider: OpenIDProvider, fake: FakeOpenIDProvider) -> None:
    fake.metadata = {"authorization_endpoint": f"{fake.issuer}/authorize?tenant=1"}
    url = await provider.authorization_url(new_flow(""), select_account=True)
    assert parse_qs(urlsplit(url).query)["tenant"] == ["1"]
    assert parse_qs(urlsplit(url).query)["prompt"] == ["select_account"]


@pytest.mark.parametrize("part", ["openid-configuration", "keys", "token"])
@pytest.mark.parametrize(
    "behaviour",
    [
        returns(500),
        returns(404),
        returns(301, Location="http://127.0.0.1:1/"),
        returns(200, b"<html>"),
        returns(200, b"null"),
        returns(200, b'{"a":' * 100_000),
        returns(200, b"\xff"),
        without_end,
        never_responds,
    ],
    ids=["500", "404", "redirect", "html", "null", "deep", "no UTF-8", "endless", "slow"],
)
async def test_a_provider_that_fails_says_so_in_time(
    provider: OpenIDProvider,
    fake: FakeOpenIDProvider,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    behaviour: Any,
) -> None:
    monkeypatch.setattr(client, "REQUEST_SECONDS", 0.5)
    fake.behaviours[part] = behaviour
    assert "Use your password, or try again." in await failure(provider)


async def test_many_log_ins_ask_a_failing_provider_once_and_work_once_it_does(
    provider: OpenIDProvider, fake: FakeOpenIDProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    clock.install(monkeypatch, ["tocsin.web.access.provider.client.clock"])
    fake.behaviours["openid-configuration"] = returns(503)
    for _ in range(20):
        await failure(provider)
    assert fake.asked == {"openid-configuration": 1}
    fake.behaviours.clear()
    clock.seconds += client.RETRY_SECONDS + 0.1
    await log_in(provider)


async def test_requests_of_the_provider_are_counted_by_their_outcome(
    provider: OpenIDProvider, fake: FakeOpenIDProvider, registry: CollectorRegistry
) -> None:
    await log_in(provider)
    fake.behaviours["token"] = returns(500)
    await failure(provider)
    name = "tocsin_client_request_duration_seconds_count"
    counts = [
        registry.get_sample_value(name, {"peer": client.PEER, "outcome": outcome}) for outcome in ("ok", "status")
    ]
    assert counts == [3, 1]  # discovery, code and keys; another code


async def test_no_code_token_or_secret_is_logged(
    provider: OpenIDProvider, fake: FakeOpenIDProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    issued = []
    sign = fake.sign

    def remember(claims: dict[str, Any]) -> str:
        issued.append(sign(claims))
        return issued[-1]

    fake.sign, fake.claims = remember, {"nonce": "wrong"}
    flow = new_flow("")
    answer = await answer_to(provider, flow)
    with pytest.raises(ProviderError) as caught:
        await provider.identify(flow, answer)
    fake.sign = lambda _claims: "not a token"
    await failure(provider)
    printed = capsys.readouterr()
    shown = printed.out + printed.err + repr((caught.value, caught.value.__cause__, flow, provider))
    assert "belongs to another log-in (nonce)" in shown
    for secret in (answer["code"], answer["state"], flow.browser, flow.verifier, *issued, CLIENT_SECRET):
        assert secret not in shown
