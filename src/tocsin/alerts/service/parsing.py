"""Parse bodies without blocking the event loop: small ones at once, large ones in a thread."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web

from tocsin.integrations.integration import DEFAULT_CONFIG, IncomingAlert, Integration
from tocsin.kernel.validation import refuse_too_many_values

SMALL_BYTES: Final = 64 * 1024
"""Bodies up to this size are parsed on the event loop, which blocks it for some hundredths of a second at most."""


class BodyParser:
    """Parses bodies; large ones in a thread, one at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parser")
        self.waiting = 0
        """Large bodies that are parsed or queued."""

    async def parse(self, integration: Integration, body: bytes) -> list[IncomingAlert]:
        """Return the alerts in *body*.

        Raise MalformedRequestError, InvalidRequestError, or TooLargeError for too many values.
        """
        if len(body) <= SMALL_BYTES:
            return integration.parse(body, DEFAULT_CONFIG)
        refuse_too_many_values(body, integration.max_values)
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, integration.parse, body, DEFAULT_CONFIG
            )
        finally:
            self.waiting -= 1

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Shut down the thread when the application stops (a cleanup context)."""
        yield
        self._thread.shutdown(wait=False, cancel_futures=True)
