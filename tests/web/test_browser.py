"""The pages in a real browser, before fakes of the four services."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from tests.support.browser import running_browser
from tests.support.waiting import eventually
from tests.web import scene
from tests.web.conftest import Client
from tests.web.night import Services
from tests.web.test_words import DURATIONS
from tocsin.contracts.incidents import EventType, IncidentStatus

pytestmark = pytest.mark.slow
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


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


@pytest.fixture
async def visit(client: Client, services: Services) -> AsyncIterator[Visit]:
    async with running_browser() as browser:
        visit = Visit(browser, str(client.make_url("/")))
        yield visit
    services.incidents.cut_streams()


async def live(page: Page) -> Page:
    """Wait until the page's stream is open."""
    await expect(page.locator("#live-word")).to_have_text("Live")
    return page


async def test_a_new_incident_appears_without_a_reload(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open())
    await expect(page).to_have_title("All quiet · Tocsin")
    await page.evaluate("window.untouched = true")
    services.incidents.add(scene.incident(2490, "Orders cannot be placed"))
    await expect(page.locator("#inc-2490 h3")).to_have_text("Orders cannot be placed")
    await expect(page.locator("h1")).to_have_text("1 incident waits for an answer")
    await expect(page).to_have_title("(1) Now · Tocsin")
    await expect(page.locator("#spoken")).to_have_text("Incident 2490, critical, is new.")
    await expect(page.locator("#inc-2490")).to_have_class(re.compile("flash"))
    assert await page.evaluate("window.untouched")
    assert visit.complaints == []


async def test_a_storm_is_fetched_about_once_a_second(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open())
    before = services.incidents.lists
    for number in range(3_000, 3_300):
        services.incidents.add(scene.incident(number, f"Shard {number}"))
    await expect(page.locator("h1")).to_have_text("200+ incidents wait for an answer")
    assert services.incidents.lists - before <= 3
    assert visit.complaints == []


async def test_acknowledge_acts_in_place_and_for_everybody(visit: Visit, services: Services) -> None:
    services.fill()
    mine = await live(await visit.open())
    other = await live(await visit.open("/incidents/2481"))
    await mine.evaluate("window.untouched = true")
    await mine.get_by_role("button", name="Acknowledge incident 2481").click()
    await expect(mine.locator("h1")).to_have_text("1 incident waits for an answer")
    await expect(mine.locator("li#inc-2481")).to_contain_text("Acknowledged")
    await expect(other.locator("#answer h2")).to_have_text("Answered by somebody via web")
    await expect(other.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await expect(other.locator("#spoken")).to_have_text("Incident 2481 is acknowledged.")
    assert await mine.evaluate("window.untouched")
    assert mine.url.endswith("/")
    assert visit.complaints == []


async def test_an_incident_is_answered_noted_and_resolved_on_its_page(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    await page.evaluate("window.untouched = true")
    await page.get_by_label("Your name").last.fill("Priya Raman")
    await page.get_by_label("Add a note").fill("Rolling back <b>now</b>.")
    await page.get_by_role("button", name="Add note").click()
    await expect(page.locator("#timeline .bubble").first).to_have_text("Rolling back <b>now</b>.")
    await expect(page.get_by_label("Add a note")).to_have_value("")
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#answer h2")).to_have_text("Resolved by Priya Raman")
    await expect(page.locator(".actbar")).to_have_count(0)
    await expect(page.locator(".steps [aria-current]")).to_contain_text("Resolved")
    assert await page.evaluate("window.untouched")
    assert visit.complaints == []


async def test_the_same_words_twice_are_two_notes(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2478"))
    for count in (1, 2):
        await page.get_by_label("Add a note").fill("Still failing.")
        await page.get_by_role("button", name="Add note").click()
        await expect(page.locator("#timeline .bubble")).to_have_count(count)
    keys = [heard.idempotency_key for heard in services.incidents.heard if heard.body]
    assert len(set(keys)) == 2


async def test_a_refused_change_shows_the_present_state_in_place(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    # Nobody tells this page: the change reaches it with the refusal.
    ended = services.incidents.incidents[2481]
    services.incidents.incidents[2481] = ended.model_copy(
        update={"status": IncidentStatus.RESOLVED, "resolved_at": scene.ago(seconds=1), "mttr_seconds": 107.0}
        | {"acknowledged_at": scene.ago(seconds=1), "mtta_seconds": 107.0}
    )
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("#notices")).to_contain_text("Incident 2481 is already resolved")
    await expect(page.locator(".steps [aria-current]")).to_contain_text("Resolved")
    assert [text for text in visit.complaints if "409" not in text] == []


async def test_everything_works_without_javascript(visit: Visit, services: Services) -> None:
    services.fill()
    page = await visit.open(java_script_enabled=False)
    await expect(page.locator("#clock")).to_contain_text("UTC")
    await page.get_by_role("button", name="Acknowledge incident 2481").click()
    await expect(page.locator("h1")).to_have_text("1 incident waits for an answer")
    await page.get_by_role("link", name="Checkout answers 5xx").click()
    await expect(page.locator("#head")).to_contain_text("since")
    await page.get_by_label("Add a note").fill("By hand.")
    await page.get_by_role("button", name="Add note").click()
    await expect(page.locator("#timeline .bubble").first).to_have_text("By hand.")
    await page.locator(".top summary").click()
    await page.get_by_text("Dark", exact=True).click()
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.get_by_role("button", name="Start work").click()
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#answer h2")).to_have_text("Resolved by somebody via web")


async def test_no_page_is_wider_than_its_window(visit: Visit, services: Services) -> None:
    services.fill()
    page = await visit.open()
    for path in ("/", "/incidents/2481", "/incidents/99"):
        await page.goto(visit.url + path)
        for width in (320, 390, 768, 1280, 1920):
            await page.set_viewport_size({"width": width, "height": 844})
            beyond = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert beyond <= 0, f"{path} at {width}"


async def test_on_a_phone_answering_is_at_the_thumb(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open(viewport=PHONE, has_touch=True, is_mobile=True))
    first = await page.get_by_role("button", name="Acknowledge incident 2481").bounding_box()
    assert first is not None
    assert first["height"] >= 40
    assert first["y"] + first["height"] < PHONE["height"]
    await page.goto(page.url + "incidents/2481")
    button = await page.get_by_role("button", name="Acknowledge").bounding_box()
    assert button is not None
    assert button["height"] >= 44
    assert button["y"] > PHONE["height"] * 0.75
    await page.get_by_role("button", name="Acknowledge").tap()
    await expect(page.locator("#answer")).to_contain_text("Nobody more is paged")


@pytest.mark.parametrize(
    ("system", "theme", "dark"), [("dark", None, True), ("light", None, False), ("light", "dark", True)]
)
async def test_dark_is_the_system_s_choice_or_one_s_own(
    visit: Visit, services: Services, system: str, theme: str | None, *, dark: bool
) -> None:
    services.fill()
    page = await live(await visit.open(color_scheme=system))
    if theme is not None:
        await page.locator(".top summary").click()
        await page.get_by_text("Dark", exact=True).click()
        await page.get_by_role("button", name="Apply").click()
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(16, 17, 19)" if dark else "rgb(247, 246, 242)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_to_complain_about(visit: Visit, services: Services, scheme: str) -> None:
    services.fill()
    page = await visit.open(color_scheme=scheme, reduced_motion="reduce")
    for path in ("/", "/incidents/2481", "/incidents/2479", "/incidents/99"):
        await page.goto(visit.url + path)
        await page.locator(".top summary").click()
        results = await Axe().run(page)
        assert results.violations_count == 0, f"{path}: {results.generate_report()}"


async def test_the_quiet_and_the_degraded_page_are_as_accessible(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open(reduced_motion="reduce"))
    assert (await Axe().run(page)).violations_count == 0
    await services.schedules.go_away()
    await page.reload()
    await expect(page.locator("#notices")).to_contain_text("The on-call service has not answered since")
    assert (await Axe().run(page)).violations_count == 0


async def test_what_somebody_types_is_not_swapped_away(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    await page.get_by_label("Add a note").press_sequentially("Half a though")
    services.incidents.tell(services.incidents.incidents[2481], EventType.ALERT_ATTACHED, "alert-ingestion")
    lists = len(services.incidents.heard)
    await eventually(lambda: len(services.incidents.heard) > lists)
    await page.get_by_label("Add a note").press_sequentially("t")
    await expect(page.get_by_label("Add a note")).to_have_value("Half a thought")
    await expect(page.get_by_label("Add a note")).to_be_focused()


async def test_rows_do_not_move_under_who_stands_on_one(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.locator("#inc-2478 a").focus()
    services.incidents.add(scene.incident(2490, "Orders cannot be placed"))
    await expect(page.locator("h1")).to_have_text("3 incidents wait for an answer")
    await expect(page.get_by_role("button", name="Something changed. Show it")).to_be_visible()
    await expect(page.locator("#inc-2490")).to_have_count(0)
    await expect(page.locator("#inc-2478 a")).to_be_focused()
    await page.get_by_role("button", name="Something changed. Show it").click()
    await expect(page.locator("#inc-2490")).to_be_visible()
    await expect(page.locator("#waiting")).to_be_hidden()


async def test_an_open_fold_stays_open(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    await page.locator("#more-alerts summary").click()
    await page.locator("#head h1").click()
    changed = services.incidents.incidents[2481].model_copy(update={"firing_count": 45})
    services.incidents.incidents[2481] = changed
    services.incidents.tell(changed, EventType.ALERT_ATTACHED, "alert-ingestion")
    await expect(page.locator("#alerts .card-head")).to_contain_text("45 firing")
    await expect(page.locator("#more-alerts")).to_have_attribute("open", "")


async def test_buttons_that_changed_take_no_click_that_was_on_its_way(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    await page.evaluate(
        """() => {
             window.inert = [];
             new MutationObserver(() => window.inert.push(document.getElementById("actions").inert))
               .observe(document.body, { subtree: true, attributeFilter: ["inert"] });
           }"""
    )
    services.incidents.incidents[2481] = services.incidents.incidents[2481].model_copy(
        update={"status": IncidentStatus.ACKNOWLEDGED, "acknowledged_at": scene.ago(seconds=1), "mtta_seconds": 1.0}
    )
    services.incidents.tell(services.incidents.incidents[2481], EventType.ACKNOWLEDGED, "Ann")

    async def barred_and_free_again() -> bool:
        return bool(await page.evaluate("window.inert.join()") == "true,false")

    await eventually(barred_and_free_again)
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#answer h2")).to_have_text("Resolved by somebody via web")


async def test_a_lost_connection_says_since_when_and_comes_back_up_to_date(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await services.incidents.go_away()
    services.incidents.cut_streams()
    await expect(page.locator("#live-word")).to_contain_text(
        re.compile(r"Reconnecting since \d\d:\d\d:\d\d, timers stopped")
    )
    stopped = await page.locator("#inc-2481 .fuse time").text_content()
    services.incidents.incidents[2490] = scene.incident(2490, "Happened meanwhile")
    assert await page.locator("#inc-2481 .fuse time").text_content() == stopped
    await services.incidents.come_back()
    await expect(page.locator("#live-word")).to_have_text("Live", timeout=30_000)
    await expect(page.locator("#inc-2490")).to_contain_text("Happened meanwhile")


async def test_a_page_opened_while_incident_management_is_away_becomes_live_by_itself(
    visit: Visit, services: Services
) -> None:
    services.fill()
    await services.incidents.go_away()
    page = await visit.open()
    await expect(page.locator("h1")).to_have_text("What rings cannot be shown now")
    await expect(page.locator("#live-word")).to_contain_text("Reconnecting since")
    await services.incidents.come_back()
    await expect(page.locator("#live-word")).to_have_text("Live", timeout=30_000)
    await expect(page.locator("h1")).to_have_text("2 incidents wait for an answer")


async def test_a_service_that_leaves_is_noticed_without_a_reload(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await services.schedules.go_away()
    services.incidents.tell(services.incidents.incidents[2481], EventType.NOTE_ADDED, "Ann")
    await expect(page.locator("#live-word")).to_have_text("Partly live")
    await expect(page.locator("#inc-2481 .fuse")).to_contain_text("Escalation waits")


async def test_times_are_the_viewer_s_and_durations_tick(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481", timezone_id="Asia/Kolkata"))
    await expect(page.locator("#clock")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d GMT\+5:30$"))
    created = services.incidents.incidents[2481].created_at
    local = (created.hour * 60 + created.minute + 330) % 1440
    await expect(page.locator("#details time")).to_contain_text(f"{local // 60:02}:{local % 60:02}:")
    before = await page.locator("#answer progress").evaluate("element => element.value")
    age = await page.locator("#head .line time").text_content()
    await expect(page.locator("#head .line time")).not_to_have_text(str(age))
    assert await page.locator("#answer progress").evaluate("element => element.value") < before


async def test_the_browser_writes_durations_as_the_server_does(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await visit.open()
    script = await page.locator("script[type=module]").get_attribute("src")
    written = await page.evaluate(
        """async ([script, seconds]) => {
             const times = await import(script.replace("live.js", "times.js"));
             return seconds.map((value) => [times.ticking(value), times.lasting(value)]);
           }""",
        [script, [seconds for seconds, _, _ in DURATIONS]],
    )
    assert [tuple(pair) for pair in written] == [(ticking, lasting) for _, ticking, lasting in DURATIONS]


async def test_hostile_text_runs_nothing(visit: Visit, services: Services) -> None:
    payload = "<img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>\"'{{7*7}}"
    hostile = scene.incident(6, payload, service=payload, team=payload, assigned_to=payload, description=payload)
    told = [scene.entry(EventType.CREATED, payload, payload, 1)]
    services.incidents.incidents[6] = hostile.model_copy(
        update={"timeline": told, "alerts": [scene.attached(payload, 1, 1, **{payload: payload})]}
    )
    page = await live(await visit.open())
    services.incidents.add(scene.incident(7, payload, service=payload))
    await expect(page.locator("#inc-7 h3")).to_have_text(payload)
    page = await live(await visit.open("/incidents/6"))
    await page.get_by_label("Add a note").fill(payload)
    await page.get_by_role("button", name="Add note").click()
    await expect(page.locator("#timeline .bubble").first).to_have_text(payload)
    assert visit.complaints == []
