import re
from datetime import timedelta
from typing import Any

import pytest

from tests.support.waiting import eventually
from tests.support.web import demo_data
from tests.support.web.browser_queries import BROWSER, FRAGMENTS, read
from tests.support.web.demo_night import Services
from tests.support.web.html import Html
from tests.web.conftest import Client, StartWeb
from tocsin.contracts.alerts import Link
from tocsin.contracts.escalations import Level
from tocsin.contracts.incidents import EventType, IncidentStatus, MovedAlert
from tocsin.contracts.notifications import NotificationStatus
from tocsin.kernel import tasks


def verbs(page: Html) -> list[str]:
    return [form.action.rsplit("/", 1)[1] for form in page.forms if form.action.startswith("/incidents/")]


async def test_an_incident_is_shown_by_number_and_by_id(client: Client, services: Services) -> None:
    services.fill()
    by_number = await read(client, "/incidents/2481")
    by_id = await read(client, f"/incidents/{services.incidents.incidents[2481].id}")
    for page in (by_number, by_id):
        assert "Checkout answers 5xx for 7.4 % of requests" in page.text("head")
        assert "#2481 Checkout answers 5xx" in page.text()


@pytest.mark.parametrize(
    "ref", ["99", "0", "-1", "01", "abc", "99999999999999999999", "1%2Fmetrics", "stream", "'><b>"]
)
async def test_an_unknown_incident_is_a_page_not_found(client: Client, ref: str) -> None:
    page = await read(client, f"/incidents/{ref}", status=404)
    assert page.text("h") == "Page not found"
    assert "urn:tocsin:problem:not-found" in page.text()


async def test_the_steps_have_their_times_and_determine_the_actions(client: Client, services: Services) -> None:
    services.fill()
    ringing = await read(client, "/incidents/2481")
    assert verbs(ringing) == ["acknowledge", "resolve", "start", "escalate", "notes"]
    steps = [item for item in ringing.elements("li") if item.get("class", "").split(" ")[0] in set(IncidentStatus)]
    assert [step.get("aria-current") for step in steps[:4]] == ["step", None, None, None]
    assert "so far" in ringing.text("head")
    acknowledged = await read(client, "/incidents/2478")
    assert verbs(acknowledged) == ["resolve", "start", "notes"]
    assert "Paging has stopped" in acknowledged.text("response")
    started = await read(client, "/incidents/2475")
    assert verbs(started) == ["resolve", "notes"]
    ended = await read(client, "/incidents/2479")
    assert verbs(ended) == ["notes"]
    assert "resolved after 22 min" in ended.text("head")
    assert "acknowledged after 1:05" in ended.text("response")


async def test_the_first_to_act_has_acknowledged(client: Client, services: Services) -> None:
    answered = demo_data.working(1, "Slow", IncidentStatus.IN_PROGRESS, timedelta(minutes=5))
    entries = [
        demo_data.entry(EventType.STATUS_CHANGED, "Bo", "Work has begun.", 10),
        demo_data.entry(EventType.ACKNOWLEDGED, "Ann", "Acknowledged.", 60),
        demo_data.entry(EventType.CREATED, "alert-ingestion", "Opened.", 300),
    ]
    services.incidents.add(answered.model_copy(update={"timeline": entries}))
    assert "Being worked on, acknowledged by Ann" in (await read(client, "/incidents/1")).text("response")


async def test_an_open_incident_shows_who_was_paged_and_who_is_next(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, "/incidents/2481")
    assert "Not acknowledged yet Priya Raman was paged 1:4" in page.text("response")
    assert "on 2 channels. At " in page.text("response")
    assert "the page goes to Carol Mensah" in page.text("response")
    ladder = page.text("escalation")
    assert "Payments, 5 min a level" in ladder
    assert "1 Priya Raman Primary. Paged" in ladder
    assert "2 Carol Mensah Secondary. Will be paged at" in ladder
    assert "until someone acknowledges" in ladder


async def test_a_stopped_escalation_shows_no_next_level(client: Client, services: Services) -> None:
    services.fill()
    ringing = services.incidents.incidents[2481]
    stopped = services.schedules.escalations[ringing.id].model_copy(
        update={"stopped_at": demo_data.ago(seconds=5), "next_action_at": None, "next_people": [], "next_level": None}
    )
    services.schedules.escalations[ringing.id] = stopped
    assert "Paging has stopped" in (await read(client, "/incidents/2481")).text("escalation")


async def test_a_due_page_is_shown_as_now(client: Client, services: Services) -> None:
    services.fill()
    ringing = services.incidents.incidents[2481]
    due: dict[str, Any] = {"next_action_at": demo_data.ago(seconds=3), "next_people": [], "next_level": Level.CATCH_ALL}
    escalation = services.schedules.escalations[ringing.id].model_copy(update=due)
    services.schedules.escalations[ringing.id] = escalation
    page = await read(client, "/incidents/2481")
    assert "Pages the catch-all contact now" in page.text("response")
    assert re.search(r"Catch-all\. Will be paged at \d\d:\d\d:\d\d UTC, now", page.text("escalation"))
    assert "pages the catch-all contact now" in (await read(client, "/incidents")).text("results")
    assert "Next page: the catch-all contact now" in (await read(client, "/")).text("head")


async def test_alerts_are_listed_with_labels_and_the_rest_collapsed(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, "/incidents/2481")
    table = page.text("alerts")
    assert "Alerts 47 44 firing" in table
    assert "Firing HighErrorRate: checkout-api answers 5xx" in table
    assert "code=5xx job=checkout-api region=eu-central" in table
    assert "Recovered PodRestart" in table
    assert "37 more" in table
    assert "HighErrorRate on pod 43" in page.text("more-alerts")


async def test_an_incident_opened_by_hand_has_no_alerts(client: Client, services: Services) -> None:
    services.incidents.add(demo_data.incident(3, "By hand", description="The *bridge*\nis out."))
    page = await read(client, "/incidents/3")
    assert "Opened by hand" in page.text("alerts")
    assert "The *bridge* is out." in page.text("details")


async def test_alerts_that_moved_are_shown_with_their_present_incident(client: Client, services: Services) -> None:
    services.fill()
    now, before = services.incidents.incidents[2481], services.incidents.incidents[2479]
    alerts = [
        MovedAlert(**dict(item), moved_at=demo_data.ago(seconds=9), moved_to_id=now.id, moved_to_number=now.number)
        for item in now.alerts[:2]
    ]
    services.incidents.incidents[2479] = before.model_copy(update={"moved_alerts": alerts})
    page = await read(client, "/incidents/2479")
    assert "0 alerts, 2 moved" in page.text("head")
    assert "2 alerts kept firing and moved to #2481." in page.text("response")
    assert "the next alert opens a new incident" not in page.text("response")
    assert "Opened by hand" not in page.text("alerts")
    assert "Moved to another incident still firing after this one was resolved" in page.text("moved")
    assert [link["href"] for link in page.elements("a")].count("/incidents/2481") == 3
    async with client.get("/incidents/2479/postmortem.md") as response:
        assert "- Still firing after this was resolved, moved to #2481: 2" in await response.text()


async def test_a_note_is_written_above_the_newest_entry(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, "/incidents/2481")
    ids = [given["id"] for _, given in page.attributes if "id" in given]
    assert ids.index("tl") < ids.index("note") < ids.index("timeline")


async def test_the_timeline_shows_each_message_once_below_its_page(client: Client, services: Services) -> None:
    services.fill()
    timeline = (await read(client, "/incidents/2481")).text("timeline")
    assert "Hannah Weiss wrote a note Two merchants called support: card payments fail" in timeline
    assert "First call at 03:10." in timeline
    assert "E-mailDeliveredin 0.8 s to priya@halyard.example" in timeline
    assert "WebhookRetrying2 attempts: 503 Service Unavailable, next in 2" in timeline
    assert "E-mail to Priya Raman delivered." not in timeline


async def test_a_failed_message_shows_why(client: Client, services: Services) -> None:
    services.fill()
    failed = {"status": NotificationStatus.FAILED, "reason": "410 Gone"}
    services.messages.messages = [message.model_copy(update=failed) for message in services.messages.messages]
    assert "WebhookFailed410 Gone" in (await read(client, "/incidents/2481")).text("timeline")


async def test_without_the_notification_service_its_report_stays_in_the_timeline(
    client: Client, services: Services
) -> None:
    services.fill()
    await services.messages.stop()
    page = await read(client, "/incidents/2481")
    assert "E-mail to Priya Raman delivered." in page.text("timeline")
    assert "The notification service has been unavailable since" in page.text("notices")


async def test_without_the_on_call_service_the_last_known_paging_is_shown_as_waiting(
    client: Client, services: Services
) -> None:
    services.fill()
    await read(client, "/incidents/2481")
    await services.schedules.stop()
    page = await read(client, "/incidents/2481")
    assert "Escalation paused Would have paged Carol Mensah" in page.text("response").replace(
        "pausedWould", "paused Would"
    )
    assert "Paused until the on-call service is back" in page.text("escalation")


async def test_without_incident_management_the_page_is_a_problem_with_a_link(
    client: Client, services: Services
) -> None:
    await services.incidents.stop()
    page = await read(client, "/incidents/2481", status=503)
    assert page.text("h") == "This is unavailable right now"
    assert "incident-management cannot be reached" in page.text()
    assert {"class": "btn primary", "href": "/"} in page.elements("a")


async def test_a_hundred_labels_and_long_texts_are_truncated_and_counted(client: Client, services: Services) -> None:
    labels = {f"label-{number:03}": "v" * 4_000 for number in range(100)}
    long = demo_data.attached("m" * 60_000, 1, 1, **labels)
    services.incidents.add(demo_data.incident(4, "t" * 512).model_copy(update={"alerts": [long], "alerts_total": 1}))
    async with client.get("/incidents/4", headers=BROWSER) as response:
        assert len(await response.text()) < 30_000
    assert "92 more" in (await read(client, "/incidents/4")).text("alerts")


async def test_an_incident_past_the_retention_of_alerts_says_how_many_were_deleted(
    client: Client, services: Services
) -> None:
    kept = [demo_data.attached("last", 1, 1), demo_data.attached("first", 1, 9)]
    ended = demo_data.resolved(4, "Disk full", timedelta(minutes=5), alert_count=47, alerts_total=47)
    services.incidents.add(ended.model_copy(update={"alerts": kept}))
    page = await read(client, "/incidents/4")
    assert "45 older alerts deleted after the retention; the first and the last are kept." in page.text("alerts")
    assert "Show its alerts" in page.text("alerts")
    services.incidents.add(ended)
    assert "Its alerts were deleted after the retention." in (await read(client, "/incidents/4")).text("alerts")


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"


async def test_hostile_text_is_shown_as_text(client: Client, services: Services) -> None:
    entries = [demo_data.entry(EventType.CREATED, HOSTILE, HOSTILE, 1, channels=7, note_id=HOSTILE)]
    hostile = demo_data.incident(
        5, HOSTILE, service=HOSTILE, team=HOSTILE, assigned_to=HOSTILE, description=HOSTILE, timeline=entries
    )
    alerts = [demo_data.attached(HOSTILE, 1, 1, source=HOSTILE, **{HOSTILE: HOSTILE})]
    services.incidents.add(hostile.model_copy(update={"alerts": alerts}))
    paged = demo_data.escalation(hostile, paged={HOSTILE: 5.0}, following=[HOSTILE], seconds=60)
    services.schedules.escalations[hostile.id] = paged
    cookie = {"Cookie": "tocsin_actor=%3Cb%3E%22%27; tocsin_theme=dark%22%20onload"}
    for path in ("/", "/incidents/5"):
        page = await read(client, path, headers=cookie)
        assert HOSTILE in page.text()
        assert not page.elements("img")
        assert not page.elements("b") or all(not given for given in page.elements("img"))
        assert {script.get("src", "")[:8] for script in page.elements("script")} == {"/static/"}
        assert not any(name.startswith("on") or name == "style" for _, given in page.attributes for name in given)


async def test_htmx_gets_the_blocks_alone(client: Client, services: Services) -> None:
    services.fill()
    async with client.get("/incidents/2481", headers=FRAGMENTS) as response:
        page = Html.read(await response.text())
    assert page.faults == []
    assert [given["id"] for _, given in page.attributes if "hx-swap-oob" in given] == [
        "notices",
        "head",
        "actions",
        "response",
        "alerts",
        "timeline",
        "escalation",
        "details",
        "responders",
        "same-service",
        "count",
    ]


async def test_paging_and_messages_are_loaded_concurrently(start_web: StartWeb, services: Services) -> None:
    client = await start_web(part_seconds=10)
    services.fill()
    services.schedules.gate.clear()
    services.messages.gate.clear()
    async with tasks.task_group() as group:
        page = group.create_task(read(client, "/incidents/2481"))
        await eventually(lambda: services.schedules.requests and services.messages.requests)
        services.schedules.gate.set()
        services.messages.gate.set()
    assert page.result().text("notices") == ""


async def test_each_link_of_the_senders_is_shown_once(client: Client, services: Services) -> None:
    services.fill()
    runbook = Link(href="https://runbooks.example.net/HighErrorRate", text="Runbook")
    graph = Link(href="https://prometheus.example.net/graph?a=1&b=2")
    services.alerts.alerts.clear()
    for seconds, links in ((30, [runbook]), (20, [runbook, graph])):
        alert = demo_data.alert(seconds).model_copy(
            update={"links": links, "incident_id": services.incidents.incidents[2481].id}
        )
        services.alerts.alerts.append(alert)
    page = await read(client, "/incidents/2481")
    assert [given["href"] for given in page.elements("a") if given.get("rel") == "noreferrer"] == [
        runbook.href,
        graph.href,
    ]
    assert f"Links Runbook {graph.href}" in page.text("details")
