"""What a browser does before it shows a page, and what it leaves for later."""

import pytest

from tests.support.web.demo_night import Services
from tests.support.web.pages import PAGES
from tests.support.web.visits import Visit, live

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]
FETCHED = "() => performance.getEntriesByType('resource').map(({ name }) => name.split('/').at(-1))"
NO_FRAME_YET = """
    const waiting = [];
    window.requestAnimationFrame = (draw) => waiting.push(draw);
    window.drawFrame = () => waiting.splice(0).forEach((draw) => draw());
    """
IN_THE_BACKGROUND = """
    Object.defineProperty(document, "hidden", { get: () => true });
    window.requestAnimationFrame = () => 0;
    """


@pytest.mark.parametrize("path", [PAGES["now"], PAGES["incident"], PAGES["incidents"]])
async def test_a_page_waits_for_one_sheet_and_for_no_script_until_its_first_frame(
    visit: Visit, services: Services, path: str
) -> None:
    services.fill()
    page = await visit.open(path, first=NO_FRAME_YET)
    fetched = await page.evaluate(FETCHED)
    assert [name for name in fetched if name.endswith(".js")] == ["start.js"]
    assert len([name for name in fetched if name.endswith(".css")]) == 1
    await page.evaluate("drawFrame()")
    await live(page)
    assert {"live.js", "keys.js", "lists.js", "copy.js", "zone.js"} <= set(await page.evaluate(FETCHED))


async def test_a_page_that_opens_in_the_background_is_live_too(visit: Visit, services: Services) -> None:
    services.fill()
    page = await visit.open(first=IN_THE_BACKGROUND)
    await live(page)
