"""Without log-ins, a service that other machines may reach does not start unless that is meant."""

from typing import Any

import pytest
from aiohttp.pytest_plugin import AiohttpClient

from tests.support.kernel.running_server import Launch, listening
from tocsin.kernel.app import base_app
from tocsin.kernel.network_exposure import start_refusal
from tocsin.kernel.settings import ProcessSettings


def refusal(**settings: Any) -> str | None:
    return start_refusal(ProcessSettings.model_validate(settings))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bind_address": "127.1.2.3"},
        {"bind_address": "::1"},
        {"bind_address": "::ffff:127.0.0.1"},
        {"bind_address": "localhost"},
        {"bind_address": "0.0.0.0", "published_address": "127.0.0.1"},  # noqa: S104 - inside a container
        {"bind_address": "::", "published_address": "::1"},
        {"public_url": "http://localhost:8080"},
        {"public_url": "https://tocsin.localhost/"},
        {"public_url": "http://[::1]:8080"},
    ],
)
def test_a_process_that_only_its_own_machine_reaches_starts(settings: dict[str, str]) -> None:
    assert refusal(**settings) is None


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"bind_address": "0.0.0.0"}, "BIND_ADDRESS is 0.0.0.0"),  # noqa: S104 - that is refused
        ({"bind_address": "::"}, "BIND_ADDRESS is ::"),
        ({"bind_address": "192.168.7.20"}, "BIND_ADDRESS is 192.168.7.20"),
        ({"bind_address": "::ffff:10.0.0.7"}, "BIND_ADDRESS is ::ffff:10.0.0.7"),
        ({"bind_address": "tocsin.lan"}, "BIND_ADDRESS is tocsin.lan"),
        ({"bind_address": "localhost.evil.example"}, "BIND_ADDRESS is localhost.evil.example"),
        ({"bind_address": "::", "published_address": "0.0.0.0"}, "PUBLISHED_ADDRESS is 0.0.0.0"),  # noqa: S104 - refused
        ({"published_address": "10.0.0.7"}, "PUBLISHED_ADDRESS is 10.0.0.7"),
        ({"public_url": "https://pager.example"}, "PUBLIC_URL is https://pager.example"),
        ({"public_url": "http://10.0.0.7:8080"}, "PUBLIC_URL is http://10.0.0.7:8080"),
        ({"trusted_proxies": "127.0.0.1,10.0.0.0/8"}, "TRUSTED_PROXIES is 127.0.0.1,10.0.0.0/8"),
    ],
)
def test_a_process_that_other_machines_may_reach_is_refused_unless_that_is_meant(
    settings: dict[str, str], named: str
) -> None:
    line = refusal(**settings)
    assert line is not None
    assert line.startswith(f"{named}: other machines may reach Tocsin.")
    assert "ALLOW_OPEN_NETWORK=yes" in line
    assert refusal(**settings, allow_open_network="yes") is None
    assert refusal(**settings, access="closed") is None


@pytest.mark.slow
async def test_the_refusal_is_one_line_and_the_status_of_a_wrong_configuration(launch: Launch) -> None:
    code, errors = await (await launch(BIND_ADDRESS="0.0.0.0")).end()  # noqa: S104 - that is refused
    assert code == 78
    (line,) = errors.splitlines()
    assert line.startswith("BIND_ADDRESS is 0.0.0.0: ")


@pytest.mark.slow
async def test_a_process_that_may_be_open_starts(launch: Launch) -> None:
    running = await listening(await launch(PUBLIC_URL="https://pager.example", ALLOW_OPEN_NETWORK="yes"))
    running.process.terminate()
    assert (await running.end())[0] == 0


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "x-forwarded-for"])
@pytest.mark.parametrize("path", ["/health", "/metrics", "/openapi.json", "/nowhere"])
async def test_a_request_that_a_proxy_has_forwarded_is_refused_unless_that_is_meant(
    aiohttp_client: AiohttpClient, header: str, path: str
) -> None:
    private = await aiohttp_client(base_app(ProcessSettings(), service="things"))
    async with private.get(path, headers={header: "for=203.0.113.9"}) as response:
        assert response.status == 403
        assert "ALLOW_OPEN_NETWORK=yes" in (await response.json())["detail"]
    open_to_all = await aiohttp_client(base_app(ProcessSettings(allow_open_network=True), service="things"))
    async with open_to_all.get(path, headers={header: "for=203.0.113.9"}) as response:
        assert response.status == (404 if path == "/nowhere" else 200)
