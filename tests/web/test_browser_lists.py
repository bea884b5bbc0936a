"""The list pages in a real browser."""

from datetime import timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.support.waiting import eventually
from tests.support.web import demo_data
from tests.support.web.demo_night import Services
from tests.support.web.visits import DESKTOP, PHONE, Visit, fits, live
from tocsin.contracts.alerts import AlertAction
from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.notifications import NotificationStatus
from tocsin.kernel.ids import new_id

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]
PATHS = (
    "/incidents",
    "/incidents?status=any&save=1",
    "/incidents?q=nothing",
    "/incidents/new",
    "/alerts",
    "/notifications",
)


def paths(services: Services) -> list[str]:
    """Return every list page, of a night with everything in it."""
    alerts = services.storm()
    services.alerts.body = 400 * "x" + " " + 400 * "{}"
    long = demo_data.alert(2, message=400 * "m", service=200 * "s", labels={100 * "n": 400 * "v"}, source=200 * "q")
    services.alerts.alerts.append(long)
    wide = {"person": 90 * "W", "recipient": 300 * "a", "reason": 300 * "r", "id": new_id()}
    services.messages.messages.append(services.messages.messages[0].model_copy(update=wide))
    return [*PATHS, f"/alerts/{alerts['repeated'].id}", f"/alerts/{long.id}"]


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_selected_incidents_are_acknowledged_together_in_place(
    visit: Visit, services: Services, viewport: dict[str, int]
) -> None:
    services.fill()
    page = await live(await visit.open("/incidents", viewport=viewport, has_touch=viewport is PHONE))
    await page.evaluate("window.untouched = true")
    await page.get_by_label("Select incident 2481").check()
    await page.get_by_label("Select incident 2480").check()
    await expect(page.locator("#chosen")).to_have_text("2 selected")
    button = page.get_by_role("button", name="Acknowledge")
    box = await button.bounding_box()
    assert box is not None
    if viewport is PHONE:
        assert box["height"] >= 44
        assert box["y"] > PHONE["height"] * 0.75
    await button.click()
    await expect(page.locator("#outcome")).to_contain_text("2 incidents acknowledged")
    await expect(page.locator("#inc-2481")).to_contain_text("Acknowledged")
    await expect(page.locator("#results :checked")).to_have_count(0)
    assert await page.evaluate("window.untouched")
    assert page.url.endswith("/incidents")
    assert services.incidents.incidents[2480].status is IncidentStatus.ACKNOWLEDGED


async def test_a_list_with_a_selection_delays_updates_and_keeps_it(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents"))
    await page.get_by_label("Select incident 2478").check()
    services.incidents.add(demo_data.incident(2490, "Payments are slow"))
    await page.get_by_role("button", name="Show 1 new").click()
    await expect(page.locator("#inc-2490")).to_contain_text("Payments are slow")
    assert await page.get_by_label("Select incident 2478").is_checked()
    await expect(page.locator("#chosen")).to_have_text("1 selected")
    await page.get_by_role("button", name="Clear").click()
    await expect(page.locator("#chosen")).to_have_text("None selected")
    await expect(page.get_by_role("button", name="Resolve")).to_be_hidden()


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_the_actions_on_a_selection_appear_with_it_and_move_no_row(
    visit: Visit, services: Services, viewport: dict[str, int]
) -> None:
    services.fill()
    page = await live(await visit.open("/incidents", viewport=viewport))
    button = page.get_by_role("button", name="Acknowledge")
    await expect(button).to_be_hidden()
    before = await page.locator("#inc-2481").bounding_box()
    await page.get_by_label("Select incident 2480").check()
    await expect(button).to_be_enabled()
    assert await page.locator("#inc-2481").bounding_box() == before


async def test_a_disabled_button_is_paler_than_an_enabled_one(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents"))
    painted = await page.locator(".bulk .primary").evaluate(
        "button => { button.disabled = true; return getComputedStyle(button).backgroundColor }"
    )
    assert painted == "rgba(0, 0, 0, 0)"


BROKEN_WORDS = """() => [...document.querySelectorAll("#results :is(td, th)")].flatMap((cell) => {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [], range = document.createRange();
  while (walker.nextNode()) {
    for (const { 0: word, index } of walker.currentNode.data.matchAll(/(?<!\\S)\\w{3,20}(?!\\S)/g)) {
      range.setStart(walker.currentNode, index);
      range.setEnd(walker.currentNode, index + word.length);
      const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
      if (cell.checkVisibility() && lines.size > 1) found.push(word);
    }
  }
  return found;
})"""


@pytest.mark.parametrize("path", ["/incidents", "/alerts", "/notifications"])
async def test_no_list_breaks_a_word(visit: Visit, services: Services, path: str) -> None:
    services.storm()
    failed = {"status": NotificationStatus.FAILED, "reason": "given up after 3 tries", "id": new_id()}
    services.messages.messages.append(services.messages.messages[1].model_copy(update=failed))
    page = await live(await visit.open(path))
    for width in (320, 390, 768, 900, 1280, 1920):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate(BROKEN_WORDS) == [], f"{path} at {width}"


async def test_the_keyboard_alone_finds_selects_and_acknowledges(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents"))
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.locator("#chosen")).to_have_text("2 selected")
    await page.keyboard.press("a")
    await expect(page.locator("#outcome")).to_contain_text("2 incidents acknowledged")
    await page.keyboard.press("/")
    await page.keyboard.type("leipzig")
    await page.get_by_label("Status").select_option("any")
    await page.get_by_role("button", name="Filter", exact=True).press("Enter")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await live(page)
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Label printer pool offline in Leipzig")


async def test_searching_saving_and_acknowledging_work_without_javascript(visit: Visit, services: Services) -> None:
    services.fill()
    page = await visit.open("/incidents", java_script_enabled=False)
    await page.get_by_label("Severity").select_option("high")
    await page.get_by_role("button", name="Save filter").click()
    await page.get_by_label("Name of this filter").fill("Bad ones")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".chip[aria-current]")).to_have_text("Bad ones")
    await page.get_by_label("Select incident 2480").check()
    await page.get_by_label("Select incident 2478").check()
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#outcome")).to_contain_text("2 incidents resolved")
    await expect(page.locator("#results")).to_contain_text("No incident matches this filter.")
    await page.get_by_role("link", name="New incident").click()
    await page.get_by_label("Title").fill("Printers are offline")
    await page.get_by_label("Service").fill("label-printer")
    await page.get_by_text("Medium").click()
    await page.get_by_role("button", name="Open and page").click()
    await expect(page.locator("h1")).to_have_text("Printers are offline")


async def test_no_list_is_wider_than_its_window(visit: Visit, services: Services) -> None:
    services.fill()
    services.incidents.incidents[7] = demo_data.incident(7, 400 * "x", service=200 * "y", team=200 * "z")
    took = timedelta(days=400)
    services.incidents.incidents[8] = demo_data.resolved(8, 40 * "مرحبا ", took, service="خدمة", assigned_to=90 * "W")
    page = await visit.open()
    for path in paths(services):
        await page.goto(visit.url + path)
        for width in (320, 390, 768, 1280, 1920):
            await page.set_viewport_size({"width": width, "height": 844})
            await fits(page)


@pytest.mark.sample("colour schemes", 4)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_violation_in_lists(visit: Visit, services: Services, scheme: str) -> None:
    services.fill()
    page = await visit.open(color_scheme=scheme, reduced_motion="reduce")
    for path in paths(services):
        await page.goto(visit.url + path)
        for box in (await page.locator("tbody input").all())[:2]:
            await box.check()
        results = await Axe().run(page)
        assert results.violations_count == 0, f"{path}: {results.generate_report()}"


async def test_targets_on_a_phone_are_large_enough_for_a_thumb(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents", viewport=PHONE, has_touch=True, is_mobile=True))
    await page.get_by_label("Select incident 2481").check()
    small = await page.evaluate(
        """() => [...document.querySelectorAll("main .btn, main .input, main .check")]
             .filter((each) => each.checkVisibility())
             .filter((each) => each.getBoundingClientRect().height < 44)
             .map((each) => each.outerHTML.slice(0, 100))"""
    )
    assert small == []


async def test_a_failed_message_is_sent_again_in_place(visit: Visit, services: Services) -> None:
    services.fill()
    sent = services.messages.messages[0]
    failed = sent.model_copy(update={"status": NotificationStatus.FAILED, "reason": "mailbox is full", "id": new_id()})
    services.messages.messages.append(failed)
    page = await live(await visit.open("/notifications"))
    await page.evaluate("window.untouched = true")
    await page.get_by_role("button", name="Send again to Priya Raman").click()
    await expect(page.get_by_role("button", name="Send again")).to_have_count(0)
    await expect(page.locator("h1")).to_have_text("2 messages are in the queue, and none failed")
    assert await page.evaluate("window.untouched")


async def test_alerts_and_messages_are_read_without_javascript(visit: Visit, services: Services) -> None:
    services.storm()
    page = await visit.open("/alerts", java_script_enabled=False, viewport=PHONE)
    await page.get_by_role("link", name="Pending 1").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_role("link", name="JVM heap above 85 %").click()
    await expect(page.locator("pre")).to_have_text("{}")
    await page.get_by_role("link", name="Delivery").click()
    await page.get_by_label("Person, or number").fill("#2481")
    await page.get_by_role("button", name="Filter", exact=True).click()
    await expect(page.locator("tbody tr")).to_have_count(2)


async def test_the_page_of_an_alert_updates_its_outcome(visit: Visit, services: Services) -> None:
    waiting = services.storm()["waiting"]
    page = await live(await visit.open(f"/alerts/{waiting.id}"))
    await expect(page.locator("#alert")).to_contain_text("incident management has not responded yet")
    opened = demo_data.incident(2490, waiting.message)
    forwarded = waiting.model_copy(update={"action": AlertAction.NEW_INCIDENT, "incident_id": opened.id})
    services.alerts.alerts[services.alerts.alerts.index(waiting)] = forwarded
    services.incidents.add(opened)
    await expect(page.locator("#alert").get_by_role("link", name="#2490")).to_be_visible()


async def test_an_incident_is_copied_for_its_postmortem(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481", permissions=["clipboard-read", "clipboard-write"]))
    # The page catches up once it is live; what that fetches has the link's first words again.
    await eventually(
        lambda: [request.path for request in services.incidents.requests].count("/api/v1/incidents/2481/view") == 2
    )
    await expect(page.locator("main.htmx-request")).to_have_count(0)
    await page.get_by_role("link", name="Copy a postmortem summary").click()
    await expect(page.get_by_role("link", name="Copied")).to_be_visible()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("# Incident 2481: Checkout answers 5xx")


async def test_a_list_prints_without_buttons(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents"))
    await page.emulate_media(media="print")
    await expect(page.locator("#inc-2481")).to_be_visible()
    for gone in (".filters", ".bulk", ".check", ".nav"):
        await expect(page.locator(gone).first).to_be_hidden()


async def test_an_incident_prints_as_a_report_with_its_timeline(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481", color_scheme="dark"))
    await page.emulate_media(media="print")
    for gone in (".top", ".nav", ".action-bar", "#note", ".segmented", ".back"):
        await expect(page.locator(gone).first).to_be_hidden()
    for there in ("h1", "#alerts table", "#timeline", "#escalation", "#details", ".print-only"):
        await expect(page.locator(there).first).to_be_visible()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    await expect(page.get_by_text("HighErrorRate on pod 43")).to_be_visible()
