from datetime import timedelta

import pytest

from tests.support.web import demo_data
from tests.support.web.browser_queries import BROWSER, FRAGMENTS, read
from tests.support.web.demo_night import Services
from tests.support.web.html import Html
from tests.web.conftest import Client
from tocsin.contracts.incidents import EventType, IncidentStatus
from tocsin.contracts.model import Severity

OWN = {"Sec-Fetch-Site": "same-origin"}
LIST = "/incidents"


def numbers(page: Html) -> list[int]:
    """Return the incidents of the table, from the top."""
    return [int(row["id"].removeprefix("inc-")) for row in page.elements("tr") if row.get("id", "").startswith("inc-")]


def searched(page: Html) -> str:
    return next(given["value"] for given in page.elements("input") if given.get("id") == "f")


def options(page: Html) -> list[str]:
    return [each["value"] for each in page.elements("option") if "selected" in each and "value" in each]


async def test_unresolved_incidents_are_listed(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, LIST)
    assert numbers(page) == [2481, 2480, 2478, 2475, 2471]
    assert "Incidents 5 incidents are not resolved; 2 are unacknowledged." in page.text("head")
    row = page.text("inc-2480")
    assert "High" in row
    assert "Carrier sync queue is 38 minutes behind #2480carrier-syncFulfilment" in row
    assert "pages everyone in 0:" in row
    assert "acknowledged in 1:05" in page.text("inc-2478")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=open", [2481, 2480]),
        ("status=resolved", [2476, 2477, 2479]),
        ("status=any&severity=low", [2476, 2471]),
        ("status=any&q=leipzig", [2479]),
        ("service=search-index", [2475]),
        ("assigned=Aiko+Tanabe", [2475]),
        ("team=Fulfilment", [2480, 2471]),
        ("since=24h", [2481, 2480, 2478, 2475]),
        ("q=&status=&severity=&team=&since=", [2481, 2480, 2478, 2475, 2471]),
        ("q=nothing+like+it", []),
    ],
)
async def test_the_address_filters_the_incidents(
    client: Client, services: Services, query: str, expected: list[int]
) -> None:
    services.fill()
    page = await read(client, f"{LIST}?{query}")
    assert sorted(numbers(page)) == sorted(expected)


async def test_the_form_shows_what_is_filtered_by(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, f"{LIST}?status=any&severity=low&since=30d&service=label-printer&q=disk")
    assert options(page) == ["any", "low", "30d"]
    assert searched(page) == "disk"
    assert "Service label-printer Show all" in page.text()
    assert f"{LIST}?q=disk&status=any&severity=low&since=30d" in [link["href"] for link in page.elements("a")]


@pytest.mark.parametrize("query", ["status=broken", "severity=worst", "since=1y", "cursor=zzz", "q=" + 257 * "a"])
async def test_an_invalid_filter_is_an_error(client: Client, services: Services, query: str) -> None:
    page = await read(client, f"{LIST}?{query}", status=422)
    assert "This address has a filter that the list does not support." in page.text("notices")
    assert services.incidents.requests == []


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        ([], "No unresolved incident."),
        (["open"], "1 incident is open and unacknowledged."),
        (["acknowledged"], "1 incident is not resolved; it is acknowledged."),
        (["open", "open"], "2 incidents are open and unacknowledged."),
        (["open", "in_progress"], "2 incidents are not resolved; 1 is unacknowledged."),
    ],
)
async def test_no_incident_one_and_two_have_correct_grammar(
    client: Client, services: Services, statuses: list[str], sentence: str
) -> None:
    for number, status in enumerate(statuses, 1):
        given: dict[str, object] = {"status": IncidentStatus(status)}
        given |= {} if status == "open" else {"acknowledged_at": demo_data.ago(seconds=1), "mtta_seconds": 107.0}
        services.incidents.incidents[number] = demo_data.incident(number, "Slow", **given)
    page = await read(client, LIST)
    assert page.text("head").startswith(f"Incidents {sentence}")
    words = {0: "No unresolved incident. Show all incidents", 1: "1 row, most severe first"}
    word = words.get(len(statuses), "2 rows, most severe first")
    assert word in page.text("results")


async def test_a_long_list_is_read_page_by_page(client: Client, services: Services) -> None:
    for number in range(1, 121):
        created = demo_data.ago(minutes=number)
        services.incidents.incidents[number] = demo_data.incident(number, f"Slow {number}", created_at=created)
    page = await read(client, f"{LIST}?q=slow")
    seen, links = numbers(page), 1
    while older := [link["href"] for link in page.elements("a") if link.get("rel") == "next"]:
        page = await read(client, older[0])
        seen += numbers(page)
        links += 1
    assert (seen, links) == (list(range(1, 121)), 3)
    assert f"{LIST}?q=slow" in [link["href"] for link in page.elements("a") if link.get("rel") == "first"]


async def test_a_number_leads_to_its_incident(client: Client, services: Services) -> None:
    services.fill()
    async with client.get(LIST, params={"q": "#2481"}, headers=BROWSER, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/incidents/2481")


async def test_mine_are_the_incidents_assigned_to_my_name(client: Client, services: Services) -> None:
    services.fill()
    mine = {"Cookie": "tocsin_actor=Tom%C3%A1s%20Rivera"}
    page = await read(client, f"{LIST}?assigned=me", headers=mine)
    assert numbers(page) == [2478]
    assert "Mine 1" in page.text("chips")
    page = await read(client, f"{LIST}?assigned=me", headers={"Cookie": ""})
    assert "Mine" not in page.text("chips")
    assert "Enter your name in the menu" in page.text("results")


async def test_each_selected_incident_has_a_result(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, LIST)
    entry = demo_data.entry(EventType.RESOLVED, "Dele Adeyemi", "Resolved.", 60)
    for number, status in ((2478, IncidentStatus.RESOLVED), (2480, IncidentStatus.ACKNOWLEDGED)):
        kept = services.incidents.incidents[number]
        event = EventType.RESOLVED if status is IncidentStatus.RESOLVED else EventType.ACKNOWLEDGED
        services.incidents.incidents[number] = kept.model_copy(
            update={
                "status": status,
                "acknowledged_at": demo_data.ago(seconds=61),
                "resolved_at": demo_data.ago(seconds=60) if status is IncidentStatus.RESOLVED else None,
                "mttr_seconds": 60.0,
                "mtta_seconds": 1.0,
                "timeline": [entry.model_copy(update={"event_type": event})],
            }
        )
    fields = [*page.form("/incidents/bulk").fields.items(), *(("incident", str(n)) for n in (2481, 2480, 2478, 99))]
    sent = [pair for pair in fields if pair[0] != "incident" or pair[1] in {"2481", "2480", "2478", "99"}]
    sent = list(dict.fromkeys(sent))
    async with client.post("/incidents/bulk", data=[*sent, ("do", "acknowledge")], headers=BROWSER | OWN) as response:
        answer = Html.read(await response.text())
        assert response.status == 200
    assert answer.faults == []
    words = answer.text("outcome")
    assert "1 of 4 acknowledged by you" in words
    assert "#2481 Checkout answers 5xx for 7.4 % of requests: acknowledged at" in words
    assert (
        "#2480 Carrier sync queue is 38 minutes behind: already acknowledged. Dele Adeyemi acknowledged it at" in words
    )
    assert "#2478 Replica lag on ledger-db-2 above 90 s: already resolved. Dele Adeyemi resolved it at" in words
    assert "Nothing was changed. If the problem recurs, the next alert opens a new incident." in words
    assert "#99 There is no such incident." in words
    assert numbers(answer) == [2481, 2480, 2475, 2471]


async def test_the_same_click_twice_acts_once(client: Client, services: Services) -> None:
    services.fill()
    data = [
        ("key", "k1"),
        ("return_to", "/incidents?status=open"),
        ("do", "resolve"),
        ("incident", "2481"),
        ("incident", "2480"),
    ]
    page = Html()
    for _ in range(2):
        async with client.post("/incidents/bulk", data=data, headers=FRAGMENTS | OWN) as response:
            page = Html.read(await response.text())
    assert "2 incidents resolved" in page.text("outcome")
    assert numbers(page) == []
    keys = [request.idempotency_key for request in services.incidents.requests if request.body]
    assert len(keys) == 4
    assert len(set(keys)) == 2


async def test_changes_that_were_not_tried_are_reported(
    client: Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.web.pages.incidents.bulk.CONCURRENCY", 1)
    services.fill()
    page = await read(client, LIST)
    await services.incidents.stop()
    data = [*page.form("/incidents/bulk").fields.items(), ("do", "resolve")]
    sent = [pair for pair in data if pair[0] != "incident"] + [("incident", "2481"), ("incident", "2480")]
    async with client.post("/incidents/bulk", data=sent, headers=BROWSER | OWN) as response:
        answer = Html.read(await response.text())
    assert "None of 2 resolved by you" in answer.text("outcome")
    assert "#2481 It may or may not have been changed; trying again is safe." in answer.text("outcome")
    assert "#2480 Not tried: incident-management" in answer.text("outcome")
    assert "The list cannot be shown until incident management is back." in answer.text("results")


async def test_nothing_selected_changes_nothing(client: Client, services: Services) -> None:
    services.fill()
    async with client.post(
        "/incidents/bulk", data={"do": "resolve", "return_to": LIST}, headers=BROWSER | OWN
    ) as response:
        page = Html.read(await response.text())
    assert "Nothing selected" in page.text("outcome")
    assert services.incidents.changes == []
    async with client.post(
        "/incidents/bulk", data={"do": "drop", "incident": "2481"}, headers=BROWSER | OWN
    ) as response:
        assert response.status == 422
    async with client.get("/incidents/bulk", allow_redirects=False) as response:
        assert response.headers["Location"] == LIST


async def test_without_the_on_call_service_next_pages_are_unknown(client: Client, services: Services) -> None:
    services.fill()
    await read(client, LIST)
    await services.schedules.stop()
    page = await read(client, f"{LIST}?team=Search")
    assert "The on-call service has been unavailable since" in page.text("notices")
    assert options(page) == ["unresolved", ""] or "Search" in page.text()
    page = await read(client, LIST)
    assert "next page unknown" in page.text("inc-2481")
    assert "Payments" in page.text("inc-2481")


async def test_hostile_text_is_text(client: Client, services: Services) -> None:
    payload = "<script>alert(1)</script>\"'{{7*7}} \u202eabc مرحبا 🔥" + 300 * "x"
    hostile = demo_data.incident(6, payload, service=payload, team=payload, assigned_to=payload)
    services.incidents.incidents[6] = hostile
    page = await read(client, LIST)
    assert payload in page.text("inc-6")
    query = {"q": payload[:200], "status": "any", "save": "1"}
    async with client.get(LIST, params=query, headers=BROWSER) as response:
        page = Html.read(await response.text())
    assert page.faults == []
    assert searched(page) == payload[:200].strip()


async def test_htmx_gets_the_blocks_of_the_same_list(client: Client, services: Services) -> None:
    services.fill()
    whole = await read(client, f"{LIST}?severity=high")
    part = await read(client, f"{LIST}?severity=high", headers=FRAGMENTS)
    assert not part.elements("html")
    assert numbers(part) == numbers(whole) == [2480, 2478]
    main = next(given for given in whole.elements("main") if given["id"] == "main")
    assert main["hx-get"] == f"{LIST}?severity=high"


async def test_old_and_resolved_incidents_cannot_be_selected(client: Client, services: Services) -> None:
    took = timedelta(minutes=22)
    services.incidents.incidents[3] = demo_data.resolved(3, "Over", took, severity=Severity.HIGH)
    page = await read(client, f"{LIST}?status=resolved")
    assert [given for given in page.elements("input") if given.get("name") == "incident"] == []
    assert "Acknowledge" not in page.text("results")
    assert "Open for" in next(
        given["data-label"] for given in page.elements("td") if given.get("data-label") == "Open for"
    )
    assert "22 min" in page.text("inc-3")
