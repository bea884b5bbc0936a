"""A gateway that answers what a test tells it, over real HTTP."""

from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer


class FakeGateway:
    """Answers by method and path; remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.headers: list[dict[str, str]] = []

    def app(self) -> web.Application:
        """Return the application that answers."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        asked = f"{request.method} {request.path}"
        body = await request.json() if request.can_read_body else None
        self.asked.append((asked, dict(request.query), body))
        self.headers.append(dict(request.headers))
        status, answer = self.answers.get(asked, (404, problem(404, f"There is no {request.path}.")))
        return web.json_response(answer, status=status)


def problem(status: int, detail: str) -> dict[str, Any]:
    """Return a problem document."""
    return {"type": "urn:tocsin:problem:x", "title": "X", "status": status, "detail": detail, "request_id": "r"}


@pytest.fixture
async def gateway(aiohttp_server: AiohttpServer, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    fake = FakeGateway()
    server = await aiohttp_server(fake.app())
    fake.url = str(server.make_url("/"))
    monkeypatch.setenv("TOCSIN_URL", fake.url)
    return fake
