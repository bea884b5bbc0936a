import re
from datetime import timedelta

import pytest

from tests.support.waiting import eventually
from tests.support.web import demo_data
from tests.support.web.browser_queries import FRAGMENTS, read
from tests.support.web.demo_night import Services
from tests.support.web.html import Html
from tests.web.conftest import Client, StartWeb
from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.kernel import tasks
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.page_loader import CACHE_SIZE, Cache


def order(page: Html) -> list[str]:
    return [given["id"] for _, given in page.attributes if given.get("id", "").startswith("inc-")]


async def test_the_heading_of_now_counts_unacknowledged_incidents_and_names_the_next_pages(
    client: Client, services: Services
) -> None:
    services.fill()
    page = await read(client, "/")
    assert "2 incidents are unacknowledged" in page.text("head")
    assert "Next page: everyone in Fulfilment in 0:3" in page.text("head")
    assert ", then Carol Mensah in 3:" in page.text("head")
    assert "(2) Now · Tocsin" in page.text()


async def test_incidents_are_sorted_by_severity_and_age(client: Client, services: Services) -> None:
    for number, severity, minutes in ((1, Severity.LOW, 9), (2, Severity.CRITICAL, 1), (3, Severity.CRITICAL, 5)):
        created = demo_data.ago(minutes=minutes)
        services.incidents.add(demo_data.incident(number, f"n{number}", severity=severity, created_at=created))
    assert order(await read(client, "/")) == ["inc-3", "inc-2", "inc-1"]


async def test_an_unacknowledged_incident_shows_who_was_paged_and_an_acknowledge_button(
    client: Client, services: Services
) -> None:
    services.fill()
    page = await read(client, "/")
    card = page.text("inc-2481")
    assert "Critical" in card
    assert "Checkout answers 5xx for 7.4 % of requests" in card
    assert "checkout-apiPayments47 alerts" in card
    assert "Priya Raman was paged 1:4" in card
    assert "Pages Carol Mensah in 3:1" in card
    assert page.form("/incidents/2481/acknowledge").method == "post"
    fuse = next(given for given in page.elements("progress") if "Carol" in given["aria-label"])
    assert fuse["max"] == "300"
    assert 180 < int(fuse["value"]) <= 192


async def test_now_counts_each_state_and_lists_what_is_worked_on_and_what_ended(
    client: Client, services: Services
) -> None:
    services.fill()
    page = await read(client, "/")
    assert page.text("head").endswith("2Open 1Acknowledged 2In progress 3Resolved, 24 h")
    assert "Replica lag on ledger-db-2 above 90 s" in page.text("list")
    assert "Tomás Rivera · open for 26 min" in page.text("list")
    assert "Label printer pool offline in Leipzig" in page.text("done")
    assert "acknowledged in 1:05, resolved in 22 min" in page.text("done")


async def test_incidents_resolved_over_a_day_ago_are_not_counted(client: Client, services: Services) -> None:
    old = demo_data.resolved(1, "Old", timedelta(minutes=5))
    old = old.model_copy(update={"resolved_at": demo_data.ago(hours=25)})
    services.incidents.incidents[1] = old
    page = await read(client, "/")
    assert page.text("done").startswith("Resolved earlier, in the last 7 days Critical Old #1")
    assert "The last one, Old, was resolved 1 d 1 h ago" in page.text("head")


async def test_more_incidents_than_are_counted_have_a_plus(client: Client, services: Services) -> None:
    for number in range(1, 206):
        services.incidents.incidents[number] = demo_data.incident(number, f"n{number}")
    page = await read(client, "/")
    assert "200+ incidents are unacknowledged" in page.text("head")
    assert len(order(page)) == 50


async def test_the_strip_names_who_is_on_call_for_each_team_and_until_when(client: Client, services: Services) -> None:
    services.fill()
    strip = (await read(client, "/")).text("strip")
    assert "Payments" in strip
    assert re.search(r"Priya Raman until \w{3} 09:00 UTC Secondary Carol Mensah", strip)


async def test_the_visitor_on_call_is_marked(client: Client, services: Services) -> None:
    services.be_quiet()
    cookie = {"Cookie": "tocsin_actor=Tom%C3%A1s%20Rivera"}
    strip = (await read(client, "/", headers=cookie)).text("strip")
    assert "Tomás Rivera You" in strip
    assert strip.count("You") == 1


async def test_a_team_without_a_primary_is_shown_as_such(client: Client, services: Services) -> None:
    services.schedules.schedules.append(demo_data.schedule("Search"))
    services.schedules.on_call["Search"] = demo_data.on_call("Search", None, "Jonas Lindqvist")
    page = await read(client, "/")
    assert re.search(r"Nobody until \w{3} 09:00 UTC Secondary Jonas Lindqvist", page.text("strip"))
    assert "Nobody is primary for Search" in page.text("list")


async def test_a_team_deleted_since_it_was_listed_is_left_out(client: Client, services: Services) -> None:
    services.be_quiet()
    del services.schedules.on_call["Search"]
    page = await read(client, "/")
    assert "Search" not in page.text("strip")
    assert "Platform" in page.text("strip")


async def test_figures_are_means_of_seven_days_against_the_seven_before(client: Client, services: Services) -> None:
    before, week = [200.0, *[None] * 6], [*[None] * 5, 60.0, 192.0]
    services.incidents.days = demo_data.daily_times([*before, *week], [*before, *week])
    rail = (await read(client, "/")).text("rail")
    assert "MTTA mean of 7 days faster by 37 % 2:06 min 3:20 min0 7 days before these 7 days" in rail
    assert "MTTR mean of 7 days faster by 37 % 2:06 min" in rail


async def test_without_a_measurement_no_figure_is_made_up(client: Client, services: Services) -> None:
    services.incidents.days = demo_data.daily_times([None] * 14, [None] * 14)
    rail = (await read(client, "/")).text("rail")
    assert "MTTA mean of 7 days \N{EN DASH} No incident opened in the last 7 days is acknowledged." in rail


async def test_the_pulse_covers_three_hours_or_shows_how_much_less(client: Client, services: Services) -> None:
    services.alerts.alerts += [demo_data.alert(seconds) for seconds in (10, 4_000, 20_000)]
    assert "Alerts last 3 hours 2" in (await read(client, "/")).text("rail")
    services.alerts.alerts += [demo_data.alert(seconds) for seconds in range(120)]
    assert "Alerts last 1 min 100+" in (await read(client, "/")).text("rail")


async def test_an_incident_that_was_over_at_once_shows_no_zeros(client: Client, services: Services) -> None:
    brief = demo_data.resolved(1, "Blip", timedelta(seconds=0.4))
    services.incidents.incidents[1] = brief.model_copy(update={"mtta_seconds": 0.2})
    done = (await read(client, "/")).text("done")
    assert "under 1 s" in done
    assert "0 s" not in done
    assert "acknowledged in" not in done


async def test_work_without_unacknowledged_incidents_is_neither_quiet_nor_an_alarm(
    client: Client, services: Services
) -> None:
    quiet_work = demo_data.working(5, "Slow", IncidentStatus.IN_PROGRESS, timedelta(hours=1))
    services.incidents.incidents[5] = quiet_work
    page = await read(client, "/")
    assert "No unacknowledged incident 1 incident is acknowledged or in progress." in page.text("head")


async def test_htmx_gets_the_blocks_alone(client: Client, services: Services) -> None:
    services.fill()
    async with client.get("/", headers=FRAGMENTS) as response:
        text = await response.text()
        assert response.headers["Vary"] == "HX-Request, Accept-Encoding"
        assert response.headers["Cache-Control"] == "no-store"
    page = Html.read(text)
    assert page.faults == []
    assert [given["id"] for _, given in page.attributes if "hx-swap-oob" in given] == [
        "notices",
        "head",
        "list",
        "strip",
        "rail",
        "done",
        "count",
    ]
    assert not page.elements("html")
    assert page.elements("div")[1]["data-title"] == "(2) Now · Tocsin"


async def test_an_outage_is_shown_with_what_still_works_and_cached_values(client: Client, services: Services) -> None:
    services.fill()
    await read(client, "/")
    await services.schedules.stop()
    page = await read(client, "/")
    notice = page.text("notices")
    assert notice.startswith("The on-call service has been unavailable since ")
    assert "Escalations: does not work" in notice
    assert "Acknowledge, resolve, notes: works" in notice
    assert "Escalations are paused until the on-call service is back" in page.text("head")
    assert "Escalation paused" in page.text("inc-2481")
    assert "Would have paged Carol Mensah in 3:" in page.text("inc-2481")
    assert "Priya Raman" in page.text("strip")
    assert "As of " in page.text("strip")


async def test_an_outage_lasts_from_the_first_failure_to_the_first_response(client: Client, services: Services) -> None:
    await services.alerts.stop()

    async def since() -> str:
        page = await read(client, "/")
        assert "Alert ingestion has been unavailable since" in page.text("notices")
        return next(given["datetime"] for given in page.elements("time") if given.get("data-as") == "zoned")

    assert await since() == await since()
    await services.alerts.start()
    assert (await read(client, "/")).text("notices") == ""


async def test_without_incident_management_open_incidents_are_unknown(client: Client, services: Services) -> None:
    services.fill()
    await services.incidents.stop()
    page = await read(client, "/")
    assert "Open incidents cannot be shown right now" in page.text("head")
    assert "All quiet" not in page.text()
    assert "Incident management has been unavailable since" in page.text("notices")
    assert "Priya Raman" in page.text("strip")


async def test_with_an_empty_cache_the_strip_names_nobody(client: Client, services: Services) -> None:
    await services.schedules.stop()
    assert "Who is on call cannot be shown" in (await read(client, "/")).text("strip")


async def test_a_rejected_request_omits_its_part_of_the_page_and_is_no_outage(
    client: Client, services: Services
) -> None:
    services.be_quiet()
    services.alerts.statuses.append(422)
    page = await read(client, "/")
    assert "Alerts last" not in page.text("rail")
    assert page.text("notices") == ""


def test_the_cache_evicts_the_least_recently_stored_value() -> None:
    cache = Cache()
    answers = {str(number): Cached(number, demo_data.ago(), fresh=False) for number in range(CACHE_SIZE + 1)}
    for key, answer in answers.items():
        cache.put(key, answer)
        cache.put("0", answers["0"])
    assert cache.get("0") == answers["0"]
    assert cache.get("1") is None
    assert cache.get("2") == answers["2"]


@pytest.mark.slow
async def test_a_service_that_hangs_costs_the_page_one_short_time_out(start_web: StartWeb, services: Services) -> None:
    client = await start_web(part_seconds=1.0)
    services.fill()
    services.messages.gate.clear()
    page = await read(client, "/")
    assert "The notification service has been unavailable since" in page.text("notices")
    assert "2 incidents are unacknowledged" in page.text("head")


async def test_everything_is_loaded_concurrently(start_web: StartWeb, services: Services) -> None:
    client = await start_web(part_seconds=10)
    least = {services.alerts: 1, services.incidents: 1, services.messages: 1, services.schedules: 1}
    for peer in least:
        peer.gate.clear()
    async with tasks.task_group() as group:
        page = group.create_task(read(client, "/"))
        await eventually(lambda: all(len(peer.requests) >= questions for peer, questions in least.items()))
        for peer in least:
            peer.gate.set()
    assert "All quiet" in page.result().text("head")
