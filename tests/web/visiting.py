"""Visiting the pages with a real browser."""

from typing import Any, Final

from playwright.async_api import Browser, ConsoleMessage, Page, expect

DESKTOP: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 390, "height": 844}


class Visit:
    """A browser's page that remembers every complaint."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self.url = url.rstrip("/")
        self.complaints: list[str] = []

    async def open(self, path: str = "/", **context: Any) -> Page:
        """Open *path* in a browser of its own; *context* is playwright's."""
        chosen: dict[str, Any] = {"viewport": DESKTOP, "timezone_id": "Europe/Berlin", "locale": "en-GB"}
        opened = await self._browser.new_context(**chosen | context)
        page = await opened.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        await page.goto(self.url + path)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


async def live(page: Page) -> Page:
    """Wait until the page's stream is open."""
    await expect(page.locator("#live-word")).to_have_text("Live")
    return page
