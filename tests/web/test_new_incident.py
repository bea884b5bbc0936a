from typing import Any

from tests.support.web.browser_queries import BROWSER, read, submit
from tests.support.web.demo_night import Services
from tests.support.web.html import Html
from tests.web.conftest import Client

OWN = {"Sec-Fetch-Site": "same-origin"}
NEW = "/incidents/new"


async def test_an_incident_is_opened_by_hand_and_shown(client: Client, services: Services) -> None:
    services.be_quiet()
    page = await read(client, NEW)
    given: dict[str, Any] = {"title": " Label printers are offline ", "service": "label-printer", "severity": "high"}
    page = await submit(client, page, "/incidents", **given, description="Since\r\nnoon.", actor="Priya Raman")
    assert "Label printers are offline" in page.text("head")
    incident = services.incidents.incidents[2480]
    assert (incident.title, incident.service, incident.severity) == (
        "Label printers are offline",
        "label-printer",
        "high",
    )
    assert incident.description == "Since\nnoon."
    assert incident.timeline[0].actor == "Priya Raman"


async def test_without_a_team_the_form_names_who_is_paged_and_links_to_the_form_of_a_team(
    client: Client, services: Services
) -> None:
    page = await read(client, NEW)
    assert "so the catch-all contact is paged. Create the first team" in page.text("main")
    services.be_quiet()
    assert "The person on call for the service is paged at once" in (await read(client, NEW)).text("main")


async def test_the_same_form_twice_opens_one_incident(client: Client, services: Services) -> None:
    page = await read(client, NEW)
    for _ in range(2):
        await submit(client, page, "/incidents", title="Slow", service="checkout", severity="low")
    assert len(services.incidents.incidents) == 1


async def test_missing_fields_are_errors_and_the_input_is_kept(client: Client, services: Services) -> None:
    page = await read(client, NEW)
    answer = await submit(
        client, page, "/incidents", status=422, title="  ", service="checkout", description="<b>It</b>"
    )
    assert "Describe the problem in 1 to 512 characters." in answer.text("wrong-title")
    assert "Choose a severity." in answer.text("wrong-severity")
    assert not answer.has("wrong-service")
    assert "<b>It</b>" in answer.text("form")
    assert answer.form("/incidents").fields["service"] == "checkout"
    assert answer.form("/incidents").fields["key"] == page.form("/incidents").fields["key"]
    assert services.incidents.incidents == {}


async def test_during_an_outage_the_input_is_kept(client: Client, services: Services) -> None:
    page = await read(client, NEW)
    await services.incidents.stop()
    fields = page.form("/incidents").fields | {"title": "Slow", "service": "checkout", "severity": "low"}
    async with client.post("/incidents", data=fields, headers=BROWSER | OWN) as response:
        assert response.status == 503
        answer = Html.read(await response.text())
    assert "It may or may not have been opened" in answer.text("notices")
    assert "Submit again; it is opened only once." in answer.text("notices")
    assert answer.form("/incidents").fields["title"] == "Slow"


async def test_the_form_shows_an_outage_and_does_not_retry_by_itself(client: Client, services: Services) -> None:
    await services.schedules.stop()
    assert (await read(client, NEW)).text("notices").endswith("Next attempt when you reload this page.")


async def test_the_query_prefills_the_form(client: Client) -> None:
    page = await read(client, f"{NEW}?service=checkout&severity=high")
    assert page.form("/incidents").fields["service"] == "checkout"
    assert page.form("/incidents").fields["severity"] == "high"
