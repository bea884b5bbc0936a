"""Photograph every page, in both themes and two widths: `python -m tests.support.web.screenshots FOLDER [--readme]`."""

import argparse
import asyncio
import re
from pathlib import Path
from typing import Final

from aiohttp import ClientSession
from playwright.async_api import Browser, expect

from tests.support.browser import running_browser
from tests.support.web import quarter
from tests.support.web.demo_night import Services
from tests.support.web.pages import PAGES
from tests.support.web.server import fake_services, web_before
from tests.support.web.visits import DESKTOP, PHONE
from tocsin.web.ui.preferences import ACTOR_COOKIE

VISITOR: Final = "Priya%20Raman"
SCRIPTED: Final = re.compile("CES?T$")
"""The text of the clock once the scripts have run."""
SETTLED: Final = re.compile("Live|Partly live|Loaded")
WIDTHS: Final = {"desktop": DESKTOP, "phone": PHONE}
README: Final = {
    "desktop": {"incident": "/incidents/2481", "oncall": "/oncall"},
    "phone": {"now": "/"},
}
"""What the README shows, by width: the first screen of each."""


async def photograph(
    browser: Browser, url: str, pages: dict[str, str], folder: Path, *, width: str, whole: bool = True
) -> None:
    """Write a picture of each of *pages* (address by name) in both themes; only its first screen unless *whole*."""
    for theme in ("light", "dark"):
        context = await browser.new_context(
            viewport=WIDTHS[width],
            color_scheme="light" if theme == "light" else "dark",
            timezone_id="Europe/Berlin",
            locale="en-GB",
            reduced_motion="reduce",
        )
        await context.add_cookies([{"name": ACTOR_COOKIE, "value": VISITOR, "url": url}])
        page = await context.new_page()
        for name, path in pages.items():
            await page.goto(url + path)
            await expect(page.locator("#clock")).to_have_text(SCRIPTED)
            await expect(page.locator("#live-word")).to_have_text(SETTLED)
            await page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=whole)
        await context.close()


async def main(folder: Path, *, readme: bool) -> None:
    """Photograph open incidents, none, and open incidents while a service is down."""
    async with running_browser() as browser:
        for scene in ("night",) if readme else ("night", "quiet", "degraded"):
            async with fake_services() as services, web_before(services) as client:
                url = str(client.make_url("/")).rstrip("/")
                pages = await _set(scene, services, url)
                for width in WIDTHS:
                    shown = README[width] if readme else pages
                    await photograph(browser, url, shown, folder, width=width, whole=not readme)


async def _set(scene: str, services: Services, url: str) -> dict[str, str]:
    """Store the data of *scene*; return the pages that show it."""
    if scene == "quiet":
        services.be_quiet()
        return {"now-quiet": "/"}
    services.fill()
    quarter.fill(services)
    if scene == "night":
        return PAGES
    async with ClientSession() as session, session.get(url) as answer:  # the page is cached by then
        answer.raise_for_status()
    await services.schedules.stop()
    return {"now-degraded": "/"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.support.web.screenshots")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--readme", action="store_true", help="only what the README shows")
    options = parser.parse_args()
    asyncio.run(main(options.folder, readme=options.readme))
