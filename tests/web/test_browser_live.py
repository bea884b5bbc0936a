"""What changes on a page while somebody looks at it, in a real browser."""

import re

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from tests.support.waiting import eventually
from tests.support.web import demo_data
from tests.support.web.demo_night import Services
from tests.support.web.visits import NO_SHARED_WORKER, Visit, caught_up, live
from tests.web.conftest import Client, StartWeb
from tocsin.contracts.incidents import EventType, IncidentStatus

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]


async def test_a_new_incident_appears_without_a_reload(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open())
    await expect(page).to_have_title("All quiet · Tocsin")
    await page.evaluate("window.untouched = true")
    services.incidents.add(demo_data.incident(2490, "Orders cannot be placed"))
    await expect(page.locator("#inc-2490 h3")).to_have_text("Orders cannot be placed")
    await expect(page.locator("h1")).to_have_text("1 incident is unacknowledged")
    await expect(page).to_have_title("(1) Now · Tocsin")
    await expect(page.locator("#spoken")).to_have_text("Incident 2490, critical, is new.")
    await expect(page.locator("#inc-2490")).to_have_class(re.compile("flash"))
    assert await page.evaluate("window.untouched")


async def test_a_storm_is_fetched_about_once_a_second(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await live(await visit.open())
    before = services.incidents.lists
    for number in range(3_000, 3_300):
        services.incidents.add(demo_data.incident(number, f"Shard {number}"))
    await expect(page.locator("h1")).to_have_text("200+ incidents are unacknowledged")
    assert services.incidents.lists - before <= 3


async def test_an_event_right_after_a_refresh_is_shown_without_delay(visit: Visit, services: Services) -> None:
    services.be_quiet()
    page = await visit.open("/handbook/operations.md")
    await page.clock.install()
    await page.goto(visit.url)
    await caught_up(await live(page), services)
    before = services.incidents.lists
    await page.clock.pause_at(await page.evaluate("Date.now() / 1000") + 0.3)
    services.incidents.add(demo_data.incident(2490, "Orders cannot be placed"))
    await expect(page.locator("#spoken")).to_have_text("Incident 2490, critical, is new.")
    await page.clock.run_for(150)
    await eventually(lambda: services.incidents.lists > before)
    await page.clock.resume()
    await expect(page.locator("#inc-2490 h3")).to_have_text("Orders cannot be placed")


async def test_a_refresh_dims_no_button(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    services.messages.gate.clear()
    services.incidents.publish(services.incidents.incidents[2481], EventType.NOTE_ADDED, "Ann")
    await expect(page.locator("main.htmx-request")).to_be_visible()
    await expect(page.get_by_role("button", name="Acknowledge incident 2481")).to_have_css("opacity", "1")
    services.messages.gate.set()


async def test_typed_text_survives_a_refresh(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    await page.get_by_label("Add a note").press_sequentially("Half a though")
    services.incidents.publish(services.incidents.incidents[2481], EventType.ALERT_ATTACHED, "alert-ingestion")
    lists = len(services.incidents.requests)
    await eventually(lambda: len(services.incidents.requests) > lists)
    await page.get_by_label("Add a note").press_sequentially("t")
    await expect(page.get_by_label("Add a note")).to_have_value("Half a thought")
    await expect(page.get_by_label("Add a note")).to_be_focused()


async def test_rows_do_not_move_while_one_has_the_focus(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.locator("#inc-2478 a").focus()
    services.incidents.add(demo_data.incident(2490, "Orders cannot be placed"))
    await expect(page.locator("h1")).to_have_text("3 incidents are unacknowledged")
    await expect(page.get_by_role("button", name="Show 1 new")).to_be_visible()
    await expect(page.locator("#inc-2490")).to_have_count(0)
    await expect(page.locator("#inc-2478 a")).to_be_focused()
    await page.get_by_role("button", name="Show 1 new").click()
    await expect(page.locator("#inc-2490")).to_be_visible()
    await expect(page.locator("#waiting button")).to_be_hidden()


async def test_a_list_with_a_selection_announces_real_changes_only(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents"))
    await page.get_by_label("Select incident 2481").check()
    async with page.expect_response(f"{visit.url}/incidents"):
        services.incidents.publish(services.incidents.incidents[2481], EventType.NOTE_ADDED, "Ann")
    await expect(page.locator("main.htmx-request")).to_have_count(0)
    await expect(page.get_by_role("button", name="Show changes")).to_be_hidden()
    services.incidents.change(2480, IncidentStatus.ACKNOWLEDGED, "Dele Adeyemi")
    await expect(page.get_by_role("button", name="Show changes")).to_be_visible()
    await expect(page.get_by_label("Select incident 2481")).to_be_checked()


async def test_an_open_disclosure_stays_open(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    await page.locator("#more-alerts summary").click()
    await page.locator("#head h1").click()
    changed = services.incidents.incidents[2481].model_copy(update={"firing_count": 45})
    services.incidents.incidents[2481] = changed
    services.incidents.publish(changed, EventType.ALERT_ATTACHED, "alert-ingestion")
    await expect(page.locator("#alerts .card-head")).to_contain_text("45 firing")
    await expect(page.locator("#more-alerts")).to_have_attribute("open", "")


async def test_changed_buttons_ignore_clicks_for_a_moment(visit: Visit, services: Services) -> None:
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
        update={"status": IncidentStatus.ACKNOWLEDGED, "acknowledged_at": demo_data.ago(seconds=1), "mtta_seconds": 1.0}
    )
    services.incidents.publish(services.incidents.incidents[2481], EventType.ACKNOWLEDGED, "Ann")

    async def barred_and_free_again() -> bool:
        return bool(await page.evaluate("window.inert.join()") == "true,false")

    await eventually(barred_and_free_again)
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#response h2")).to_have_text("Resolved by somebody via web")


@pytest.mark.parametrize("first", [None, NO_SHARED_WORKER], ids=["shared worker", "none"])
async def test_a_restart_of_the_web_service_is_shown_and_no_event_is_missed(
    visit: Visit, client: Client, start_web: StartWeb, services: Services, first: str | None
) -> None:
    services.fill()
    visit.expect("Failed to fetch", "net::ERR_")
    page = await live(await visit.open(first=first))
    assert isinstance(client.server, TestServer)
    port = client.server.port
    await client.close()
    await expect(page.locator("#live-word")).to_contain_text(
        re.compile(r"Reconnecting since \d\d:\d\d:\d\d, countdowns stopped")
    )
    stopped = await page.locator("#inc-2481 .countdown time").text_content()
    services.incidents.add(demo_data.incident(2490, "Happened meanwhile"))
    assert await page.locator("#inc-2481 .countdown time").text_content() == stopped
    await start_web(port=port)
    await expect(page.locator("#live-word")).to_have_text("Live")
    await expect(page.locator("#inc-2490")).to_contain_text("Happened meanwhile")
    await expect(page.locator("#spoken")).to_have_text("Incident 2490, critical, is new.")


async def test_a_short_interruption_is_not_shown(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.evaluate(
        """() => {
             const word = document.getElementById("live-word");
             window.said = [];
             new MutationObserver(() => window.said.push(word.textContent)).observe(word, { childList: true });
           }"""
    )
    services.incidents.cut_streams()
    await eventually(lambda: services.incidents.resumed == ["1-0"])
    services.incidents.add(demo_data.incident(2490, "Orders cannot be placed"))
    await expect(page.locator("#inc-2490")).to_be_visible()
    assert await page.evaluate("said") == []


async def test_without_a_shared_worker_a_hidden_tab_disconnects_and_catches_up_later(
    visit: Visit, services: Services
) -> None:
    services.fill()
    page = await live(await visit.open(first=NO_SHARED_WORKER))

    async def be(*, hidden: bool) -> None:
        await page.evaluate(
            """(hidden) => {
                 Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                 document.dispatchEvent(new Event("visibilitychange"));
               }""",
            hidden,
        )

    await be(hidden=True)
    clock = await page.locator("#inc-2481 .countdown time").text_content()
    services.incidents.add(demo_data.incident(2490, "Orders cannot be placed"))
    services.incidents.cut_streams()
    await be(hidden=False)
    await eventually(lambda: services.incidents.resumed == ["1-0"])
    await expect(page.locator("#inc-2490")).to_be_visible()
    await expect(page.locator("#spoken")).to_have_text("Incident 2490, critical, is new.")
    await expect(page.locator("#inc-2481 .countdown time")).not_to_have_text(str(clock))
    await expect(page.locator("#inc-2481 .countdown time")).to_have_text(re.compile(r"^in \d+:\d\d$"))


async def test_a_machine_that_slept_reconnects_without_an_error_event(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open(first=NO_SHARED_WORKER))
    services.incidents.add(demo_data.incident(2490, "Orders cannot be placed"), streamed=False)
    await page.evaluate("() => { const now = Date.now; Date.now = () => now() + 3_600_000; }")
    await eventually(lambda: services.incidents.resumed == ["1-0"])
    await expect(page.locator("#inc-2490")).to_be_visible()
    await expect(page.locator("#live-word")).to_have_text("Live")


async def test_the_tabs_of_a_browser_share_one_stream(visit: Visit, services: Services) -> None:
    services.fill()
    first = await live(await visit.open())
    second = await first.context.new_page()
    await second.goto(visit.url + "/incidents/2481")
    await live(second)
    assert services.incidents.readers == 1
    await first.close()
    services.incidents.publish(services.incidents.incidents[2481], EventType.ACKNOWLEDGED, "Ann")
    await expect(second.locator("#spoken")).not_to_be_empty()
    assert services.incidents.readers == 1


async def test_a_page_opened_during_an_outage_becomes_live_by_itself(visit: Visit, services: Services) -> None:
    services.fill()
    visit.expect("503", "net::ERR_")
    await services.incidents.stop()
    page = await visit.open()
    await expect(page.locator("h1")).to_have_text("Open incidents cannot be shown right now")
    await expect(page.locator("#live-word")).to_contain_text("Reconnecting since")
    await services.incidents.start()
    await expect(page.locator("#live-word")).to_have_text("Live", timeout=30_000)
    await expect(page.locator("h1")).to_have_text("2 incidents are unacknowledged")


async def test_an_outage_is_noticed_without_a_reload(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await services.schedules.stop()
    services.incidents.publish(services.incidents.incidents[2481], EventType.NOTE_ADDED, "Ann")
    await expect(page.locator("#live-word")).to_have_text("Partly live")
    await expect(page.locator("#inc-2481 .countdown")).to_contain_text("Escalation paused")
