"""Reading requests without keeping others waiting: a small one at once, a large one beside the event loop."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web

from tocsin.integrations.integration import DEFAULT_CONFIG, IncomingAlert, Integration
from tocsin.kernel.errors import TooLargeError, UnavailableError

SMALL_BYTES: Final = 64 * 1024
"""Read at once, in some hundredths of a second at worst."""
MAX_VALUES: Final = 300_000
"""In one body: a full group of alerts has some 20 for each. What is compiled in reading holds Python's lock for all of
them, so that a thread alone would not help."""
MAX_WAITING: Final = 8
"""Large bodies that wait to be read; beyond that their senders are told to come back."""


class Parser:
    """Reads requests; large ones one at a time, in a thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parser")
        self.waiting = 0
        """Large requests that are, or wait to be, read."""

    async def parse(self, integration: Integration, body: bytes) -> list[IncomingAlert]:
        """Return the alerts in *body*.

        Raise MalformedRequestError, InvalidRequestError, TooLargeError for too many values, UnavailableError where too
        many large ones wait.
        """
        if len(body) <= SMALL_BYTES:
            return integration.parse(body, DEFAULT_CONFIG)
        # Each value but the first of an object or a list comes after a comma; those in texts count, too.
        if body.count(b",") + body.count(b"{") + body.count(b"[") > MAX_VALUES:
            msg = f"The body has more than {MAX_VALUES} values; send it in parts."
            raise TooLargeError(msg)
        if self.waiting >= MAX_WAITING:
            msg = "More large requests arrive than can be read; try again in a moment."
            raise UnavailableError(msg)
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, integration.parse, body, DEFAULT_CONFIG
            )
        finally:
            self.waiting -= 1

    async def context(self, _app: web.Application) -> AsyncIterator[None]:
        """Let go of the thread at the end (a cleanup context)."""
        yield
        self._thread.shutdown(wait=False, cancel_futures=True)


PARSER: Final = web.AppKey("PARSER", Parser)
