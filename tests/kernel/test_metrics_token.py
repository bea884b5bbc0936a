"""`/metrics` with METRICS_TOKEN."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp.pytest_plugin import AiohttpClient

from tests.kernel.conftest import EdgeClient
from tocsin.kernel.app import base_app
from tocsin.kernel.settings import ProcessSettings

Start = Callable[[str | None], Awaitable[EdgeClient]]
TOKEN = "s3cret-\u00e9"  # noqa: S105


@pytest.fixture
def start(aiohttp_client: AiohttpClient) -> Start:
    async def start_one(token: str | None) -> EdgeClient:
        return await aiohttp_client(base_app(ProcessSettings(metrics_token=token), service="things"))

    return start_one


async def test_without_a_token_anyone_may_scrape(start: Start) -> None:
    client = await start(None)
    for headers in ({}, {"Authorization": "Bearer anything"}):
        async with client.get("/metrics", headers=headers) as response:
            assert response.status == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_whoever_has_the_token_may_scrape(start: Start, scheme: str) -> None:
    client = await start(TOKEN)
    async with client.get("/metrics", headers={"Authorization": f"{scheme} {TOKEN}"}) as response:
        assert response.status == 200
        assert "tocsin_http_requests_in_progress" in await response.text()


@pytest.mark.parametrize(
    "given",
    [[], [""], ["Bearer"], ["Bearer "], [TOKEN], [f"Basic {TOKEN}"], [f"Bearer {TOKEN}x"], [f"Bearer {TOKEN}"] * 2],
)
async def test_anyone_else_gets_a_401(start: Start, given: list[str]) -> None:
    client = await start(TOKEN)
    headers = [("Authorization", value) for value in given]
    for method in ("GET", "HEAD"):
        async with client.request(method, "/metrics", headers=headers) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert response.content_type == "application/problem+json"
            text = await response.text()
            assert TOKEN not in text
            assert "tocsin_http" not in text
    async with client.get("/health/ready", headers=headers) as response:
        assert response.status == 200


async def test_the_token_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    monkeypatch.setenv("METRICS_TOKEN_FILE", str(file))
    settings = ProcessSettings()
    assert settings.metrics_token is not None
    assert settings.metrics_token.get_secret_value() == TOKEN
    assert TOKEN not in repr(settings)
