import pytest

from tests.support.web import demo_data
from tests.support.web.browser_queries import FRAGMENTS, read
from tests.support.web.demo_night import Services
from tests.support.web.html import Html
from tests.web.conftest import Client
from tocsin.contracts.alerts import AlertAction
from tocsin.kernel.ids import new_id

LIST = "/alerts"


def listed(page: Html) -> list[str]:
    return [row["id"].removeprefix("a-") for row in page.elements("tr") if row.get("id", "").startswith("a-")]


async def test_each_alert_shows_its_outcome_and_why(client: Client, services: Services) -> None:
    alerts = services.storm()
    page = await read(client, LIST)
    assert page.text("head").startswith(
        "6 alerts, in 2 incidents In the last 24 hours. They were reported 33 times in all."
    )
    assert "All 6 New incident 2 Attached 2 Pending 1 Ignored 1" in page.text("chips")
    assert listed(page) == [str(alert.id) for alert in alerts.values()]
    expected = {
        "repeated": "Attached #2481 Checkout answers 5xx for 7.4 % of requests same service and severity, 1:44 after it"
        " opened reported 28 times with the same dedup key",
        "attached": "PaymentAuthTimeout: p99 of authorise at 12.1 s checkout-apiGrafana",
        "waiting": "Pending incident management has not responded yet; Tocsin retries until it does",
        "ignored": "Ignored its sender resolved it, but it was not firing",
        "new": "New incident #2481 Checkout answers 5xx for 7.4 % of requests no unresolved incident of checkout-api"
        " at this severity was recent enough; assigned to Priya Raman",
        "recovered": "The severity “page” is not known; taken as high. resolved by its sender after 40 s",
    }
    for word, sentence in expected.items():
        assert sentence in page.text(f"a-{alerts[word].id}")
    assert "region=eu-central" in page.text(f"a-{alerts['repeated'].id}")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action=new_incident", ["new", "recovered"]),
        ("action=attached_to_existing_incident", ["repeated", "attached"]),
        ("action=pending", ["waiting"]),
        ("action=ignored", ["ignored"]),
        ("severity=high", ["recovered"]),
        ("status=resolved", ["ignored", "recovered"]),
        ("service=search-index", ["waiting"]),
        ("integration=generic", ["ignored"]),
        ("integration=alertmanager&action=pending", ["waiting"]),
        ("q=heap&service=&severity=&status=", ["waiting"]),
        ("since=1h&q=nothing", []),
    ],
)
async def test_the_address_filters_the_alerts(
    client: Client, services: Services, query: str, expected: list[str]
) -> None:
    alerts = services.storm()
    page = await read(client, f"{LIST}?{query}")
    assert listed(page) == [str(alerts[word].id) for word in expected]
    assert "6 alerts, in 2 incidents" in page.text("head")


async def test_the_time_window_is_shown_and_can_be_changed(client: Client, services: Services) -> None:
    services.storm()
    services.alerts.alerts += [demo_data.alert(7_000), demo_data.alert(9_000)]
    page = await read(client, f"{LIST}?since=3h&q=high")
    assert "8 alerts, in 2 incidents In the last 3 hours." in page.text("head")
    current = [link["href"] for link in page.elements("a") if link.get("aria-current") == "true"]
    assert current == [f"{LIST}?q=high&since=3h"]
    page = await read(client, f"{LIST}?since=1h")
    assert "6 alerts, in 2 incidents In the last hour." in page.text("head")
    assert (await read(client, f"{LIST}?since=1y", status=422)).text("notices")


@pytest.mark.parametrize(
    ("actions", "heading"),
    [
        ([], "No alert was received"),
        ([AlertAction.PENDING], "1 alert, in no incident"),
        ([AlertAction.NEW_INCIDENT], "1 alert, in 1 incident"),
        ([AlertAction.NEW_INCIDENT, AlertAction.ATTACHED], "2 alerts, in 1 incident"),
    ],
)
async def test_no_alert_one_and_two_have_correct_grammar(
    client: Client, services: Services, actions: list[AlertAction], heading: str
) -> None:
    incident = services.incidents.add(demo_data.incident(1, "Slow"))
    for action in actions:
        given = {} if action is AlertAction.PENDING else {"incident_id": incident.id}
        services.alerts.alerts.append(demo_data.alert(5, action=action, **given))
    page = await read(client, LIST)
    assert page.text("head").startswith(heading + " In the last")


async def test_a_storm_shows_which_alerts_are_counted(client: Client, services: Services) -> None:
    services.storm()
    services.alerts.cut_at = demo_data.ago(minutes=5)
    page = await read(client, LIST)
    assert "More than 6 alerts, in at least 2 incidents" in page.text("head")
    assert "Only the newest 10,000 are counted; the oldest of them was received on" in page.text("head")


async def test_all_alerts_of_one_incident_are_read_page_by_page(client: Client, services: Services) -> None:
    services.fill()
    incident = services.incidents.incidents[2481]
    services.alerts.alerts = [demo_data.alert(400_000 + n, incident_id=incident.id) for n in range(70)] + [
        demo_data.alert(1)
    ]
    page = await read(client, f"{LIST}?incident={incident.id}")
    assert page.text("head").startswith("#2481 47 alerts belong to incident #2481")
    seen = listed(page)
    [older] = [link["href"] for link in page.elements("a") if link.get("rel") == "next"]
    page = await read(client, older)
    assert seen + listed(page) == [str(alert.id) for alert in services.alerts.alerts[:70]]


async def test_one_alert_shows_its_raw_request(client: Client, services: Services) -> None:
    alerts = services.storm()
    services.alerts.body = '{"message": "<script>alert(1)</script>\u0000"}'
    page = await read(client, f"{LIST}/{alerts['repeated'].id}")
    words = page.text("alert")
    assert "HighErrorRate: checkout-api answers 5xx for 7.4 % of requests" in words
    assert '{"message": "<script>alert(1)</script>' in words
    assert "The last of 28 reports" in words
    assert "Dedup key checkout-5xx" in words
    assert "Runbook: checkout 5xx" in words
    assert "https://runbooks.halyard.example/checkout-5xx" in [link["href"] for link in page.elements("a")]


async def test_a_label_that_is_an_address_is_a_link_like_those_of_an_annotation(
    client: Client, services: Services
) -> None:
    runbook = "https://runbooks.halyard.example/checkout?a=1&b=2"
    labels = {"runbook_url": runbook, "script": "javascript:alert(1)", "team": "payments"}
    alert = demo_data.alert(5, labels=labels)
    services.alerts.alerts.append(alert)
    for path in (LIST, f"{LIST}/{alert.id}"):
        page = await read(client, path)
        [link] = [link for link in page.elements("a") if link["href"] == runbook]
        assert link["rel"] == "noreferrer"
        assert not [link for link in page.elements("a") if "script" in link["href"]]
        assert f"runbook_url={runbook}" in page.text()


async def test_a_huge_request_is_truncated(client: Client, services: Services) -> None:
    alerts = services.storm()
    services.alerts.body = "a" * 65_536 + "END"
    page = await read(client, f"{LIST}/{alerts['new'].id}")
    assert "Only its beginning is shown." in page.text("alert")
    assert "END" not in page.text("alert")


@pytest.mark.parametrize("ref", ["7", "01a1fddf-ead3-73fb-b54c-3f17b2c82759"])
async def test_an_unknown_alert_is_not_found(client: Client, ref: str) -> None:
    page = await read(client, f"{LIST}/{ref}", status=404)
    assert "There is no alert" in page.text("notices")


async def test_an_alert_past_the_retention_is_not_found_with_the_reason(client: Client) -> None:
    page = await read(client, f"{LIST}/{new_id()}", status=404)
    assert "Alerts are kept for 90 days." in page.text("notices")


async def test_an_alert_is_shown_without_its_deleted_request(client: Client, services: Services) -> None:
    alerts = services.storm()
    services.alerts.body = ""
    page = await read(client, f"{LIST}/{alerts['new'].id}")
    assert "Raw requests are deleted some weeks after they were received." in page.text("alert")
    assert "Full alert as JSON" in page.text("alert")


async def test_an_outage_is_shown_with_the_rest_of_the_page(client: Client, services: Services) -> None:
    alerts = services.storm()
    await services.incidents.stop()
    page = await read(client, LIST)
    assert "Incident management has been unavailable since" in page.text("notices")
    assert len(listed(page)) == 6
    assert "#2481" not in page.text("results")
    page = await read(client, f"{LIST}/{alerts['new'].id}")
    assert "Its incident cannot be shown until incident management is back." in page.text("alert")
    await services.alerts.stop()
    page = await read(client, LIST)
    assert "Alerts cannot be shown right now" in page.text("head")
    assert "Alerts cannot be shown until alert ingestion is back." in page.text("results")


async def test_htmx_gets_the_blocks_of_the_same_alerts(client: Client, services: Services) -> None:
    services.storm()
    part = await read(client, f"{LIST}?action=new_incident", headers=FRAGMENTS)
    assert not part.elements("html")
    assert len(listed(part)) == 2
