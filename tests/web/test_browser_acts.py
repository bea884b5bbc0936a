"""Acting on the pages in a real browser."""

import pytest
from playwright.async_api import expect

from tests.support.waiting import eventually
from tests.support.web import demo_data
from tests.support.web.demo_night import Services
from tests.support.web.visits import PHONE, Visit, caught_up, live
from tocsin.contracts.incidents import EventType, IncidentStatus

pytestmark = [pytest.mark.slow, pytest.mark.sample("pages in a browser", 45)]


async def test_an_acknowledgement_appears_in_place_and_in_other_browsers(visit: Visit, services: Services) -> None:
    services.fill()
    mine = await live(await visit.open())
    other = await live(await visit.open("/incidents/2481"))
    await mine.evaluate("window.untouched = true")
    await mine.get_by_role("button", name="Acknowledge incident 2481").click()
    await expect(mine.locator("h1")).to_have_text("1 incident is unacknowledged")
    await expect(mine.locator("li#inc-2481")).to_contain_text("Acknowledged")
    await expect(other.locator("#response h2")).to_have_text("Acknowledged by somebody via web")
    await expect(other.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await expect(other.locator("#spoken")).to_have_text("Incident 2481 is acknowledged.")
    assert await mine.evaluate("window.untouched")
    assert mine.url.endswith("/")


async def test_an_incident_is_acknowledged_commented_and_resolved_on_its_page(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481", name="Priya Raman"))
    await page.evaluate("window.untouched = true")
    await page.get_by_label("Add a note").fill("Rolling back <b>now</b>.")
    await page.get_by_role("button", name="Add note").click()
    await expect(page.locator("#timeline .note-text").first).to_have_text("Rolling back <b>now</b>.")
    await expect(page.get_by_label("Add a note")).to_have_value("")
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#response h2")).to_have_text("Resolved by Priya Raman")
    await expect(page.locator(".action-bar")).to_have_count(0)
    await expect(page.locator(".steps [aria-current]")).to_contain_text("Resolved")
    assert await page.evaluate("window.untouched")


async def test_the_same_words_twice_are_two_notes(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2478"))
    for count in (1, 2):
        await page.get_by_label("Add a note").fill("Still failing.")
        await page.get_by_role("button", name="Add note").click()
        await expect(page.locator("#timeline .note-text")).to_have_count(count)
    keys = [request.idempotency_key for request in services.incidents.requests if request.body]
    assert len(set(keys)) == 2


async def test_a_rejected_change_shows_the_present_state_in_place(visit: Visit, services: Services) -> None:
    services.fill()
    visit.expect("409")
    page = await live(await visit.open("/incidents/2481"))
    # From now on nobody tells this page of a change: that reaches it with the refusal.
    await page.route("**/incidents/2481", lambda route: route.fulfill(status=204))
    await expect(page.locator("main.htmx-request")).to_have_count(0)
    ended = services.incidents.incidents[2481]
    services.incidents.incidents[2481] = ended.model_copy(
        update={"status": IncidentStatus.RESOLVED, "resolved_at": demo_data.ago(seconds=1), "mttr_seconds": 107.0}
        | {"acknowledged_at": demo_data.ago(seconds=1), "mtta_seconds": 107.0}
    )
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("#notices")).to_contain_text("Incident 2481 is already resolved")
    await expect(page.locator(".steps [aria-current]")).to_contain_text("Resolved")


async def test_a_failed_request_is_reported_and_can_be_repeated(visit: Visit, services: Services) -> None:
    services.fill()
    visit.expect("Failed to fetch", "net::ERR_FAILED")
    page = await live(await visit.open("/incidents/2481"))
    await page.route("**/acknowledge", lambda route: route.abort())
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("#notices")).to_contain_text("The request failed")
    await page.unroute("**/acknowledge")
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("#response h2")).to_have_text("Acknowledged by somebody via web")
    await expect(page.locator("#notices")).to_be_empty()


async def test_everything_works_without_javascript(visit: Visit, services: Services) -> None:
    services.fill()
    page = await visit.open(java_script_enabled=False)
    await expect(page.locator("#clock")).to_contain_text("UTC")
    await page.get_by_role("button", name="Acknowledge incident 2481").click()
    await expect(page.locator("h1")).to_have_text("1 incident is unacknowledged")
    await page.get_by_role("link", name="Checkout answers 5xx").click()
    await expect(page.locator("#head")).to_contain_text("since")
    await page.get_by_label("Add a note").fill("By hand.")
    await page.get_by_role("button", name="Add note").click()
    await expect(page.locator("#timeline .note-text").first).to_have_text("By hand.")
    await page.locator(".top summary").click()
    await page.get_by_text("Dark", exact=True).click()
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.get_by_role("button", name="Start work").click()
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#response h2")).to_have_text("Resolved by somebody via web")


async def test_an_acknowledgement_is_seen_in_another_browser_within_a_second_and_a_half(
    visit: Visit, services: Services
) -> None:
    services.fill()
    mine = await live(await visit.open("/incidents/2481"))
    other = await live(await visit.open("/incidents/2481"))
    for page, name in ((mine, "Priya Raman"), (other, "Dele Adeyemi")):
        await page.context.add_cookies([{"name": "tocsin_actor", "value": name.replace(" ", "%20"), "url": visit.url}])
    await mine.get_by_role("button", name="Acknowledge").click()
    await expect(mine.locator("#response h2")).to_have_text("Acknowledged by Priya Raman")
    await expect(other.locator("#response h2")).to_have_text("Acknowledged by Priya Raman", timeout=1_500)


async def test_a_click_shows_at_once_that_it_is_in_progress(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open("/incidents/2481"))
    services.incidents.gate.clear()
    await page.get_by_role("button", name="Acknowledge").click()
    button = page.locator(".action-bar button").first
    await expect(button).to_have_accessible_name("Acknowledging")
    await expect(button).to_be_disabled()
    services.incidents.gate.set()
    await expect(page.locator("#response h2")).to_have_text("Acknowledged by somebody via web")


async def test_the_result_of_a_click_stays_until_the_next_one(visit: Visit, services: Services) -> None:
    services.fill()
    page = await live(await visit.open())
    await page.context.add_cookies([{"name": "tocsin_actor", "value": "Priya%20Raman", "url": visit.url}])
    await caught_up(page, services)
    changed = services.incidents.change(2481, IncidentStatus.ACKNOWLEDGED, "Dele Adeyemi", streamed=False)
    await page.get_by_role("button", name="Acknowledge incident 2481").click()
    await expect(page.locator("#notices")).to_contain_text("Incident 2481 is already acknowledged")
    await expect(page.locator("#notices")).to_contain_text("Dele Adeyemi acknowledged it at")
    await expect(page.locator("#notices")).to_contain_text("Nothing was changed.")
    lists = services.incidents.lists
    services.incidents.publish(changed, EventType.NOTE_ADDED, "Ann")
    await eventually(lambda: services.incidents.lists > lists)
    await expect(page.locator("main.htmx-request")).to_have_count(0)
    await expect(page.locator("#notices")).to_contain_text("Dele Adeyemi acknowledged it at")
    await page.get_by_role("button", name="Acknowledge incident 2480").click()
    await expect(page.locator("h1")).to_have_text("No unacknowledged incident")
    await expect(page.locator("#notices")).to_be_empty()


async def test_hostile_text_executes_no_script(visit: Visit, services: Services) -> None:
    payload = "<img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>\"'{{7*7}}"
    hostile = demo_data.incident(6, payload, service=payload, team=payload, assigned_to=payload, description=payload)
    entries = [demo_data.entry(EventType.CREATED, payload, payload, 1)]
    services.incidents.incidents[6] = hostile.model_copy(
        update={"timeline": entries, "alerts": [demo_data.attached(payload, 1, 1, **{payload: payload})]}
    )
    page = await live(await visit.open())
    services.incidents.add(demo_data.incident(7, payload, service=payload))
    await expect(page.locator("#inc-7 h3")).to_have_text(payload)
    page = await live(await visit.open("/incidents/6"))
    await page.get_by_label("Add a note").fill(payload)
    await page.get_by_role("button", name="Add note").click()
    await expect(page.locator("#timeline .note-text").first).to_have_text(payload)


@pytest.mark.parametrize("scripts", [True, False])
async def test_whoever_has_no_name_yet_chooses_one_with_the_first_action(
    visit: Visit, services: Services, *, scripts: bool
) -> None:
    services.fill()
    services.schedules.people = [demo_data.person("Priya Raman", "Checkout"), demo_data.person("Tomás Rivera")]
    visit.expect("422")
    page = await visit.open("/incidents/2481", name="", viewport=PHONE, java_script_enabled=scripts)
    if scripts:
        await live(page)
    await page.get_by_role("button", name="Acknowledge").click()
    question = page.get_by_role("heading", name="Who are you?")
    await expect(question).to_be_in_viewport()
    if scripts:
        await expect(question).to_be_focused()
    await page.get_by_role("button", name="Priya Raman").click()
    await expect(page.locator("#response h2")).to_have_text("Acknowledged by Priya Raman")
    await expect(question).to_have_count(0)
    await page.get_by_role("button", name="Resolve").click()
    await expect(page.locator("#response h2")).to_have_text("Resolved by Priya Raman")


async def test_a_name_that_is_being_typed_outlasts_a_refresh(visit: Visit, services: Services) -> None:
    services.fill()
    visit.expect("422")
    page = await live(await visit.open("/incidents/2481", name=""))
    await page.get_by_role("button", name="Acknowledge").click()
    field = page.locator(".who").get_by_label("Your name")
    await field.fill("Zo")
    requests = len(services.incidents.requests)
    services.incidents.publish(services.incidents.incidents[2481], EventType.ALERT_ATTACHED, "alert-ingestion")
    await eventually(lambda: len(services.incidents.requests) > requests)
    await field.press_sequentially("ë")
    await field.press("Enter")
    await expect(page.locator("#response h2")).to_have_text("Acknowledged by Zoë")
