import pytest

from tests.support.web import demo_data
from tests.support.web.browser_queries import BROWSER, FRAGMENTS, read, submit
from tests.support.web.demo_night import Services
from tests.support.web.html import Html
from tests.web.conftest import Client
from tocsin.contracts.incidents import IncidentStatus

OWN = {"Sec-Fetch-Site": "same-origin"}


async def test_acknowledging_on_now_returns_now_without_the_incident(client: Client, services: Services) -> None:
    services.fill()
    page = await submit(client, await read(client, "/"), "/incidents/2481/acknowledge")
    assert "1 incident is unacknowledged" in page.text("head")
    assert "2Acknowledged" in page.text("head")
    assert services.incidents.incidents[2481].timeline[0].actor == "somebody via web"


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("acknowledge", IncidentStatus.ACKNOWLEDGED),
        ("start", IncidentStatus.IN_PROGRESS),
        ("resolve", IncidentStatus.RESOLVED),
    ],
)
async def test_each_action_of_an_incident_returns_its_new_state(
    client: Client, services: Services, verb: str, status: IncidentStatus
) -> None:
    services.fill()
    page = await submit(client, await read(client, "/incidents/2481"), f"/incidents/2481/{verb}")
    assert "Checkout answers 5xx" in page.text("head")
    assert services.incidents.incidents[2481].status is status
    assert f"/incidents/2481/{verb}" not in [form.action for form in page.forms]


async def test_a_form_redirects_so_that_a_reload_does_not_resubmit_it(client: Client, services: Services) -> None:
    services.fill()
    fields = {"return_to": "/incidents/2481"}
    async with client.post(
        "/incidents/2481/acknowledge", data=fields, headers=BROWSER | OWN, allow_redirects=False
    ) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/incidents/2481"


async def test_htmx_follows_the_redirect_and_gets_blocks(client: Client, services: Services) -> None:
    services.fill()
    async with client.post("/incidents/2481/acknowledge", data={"return_to": "/"}, headers=FRAGMENTS | OWN) as answer:
        page = Html.read(await answer.text())
    assert page.faults == []
    assert not page.elements("html")
    assert "1 incident is unacknowledged" in page.text("head")


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/incidents/1/../../x",
        "/api/v1/alerts",
        "/oncall?team=/\\x",
        "",
    ],
)
async def test_a_form_never_redirects_to_another_site(client: Client, services: Services, return_to: str) -> None:
    services.fill()
    async with client.post(
        "/incidents/2481/acknowledge", data={"return_to": return_to}, headers=OWN, allow_redirects=False
    ) as answer:
        assert answer.headers["Location"] == "/incidents/2481"


async def test_a_rejected_change_shows_the_present_state_with_the_reason(client: Client, services: Services) -> None:
    services.fill()
    stale = await read(client, "/incidents/2481")
    await submit(client, stale, "/incidents/2481/resolve", actor="Dele Adeyemi")
    page = await submit(client, stale, "/incidents/2481/acknowledge", status=409)
    assert "Incident 2481 is already resolved Dele Adeyemi resolved it at" in page.text("notices")
    assert page.text("notices").endswith("UTC. Nothing was changed.")
    assert "Resolved by Dele Adeyemi" in page.text("response")


async def test_the_second_to_acknowledge_sees_who_was_first(client: Client, services: Services) -> None:
    services.fill()
    stale = await read(client, "/")
    incident = await read(client, "/incidents/2481")
    await submit(client, incident, "/incidents/2481/acknowledge", actor="Dele Adeyemi")
    again = await submit(client, incident, "/incidents/2481/acknowledge", actor="Dele Adeyemi")
    assert again.text("notices") == ""
    page = await submit(client, stale, "/incidents/2481/acknowledge", actor="Priya Raman")
    assert "Incident 2481 is already acknowledged Dele Adeyemi acknowledged it at" in page.text("notices")
    assert "1 incident is unacknowledged" in page.text("head")


async def test_single_keys_can_be_turned_off(client: Client) -> None:
    page = await read(client, "/")
    assert "data-keys" in page.elements("body")[0]
    page = await submit(client, page, "/preferences/keys")
    assert "data-keys" not in page.elements("body")[0]
    assert "Single-key shortcuts are off." in page.text("keys")
    page = await submit(client, page, "/preferences/keys")
    assert "data-keys" in page.elements("body")[0]


async def test_a_change_rejected_on_now_shows_now_with_the_reason(client: Client, services: Services) -> None:
    services.fill()
    stale = await read(client, "/")
    await submit(client, await read(client, "/incidents/2481"), "/incidents/2481/resolve")
    page = await submit(client, stale, "/incidents/2481/acknowledge", status=409)
    assert "Incident 2481 is already resolved" in page.text("notices")
    assert "1 incident is unacknowledged" in page.text("head")


async def test_a_note_is_kept_whole_and_signed(client: Client, services: Services) -> None:
    services.fill()
    client.session.cookie_jar.update_cookies({"tocsin_actor": "Tom%C3%A1s"}, client.make_url("/"))
    text = "First line\r\nsecond & <b>line</b> ½"
    answer = await submit(client, await read(client, "/incidents/2481"), "/incidents/2481/notes", text=text)
    assert "Tomás wrote a note First line second & <b>line</b> ½" in answer.text("timeline")
    note = services.incidents.incidents[2481].notes[-1]
    assert (note.text, note.author) == ("First line\nsecond & <b>line</b> ½", "Tomás")


async def test_the_same_note_sent_twice_carries_the_same_key_and_another_one_its_own(
    client: Client, services: Services
) -> None:
    services.fill()
    page = await read(client, "/incidents/2481")
    for text in ("Once", "Once", "Another"):
        await submit(client, page, "/incidents/2481/notes", text=text)
    keys = [request.idempotency_key for request in services.incidents.requests if request.body]
    assert keys[0] == keys[1] != keys[2]


async def test_a_note_that_is_too_long_is_shown_again_with_the_limit(client: Client, services: Services) -> None:
    services.fill()
    text = "x" * 16_385
    page = await submit(client, await read(client, "/incidents/2481"), "/incidents/2481/notes", status=422, text=text)
    assert "The note has 16,385 characters; shorten it to 16,384" in page.text("notices")
    assert text in page.text("note")
    assert not services.incidents.changes


async def test_an_empty_note_is_rejected_with_a_reason(client: Client, services: Services) -> None:
    services.fill()
    page = await submit(
        client, await read(client, "/incidents/2481"), "/incidents/2481/notes", status=422, text=" \r\n"
    )
    assert "The note is empty." in page.text()
    assert not services.incidents.changes


async def test_escalating_names_the_visitor_to_the_on_call_service(client: Client, services: Services) -> None:
    services.fill()
    await submit(client, await read(client, "/incidents/2481"), "/incidents/2481/escalate", actor="Ann Li")
    (order,) = services.schedules.escalated
    assert order.incident_id == services.incidents.incidents[2481].id
    assert (order.actor, order.reason) == ("Ann Li", None), "on-call names who requested it"


async def test_a_stopped_escalation_cannot_be_escalated_and_the_page_shows_why(
    client: Client, services: Services
) -> None:
    services.fill()
    page = await read(client, "/incidents/2481")
    incident_id = services.incidents.incidents[2481].id
    stopped = {"stopped_at": demo_data.ago(seconds=1)}
    services.schedules.escalations[incident_id] = services.schedules.escalations[incident_id].model_copy(update=stopped)
    answer = await submit(client, page, "/incidents/2481/escalate", status=409)
    assert "Paging has stopped: acknowledged by somebody." in answer.text("notices")


async def test_a_change_during_an_outage_fails_with_a_reason(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, "/")
    await services.incidents.stop()
    answer = await submit(client, page, "/incidents/2481/acknowledge", status=503)
    assert "incident-management cannot be reached" in answer.text()


async def test_acting_on_an_unknown_incident_is_not_found(client: Client) -> None:
    for ref in ("99", "nonsense"):
        async with client.post(f"/incidents/{ref}/acknowledge", data={}, headers=BROWSER | OWN) as answer:
            assert answer.status == 404


async def test_a_name_given_once_signs_everything_after(client: Client, services: Services) -> None:
    services.fill()
    page = await submit(client, await read(client, "/"), "/preferences/name", actor="  Priya\u0000 Raman\n ")
    assert page.form("/preferences/name").fields["actor"] == "Priya Raman"
    await submit(client, await read(client, "/"), "/incidents/2481/acknowledge")
    assert services.incidents.incidents[2481].timeline[0].actor == "Priya Raman"


async def test_an_emptied_name_is_forgotten(client: Client) -> None:
    client.session.headers.popall("Cookie")
    await submit(client, await read(client, "/"), "/preferences/name", actor="Ann")
    page = await submit(client, await read(client, "/"), "/preferences/name", actor="")
    assert page.form("/preferences/name").fields["actor"] == ""


async def test_the_theme_is_a_cookie_and_the_system_s_needs_none(client: Client) -> None:
    page = await submit(client, await read(client, "/"), "/preferences/theme", theme="dark")
    assert page.elements("html")[0]["data-theme"] == "dark"
    assert page.form("/preferences/theme").fields["theme"] == "dark"
    page = await submit(client, page, "/preferences/theme", theme="system")
    assert "data-theme" not in page.elements("html")[0]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"a=1", "multipart/form-data", 415),
        (b"text=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=1" % number for number in range(40)), "application/x-www-form-urlencoded", 400),
        (b"text=" + b"x" * 300_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_anything_but_a_small_form_is_rejected(client: Client, body: bytes, kind: str, status: int) -> None:
    async with client.post("/incidents/1/notes", data=body, headers=OWN | {"Content-Type": kind}) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"


async def test_a_get_of_the_address_of_a_form_is_a_405(client: Client) -> None:
    async with client.get("/incidents/1/acknowledge", headers=BROWSER) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"
        assert answer.content_type == "text/html"
