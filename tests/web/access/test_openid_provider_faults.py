"""An OpenID provider that misbehaves over real HTTP: it is not believed, and nobody waits long."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.openid_provider import CLIENT_SECRET, FakeOpenIDProvider, never_responds, returns, without_end
from tests.support.kernel.fake_clock import FakeClock
from tests.web.access.openid import answer_to, failure, log_in
from tocsin.web.access.domain.openid import ProviderError, new_flow
from tocsin.web.access.provider import client
from tocsin.web.access.provider.openid import OpenIDProvider


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
