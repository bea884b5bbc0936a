"""Nobody acts under a name that they have not chosen."""

import pytest

from tests.support.web import demo_data
from tests.support.web.browser_queries import BROWSER, FRAGMENTS, read, submit
from tests.support.web.demo_night import Services
from tests.support.web.html import Form, Html
from tests.web.conftest import Client

OWN = {"Sec-Fetch-Site": "same-origin"}
ACKNOWLEDGE = "/incidents/2481/acknowledge"


@pytest.fixture
def unnamed(client: Client) -> Client:
    """A browser whose user has not chosen a name."""
    client.session.headers.popall("Cookie")
    return client


async def asked(client: Client, action: str, **fields: str) -> Html:
    """Send a form, and return the question that is the response."""
    async with client.post(action, data=fields, headers=BROWSER | OWN) as response:
        assert response.status == 422
        page = Html.read(await response.text())
    assert page.faults == []
    assert page.text("who") == "Who are you?"
    return page


def offered(page: Html) -> list[str]:
    return [name for form in page.forms for name in form.choices.get("actor", [])]


def own_forms(page: Html) -> list[Form]:
    """Return the forms of the question: the people if there are any, another name, no name."""
    (action,) = {form.action for form in page.forms if "actor" in form.choices}
    return [form for form in page.forms if form.action == action]


async def answer(client: Client, form: Form, name: str, *, status: int = 303) -> dict[str, str]:
    """Submit the question's *form* with a name; return the response's headers."""
    data = form.fields | {"actor": name}
    async with client.post(form.action, data=data, headers=BROWSER | OWN, allow_redirects=False) as response:
        assert response.status == status
        return dict(response.headers)


async def test_the_first_action_asks_who_is_acting_and_offers_the_people(unnamed: Client, services: Services) -> None:
    services.fill()
    services.schedules.people = [
        demo_data.person("tomás Rivera", "Search"),
        demo_data.person("Priya Raman", "Payments", "Infra"),
    ]
    page = await asked(unnamed, ACKNOWLEDGE, return_to="/", key="k")
    assert offered(page) == ["Priya Raman", "tomás Rivera", "somebody via web"]
    assert "Priya Raman Infra, Payments" in page.text("main")
    assert services.incidents.incidents[2481].acknowledged_at is None, "nothing was changed yet"
    headers = await answer(unnamed, own_forms(page)[0], "Priya Raman")
    assert headers["Location"] == "/"
    assert headers["Set-Cookie"].startswith("tocsin_actor=Priya%20Raman;")
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Lax" in headers["Set-Cookie"]
    assert services.incidents.incidents[2481].timeline[0].actor == "Priya Raman"
    await submit(unnamed, await read(unnamed, "/incidents/2481"), "/incidents/2481/resolve")
    assert services.incidents.incidents[2481].timeline[0].actor == "Priya Raman", "asked once only"


async def test_any_other_name_can_be_given_and_none_can_be_chosen(unnamed: Client, services: Services) -> None:
    services.fill()
    page = await asked(unnamed, ACKNOWLEDGE)
    assert offered(page) == ["somebody via web"], "no people are known"
    await answer(unnamed, own_forms(page)[0], "  Zoë\u0000 ")
    assert services.incidents.incidents[2481].timeline[0].actor == "Zoë"
    unnamed.session.cookie_jar.clear()
    page = await asked(unnamed, "/incidents/2480/acknowledge")
    await answer(unnamed, own_forms(page)[-1], "somebody via web")
    assert services.incidents.incidents[2480].timeline[0].actor == "somebody via web"


async def test_an_empty_name_is_asked_again(unnamed: Client, services: Services) -> None:
    services.fill()
    await asked(unnamed, ACKNOWLEDGE, actor=" \u0007 ")
    assert services.incidents.incidents[2481].acknowledged_at is None


async def test_the_question_keeps_all_that_was_sent(unnamed: Client, services: Services) -> None:
    services.fill()
    text = 'Two\r\nlines, "quotes" & <b>'
    page = await asked(unnamed, "/incidents/2481/notes", text=text, return_to="/incidents/2481")
    await answer(unnamed, own_forms(page)[-1], "Ann")
    assert services.incidents.incidents[2481].notes[-1].text == text.replace("\r\n", "\n")


async def test_a_selection_of_incidents_is_kept(unnamed: Client, services: Services) -> None:
    services.fill()
    fields = [("do", "acknowledge"), ("incident", "2481"), ("incident", "2480"), ("return_to", "/incidents")]
    async with unnamed.post("/incidents/bulk", data=fields, headers=BROWSER | OWN) as response:
        assert response.status == 422
        page = Html.read(await response.text())
    hidden = [(item["name"], item["value"]) for item in page.elements("input") if item.get("type") == "hidden"]
    assert [pair for pair in hidden if pair in fields] == fields * 2, "in each of the two forms"
    async with unnamed.post("/incidents/bulk", data=[*fields, ("actor", "Ann")], headers=BROWSER | OWN) as response:
        assert response.status == 200
        assert response.headers["Set-Cookie"].startswith("tocsin_actor=Ann;")
    assert {services.incidents.incidents[number].timeline[0].actor for number in (2481, 2480)} == {"Ann"}


async def test_an_incident_is_opened_under_a_chosen_name(unnamed: Client, services: Services) -> None:
    services.be_quiet()
    given = {"title": "Printers", "service": "printers", "severity": "high", "key": "k"}
    page = await asked(unnamed, "/incidents", **given)
    assert services.incidents.incidents.get(2480) is None
    await answer(unnamed, own_forms(page)[-1], "Ann")
    assert services.incidents.incidents[2480].timeline[0].actor == "Ann"


async def test_a_page_in_use_gets_the_question_as_a_block(unnamed: Client, services: Services) -> None:
    services.fill()
    async with unnamed.post(ACKNOWLEDGE, data={"return_to": "/"}, headers=FRAGMENTS | OWN) as response:
        assert response.status == 422
        page = Html.read(await response.text())
    assert page.faults == []
    assert not page.elements("html")
    assert "Who are you?" in page.text("notices")


async def test_the_question_works_while_the_on_call_service_is_away(unnamed: Client, services: Services) -> None:
    services.fill()
    await services.schedules.stop()
    page = await asked(unnamed, ACKNOWLEDGE)
    await answer(unnamed, own_forms(page)[-1], "Ann")
    assert services.incidents.incidents[2481].timeline[0].actor == "Ann"


async def test_an_answer_that_comes_too_late_is_remembered_all_the_same(unnamed: Client, services: Services) -> None:
    services.fill()
    page = await asked(unnamed, "/incidents/2479/acknowledge")
    headers = await answer(unnamed, own_forms(page)[-1], "Ann", status=409)
    assert headers["Set-Cookie"].startswith("tocsin_actor=Ann;")
