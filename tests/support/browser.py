"""A real browser for tests: the system's Chromium or Chrome, else the one that playwright downloaded."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Playwright, async_playwright, expect

NAMES: Final = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
ADVICE: Final = (
    "No browser was found, and the pages are tested in a real one. Install one: as root "
    "`apt-get install chromium-headless-shell`, Google Chrome, or `python -m playwright install chromium`."
)


expect.set_options(timeout=30_000)  # milliseconds: a busy machine is not a page that does nothing


class NoBrowserError(RuntimeError):
    """There is no browser on this machine."""


def find_browser(playwright: Playwright) -> str:
    """Return the path of a browser. Raise NoBrowserError, which says what to install."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    downloaded = playwright.chromium.executable_path
    if not Path(downloaded).exists():
        raise NoBrowserError(ADVICE)
    return downloaded


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Run a browser without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_browser(playwright), headless=True, args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            await browser.close()
