"""A service behind the gateway that echoes requests, streams both ways, and can abort."""

import asyncio
from typing import Any

from aiohttp import web

from tests.fakes.peer import FakePeer


class FakeUpstream(FakePeer):
    """Echoes every request under `/api/v1/`, except for a few special paths."""

    def __init__(self) -> None:
        super().__init__([web.route("*", "/{path:.*}", self._behave)])
        self.forwarded: list[dict[str, Any]] = []
        """The requests that the gateway forwarded."""
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        """The next lines of the stream; an empty one ends it."""
        self.streams = 0
        """The number of open streams."""
        self.received = asyncio.Event()
        """Set once the first bytes of an upload have arrived."""

    def _middleware(self) -> Any:
        @web.middleware
        async def wait(request: web.Request, handler: Any) -> web.StreamResponse:
            await self.gate.wait()
            response: web.StreamResponse = await handler(request)  # which reads the body as it comes
            return response

        return wait

    async def _behave(self, request: web.Request) -> web.StreamResponse:
        ways = {
            "stream": self._stream,
            "breaks": self._break_off,
            "upload": self._take_slowly,
            "packed": self._packed,
            "large": self._large,
        }
        return await ways.get(request.path.rsplit("/", 1)[-1], self._echo)(request)

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = dict(request.headers)
        self.forwarded.append(
            {"method": request.method, "path": request.raw_path, "headers": headers, "body": body, "size": len(body)}
        )
        status = int(request.headers.get("X-Answer", "200"))
        answered = {
            "X-From": "upstream",
            "Connection": "X-Secret-Hop",
            "X-Secret-Hop": "1",
            "Keep-Alive": "timeout=5",
            "Retry-After": "7",
        }
        if status == 304:
            return web.Response(status=304, headers=answered)
        return web.json_response({"path": request.raw_path, "size": len(body)}, status=status, headers=answered)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Last": _last_id(request)})
        await response.prepare(request)
        self.streams += 1
        try:
            while line := await self.lines.get():
                await response.write(line)
        finally:
            self.streams -= 1
        return response

    async def _break_off(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _take_slowly(self, request: web.Request) -> web.StreamResponse:
        taken = 0
        async for chunk in request.content.iter_any():
            taken += len(chunk)
            self.received.set()
        return web.json_response({"size": taken})

    async def _packed(self, _request: web.Request) -> web.StreamResponse:
        response = web.json_response({"long": "x" * 5_000})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _large(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 20_000_000)


def _last_id(request: web.Request) -> str:
    return request.headers.get("Last-Event-ID", "none")
