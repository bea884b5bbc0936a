"""Photograph every page, in both themes and two widths: `python -m tests.web.pictures FOLDER`."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Final

from aiohttp import ClientSession
from playwright.async_api import Browser, expect

from tests.support.browser import running_browser
from tests.web.night import Services
from tests.web.pages import PAGES
from tests.web.serving import fake_services, web_before
from tests.web.visiting import DESKTOP, PHONE
from tocsin.web.visitor import ACTOR_COOKIE

VISITOR: Final = "Priya%20Raman"
SETTLED: Final = re.compile("Live|Partly live|Loaded")
WIDTHS: Final = {"desktop": DESKTOP, "phone": PHONE}


async def photograph(browser: Browser, url: str, pages: dict[str, str], folder: Path) -> None:
    """Write a picture of each of *pages* (address by name) for each theme and width."""
    for theme in ("light", "dark"):
        for width, viewport in WIDTHS.items():
            context = await browser.new_context(
                viewport=viewport,
                color_scheme=theme,
                timezone_id="Europe/Berlin",
                locale="en-GB",
                reduced_motion="reduce",
            )
            await context.add_cookies([{"name": ACTOR_COOKIE, "value": VISITOR, "url": url}])
            page = await context.new_page()
            for name, path in pages.items():
                await page.goto(url + path)
                await expect(page.locator("#live-word")).to_have_text(SETTLED)
                await page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
            await context.close()


async def main(folder: Path) -> None:
    """Photograph the night, the quiet, and a night with a service away."""
    async with running_browser() as browser:
        for scene in ("night", "quiet", "degraded"):
            async with fake_services() as services, web_before(services) as client:
                url = str(client.make_url("/")).rstrip("/")
                await _photograph_scene(scene, browser, url, services, folder)


async def _photograph_scene(scene: str, browser: Browser, url: str, services: Services, folder: Path) -> None:
    if scene == "night":
        services.fill()
        await photograph(browser, url, PAGES, folder)
    elif scene == "quiet":
        services.be_quiet()
        await photograph(browser, url, {"now-quiet": "/"}, folder)
    else:
        services.fill()
        async with ClientSession() as session, session.get(url) as answer:  # names are remembered from then
            answer.raise_for_status()
        await services.schedules.go_away()
        await photograph(browser, url, {"now-degraded": "/"}, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
