"""The OpenID provider over real HTTP: what is asked of it, and what is believed."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes.openid_provider import FakeOpenIDProvider, new_key, returns
from tests.support.kernel.fake_clock import FakeClock
from tests.web.access.conftest import Connect
from tests.web.access.openid import answer_to, failure, log_in
from tocsin.kernel.shared_time import SharedTime
from tocsin.web.access.domain.openid import Flow, LogInRefusedError, ProviderError, new_flow
from tocsin.web.access.provider import client
from tocsin.web.access.provider.openid import OpenIDProvider


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
    assert "its response is not valid" in await failure(provider)
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
    assert "its response is not valid" in await failure(provider)


async def test_time_is_the_databases_and_may_differ_by_a_minute(
    provider: OpenIDProvider, shared_time: SharedTime
) -> None:
    for minutes in (-0.9, 5.5):  # a token is valid for five minutes
        shared_time.correct(timedelta(minutes=-minutes))
        await log_in(provider)
    for minutes in (-1.5, 6.5):
        shared_time.correct(timedelta(minutes=-minutes))
        assert "its response is not valid" in await failure(provider)


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


async def test_the_query_of_the_providers_own_address_stays(provider: OpenIDProvider, fake: FakeOpenIDProvider) -> None:
    fake.metadata = {"authorization_endpoint": f"{fake.issuer}/authorize?tenant=1"}
    url = await provider.authorization_url(new_flow(""), select_account=True)
    assert parse_qs(urlsplit(url).query)["tenant"] == ["1"]
    assert parse_qs(urlsplit(url).query)["prompt"] == ["select_account"]
