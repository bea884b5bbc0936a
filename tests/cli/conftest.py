"""A gateway with scripted responses, over real HTTP."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer


class FakeGateway:
    """Responds by method and path; records the requests."""

    def __init__(self) -> None:
        self.url = ""
        self.responses: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.headers: list[dict[str, str]] = []

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._respond)
        return app

    async def _respond(self, request: web.Request) -> web.Response:
        target = f"{request.method} {request.path}"
        body = await request.json() if request.can_read_body else None
        self.requests.append((target, dict(request.query), body))
        self.headers.append(dict(request.headers))
        status, response = self.responses.get(target, (404, problem(404, f"There is no {request.path}.")))
        return web.json_response(response, status=status)


def problem(status: int, detail: str) -> dict[str, Any]:
    """Return a problem document."""
    return {"type": "urn:tocsin:problem:x", "title": "X", "status": status, "detail": detail, "request_id": "r"}


@pytest.fixture
async def gateway(aiohttp_server: AiohttpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeGateway:
    fake = FakeGateway()
    server = await aiohttp_server(fake.app())
    fake.url = str(server.make_url("/"))
    monkeypatch.setenv("TOCSIN_URL", fake.url)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return fake
