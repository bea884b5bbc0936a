"""A browser that requests a page and disconnects immediately."""

import asyncio
import gc

import pytest

from tests.support.web.browser_queries import read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client

PAGES = ("/", "/incidents", "/incidents/2481", "/alerts", "/notifications", "/oncall", "/analytics")


@pytest.mark.parametrize("path", PAGES)
async def test_no_coroutine_of_a_disconnected_browser_is_left_unawaited(
    client: Client, services: Services, path: str
) -> None:
    services.fill()
    await read(client, path)
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode())
        writer.close()
    await read(client, path)
    gc.collect()  # a coroutine that was never awaited is a warning then, and a warning fails the test
