"""What changes on a page while somebody looks at it, in a real browser."""

import re

import pytest
from playwright.async_api import expect

from tests.support.waiting import eventually
from tests.web import scene
from tests.web.night import Services
from tests.web.visiting import Visit, live
from tocsin.contracts.incidents import EventType, IncidentStatus

pytestmark = pytest.mark.slow


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


async def test_a_refresh_dims_no_button(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    services.messages.gate.clear()
    services.incidents.tell(services.incidents.incidents[2481], EventType.NOTE_ADDED, "Ann")
    await expect(page.locator("main.htmx-request")).to_be_visible()
    await expect(page.get_by_role("button", name="Acknowledge incident 2481")).to_have_css("opacity", "1")
    services.messages.gate.set()


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
    await page.context.set_offline(offline=True)
    services.incidents.cut_streams()
    await expect(page.locator("#live-word")).to_contain_text(
        re.compile(r"Reconnecting since \d\d:\d\d:\d\d, timers stopped")
    )
    stopped = await page.locator("#inc-2481 .fuse time").text_content()
    services.incidents.incidents[2490] = scene.incident(2490, "Happened meanwhile")
    assert await page.locator("#inc-2481 .fuse time").text_content() == stopped
    await page.context.set_offline(offline=False)
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
