"""Open pages in a real browser."""

from typing import Any, Final
from urllib.parse import quote

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, ViewportSize, expect

from tests.support.waiting import NotYet, eventually
from tests.support.web.demo_night import Services

DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 900}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
NO_SHARED_WORKER: Final = "delete window.SharedWorker"


class Visit:
    """Pages in a browser, with their problems: errors, violations of the security policy, requests to other hosts."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._expected: list[str] = []
        self._complaints: list[str] = []
        self.url = url.rstrip("/")

    @property
    def complaints(self) -> list[str]:
        """The problems that were not expected."""
        return [text for text in self._complaints if not any(expected in text for expected in self._expected)]

    def expect(self, *parts: str) -> None:
        """Expect problems that contain any of these texts."""
        self._expected += parts

    async def open(
        self, path: str = "/", *, first: str | None = None, name: str = "somebody via web", **context: Any
    ) -> Page:
        """Open *path* in a browser of its own, whose user has chosen *name*, or none yet if it is empty.

        *first* runs before any script of a page; *context* is playwright's.
        """
        chosen: dict[str, Any] = {"viewport": DESKTOP, "timezone_id": "Europe/Berlin", "locale": "en-GB"}
        opened = await self._browser.new_context(**chosen | context)
        self._contexts.append(opened)
        if name:
            await opened.add_cookies([{"name": "tocsin_actor", "value": quote(name), "url": self.url}])
        opened.on("console", self._listen)
        opened.on("weberror", lambda error: self._complaints.append(str(error.error)))
        opened.on("dialog", lambda dialog: self._complaints.append(dialog.message))
        opened.on("request", self._watch)
        if first:
            await opened.add_init_script(first)
        page = await opened.new_page()
        await page.goto(self.url + path)
        return page

    async def close(self) -> None:
        """Close every page."""
        for context in self._contexts:
            await context.close()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._complaints.append(message.text)

    def _watch(self, request: Request) -> None:
        if not request.url.startswith(self.url + "/"):
            self._complaints.append(f"requested another host: {request.url}")


async def live(page: Page) -> Page:
    """Wait until the page's stream is open."""
    await expect(page.locator("#live-word")).to_have_text("Live")
    return page


async def caught_up(page: Page, services: Services) -> None:
    """Wait until the page has fetched the events from before its stream was open, and refreshes no more by itself."""
    await eventually(lambda: services.incidents.lists >= 2)
    await expect(page.locator("main.htmx-request")).to_have_count(0)


async def fits(page: Page) -> None:
    """Wait until *page* is not wider than its window: it is laid out only after the window has its new width.

    By polling from here: playwright's own wait would evaluate a string in the page, which the page's policy forbids.
    """
    width = page.viewport_size["width"] if page.viewport_size else 0

    async def is_narrow() -> bool | NotYet:
        inner, scrolled = await page.evaluate("[window.innerWidth, document.documentElement.scrollWidth]")
        return (inner == width and scrolled <= inner) or NotYet(f"{page.url} at {width}: {inner}, {scrolled}")

    await eventually(is_narrow)
