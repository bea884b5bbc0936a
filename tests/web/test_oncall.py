"""The page of who is on call, and the form of a schedule, as a browser without JavaScript gets them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from tests.fakes.schedules import stored
from tests.support.web.browser_queries import read
from tests.support.web.demo_night import Services
from tests.support.web.html import Form, Html
from tests.support.web.server import Client
from tocsin.contracts.oncall import Contact, Role, RotationType, Weekday
from tocsin.web.ui.format import wall_day

OWN = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


async def send(client: Client, form: Form, *, status: int = 200, **changed: Any) -> Html:
    """Send *form* with some of its fields *changed*; return the page that follows."""
    fields = form.fields | {name.replace("_at_", "-"): value for name, value in changed.items()}
    async with client.post(form.action, data=fields, headers=OWN) as answer:
        page = Html.read(await answer.text())
        assert answer.status == status, page.text("main")
    assert page.faults == []
    return page


def next_handoff(services: Services) -> str:
    """Return the earliest handoff of all teams, in the zone of its schedule."""
    now = datetime.now(UTC)
    week = timedelta(days=8)
    ends = {item.team: next(stored(item).shifts(now, now + week)).ends_at for item in services.schedules.schedules}
    first = min(sorted(ends), key=lambda team: ends[team])
    (zone,) = (ZoneInfo(item.time_zone) for item in services.schedules.schedules if item.team == first)
    return f"{wall_day(ends[first], zone)}, for {first}"


async def test_the_page_shows_who_is_on_call_until_when_and_who_is_next(client: Client, services: Services) -> None:
    services.be_quiet()
    page = await read(client, "/oncall")
    assert "All 4 teams" in page.text("head")
    assert f"The next handoff is {next_handoff(services)}." in page.text("head")
    cards = page.text("teams")
    assert "Payments Europe/Berlin PR Priya Raman Primary until Mon 09:00 Europe/Berlin, next: Yusuf Demir" in cards
    assert "Carol Mensah Secondary until Mon 09:00 Europe/Berlin, next: Ines Ferreira" in cards
    assert "Tomás Rivera Primary SW Sam" in cards


async def test_a_visitor_on_call_sees_their_own_team(client: Client, services: Services) -> None:
    services.be_quiet()
    client.session.cookie_jar.update_cookies({"tocsin_actor": quote("Hannah Weiss")}, client.make_url("/"))
    assert "You are on call" not in (await read(client, "/oncall")).text("head")
    client.session.cookie_jar.update_cookies({"tocsin_actor": quote("Jonas Lindqvist")}, client.make_url("/"))
    page = await read(client, "/oncall")
    assert "You are on call for Search" in page.text("head")
    assert "Secondary until Mon" in page.text("head")
    assert "Next: Hannah Weiss." in page.text("head")
    assert page.text("sc").startswith("Search")


async def test_any_two_weeks_of_any_team_can_be_shown(client: Client, services: Services) -> None:
    services.be_quiet()
    page = await read(client, "/oncall?team=Payments&begin=2026-10-19")
    assert page.text("sc") == "Payments Mon 19 Oct to Sun 1 Nov, Europe/Berlin"
    assert "Clocks go back from 03:00 to 02:00: Sun 25 Oct has 25 hours" in page.text("schedule")
    assert "is on call for 169. Handoffs stay at 09:00 local time." in page.text("schedule")
    links = [given.get("href", "") for _, given in page.attributes]
    assert "/oncall?begin=2026-11-02&team=Payments#schedule" in links
    assert "/oncall?begin=2026-10-05&team=Payments#schedule" in links


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("team=Nobody", 404, "There is no team 'Nobody'."),
        ("begin=yesterday", 422, "?begin"),
        ("begin=9999-12-31", 422, "1970 to 2999"),
        ("page=2", 422, "Unknown parameter."),
    ],
)
async def test_an_unknown_team_or_date_is_an_error(
    client: Client, services: Services, query: str, status: int, said: str
) -> None:
    services.be_quiet()
    assert said in (await read(client, f"/oncall?{query}", status=status)).text("main")


async def test_a_role_that_nobody_has_is_a_gap_with_its_consequence(client: Client, services: Services) -> None:
    services.be_quiet()
    search = services.schedules.schedules[3]
    only = [member for member in search.members if member.role is Role.SECONDARY]
    services.schedules.schedules[3] = search.model_copy(update={"members": only})
    page = await read(client, "/oncall?team=Search")
    assert "Nobody is primary for Search Pages go to the secondary at once." in page.text("head")
    assert "Nobody is primary for Search" in page.text("gap-primary")
    assert f"/oncall/{search.id}" in [given.get("href") for given in page.elements("a")]
    assert "Nobody" in page.text("schedule")


async def test_without_any_team_the_page_states_where_pages_go_and_links_to_the_form_of_a_team(client: Client) -> None:
    page = await read(client, "/oncall")
    assert "No team has a schedule yet Until one has, pages go to the catch-all contact." in page.text("head")
    assert page.text("teams").endswith("Create the first team")
    (button,) = [link for link in page.elements("a") if "btn" in link.get("class", "").split()]
    assert button["href"] == "/oncall/new"


async def test_every_handoff_names_its_instant_and_the_zone_of_its_schedule(client: Client, services: Services) -> None:
    services.be_quiet()
    page = await read(client, "/oncall")
    handoffs = [time for time in page.elements("time") if "data-zone" in time]
    assert len(handoffs) == 5
    assert {time["data-zone"] for time in handoffs} == {"Europe/Berlin", "Asia/Tokyo"}
    assert all(time["datetime"].endswith("Z") for time in handoffs)


async def test_every_contact_of_a_person_can_be_seen(client: Client, services: Services) -> None:
    services.be_quiet()
    first = services.schedules.schedules[0]
    contacts = [Contact(channel="email", address=f"priya{number}@example.org") for number in range(5)]
    members = [first.members[0].model_copy(update={"contacts": contacts}), *first.members[1:]]
    services.schedules.schedules[0] = first.model_copy(update={"members": members})
    page = await read(client, f"/oncall/{first.id}")
    fields = {item["name"]: int(item["rows"]) for item in page.elements("textarea")}
    assert fields["contacts-0"] > 5
    assert min(fields.values()) >= 2


async def test_only_the_untouched_form_of_a_new_schedule_takes_the_zone_of_the_browser(
    client: Client, services: Services
) -> None:
    services.be_quiet()

    def suggested(page: Html) -> bool:
        return any("data-browser-zone" in item for item in page.elements("input"))

    page = await read(client, "/oncall/new")
    assert suggested(page)
    assert not suggested(await send(client, page.form("/oncall/new"), status=422, team="Ledger"))
    assert not suggested(await read(client, f"/oncall/{services.schedules.schedules[0].id}"))


async def test_during_an_outage_of_on_call_the_page_shows_cached_values(client: Client, services: Services) -> None:
    services.be_quiet()
    await read(client, "/oncall")
    await services.schedules.stop()
    page = await read(client, "/oncall")
    assert "The on-call service has been unavailable since" in page.text("notices")
    assert "Priya Raman" in page.text("teams")
    assert "As of" in page.text("head")
    unknown = await read(client, "/oncall?team=Search")
    assert "Who is on call cannot be shown right now" in unknown.text("head")


async def test_a_schedule_is_created_by_a_form(client: Client, services: Services) -> None:
    form = (await read(client, "/oncall/new")).form("/oncall/new")
    page = await send(
        client,
        form,
        team="Payments",
        time_zone="Europe/Berlin",
        handoff_weekday="thursday",
        services="checkout api\r\n\r\nledger",
        name_at_0="Ada",
        email_at_0="ada@example.org",
        position_at_0="2",
        contacts_at_0="webhook https://chat.example.org/ada\r\nemail ada@example.org",
        name_at_1="Bob",
        email_at_1="bob@example.org",
        position_at_1="1",
        name_at_2="Cai",
        email_at_2="cai@example.org",
        role_at_2="secondary",
    )
    assert page.text("sc").startswith("Payments")
    (made,) = services.schedules.schedules
    assert [(member.name, member.role) for member in made.members] == [
        ("Bob", Role.PRIMARY),
        ("Ada", Role.PRIMARY),
        ("Cai", Role.SECONDARY),
    ]
    assert made.members[1].contacts == [
        Contact(channel="webhook", address="https://chat.example.org/ada"),
        Contact(channel="email", address="ada@example.org"),
    ]
    assert (made.services, made.time_zone, made.handoff_weekday) == (
        ["checkout api", "ledger"],
        "Europe/Berlin",
        Weekday.THURSDAY,
    )


async def test_an_unchanged_form_changes_nothing_and_a_changed_field_only_itself(
    client: Client, services: Services
) -> None:
    services.be_quiet()
    before = services.schedules.schedules[0]
    path = f"/oncall/{before.id}"
    await send(client, (await read(client, path)).form(path))
    same = services.schedules.schedules[0]
    assert same.model_copy(update={"version": 1, "created_at": before.created_at}) == before
    page = await send(client, (await read(client, path)).form(path), handoff_weekday="wednesday")
    moved = services.schedules.schedules[0]
    assert moved.anchor - before.anchor == timedelta(days=2)
    assert moved.members == before.members
    assert page.text("sc").startswith("Payments")
    await send(client, (await read(client, path)).form(path), rotation_type="daily")
    assert services.schedules.schedules[0].rotation_type is RotationType.DAILY


async def test_an_invalid_field_shows_its_error_and_the_input_is_kept(client: Client, services: Services) -> None:
    form = (await read(client, "/oncall/new")).form("/oncall/new")
    page = await send(
        client, form, status=422, team="Payments", time_zone="Mars/Olympus", name_at_1="Ada", email_at_1="nonsense"
    )
    assert "Not saved" in page.text("rejection")
    assert "'Mars/Olympus' is not an IANA time zone" in page.text("wrong-time_zone")
    assert page.text("wrong-email-1")
    again = page.form("/oncall/new").fields
    assert (again["team"], again["name-1"], again["email-1"]) == ("Payments", "Ada", "nonsense")
    page = await send(client, form, status=422, team="Payments")
    assert "Add at least one member" in page.text("main")
    page = await send(
        client, form, status=422, team="P", name_at_0="A", email_at_0="a@example.org", contacts_at_0="pigeon"
    )
    assert "Each line is a channel" in page.text("wrong-contacts-0")
    assert services.schedules.schedules == []


@pytest.mark.parametrize("is_new", [True, False])
async def test_during_an_outage_the_input_is_kept_and_saved_once_on_call_is_back(
    client: Client, services: Services, *, is_new: bool
) -> None:
    services.be_quiet()
    before = services.schedules.schedules[0]
    path = "/oncall/new" if is_new else f"/oncall/{before.id}"
    form = (await read(client, path)).form(path)
    given = {"team": "Ledger"} if is_new else {}
    await services.schedules.stop()
    page = await send(client, form, status=503, **given, name_at_0="Zoe", email_at_0="zoe@example.org")
    assert "Save again; your entries are kept." in page.text("main")
    again = page.form(path)
    assert (again.fields["name-0"], again.fields["key"]) == ("Zoe", form.fields["key"])
    assert ("team" in again.fields) == is_new
    await services.schedules.start()
    await send(client, again)
    assert [member.name for member in services.schedules.schedules[-1 if is_new else 0].members][:1] == ["Zoe"]


async def test_adding_rows_keeps_the_input(client: Client) -> None:
    form = (await read(client, "/oncall/new")).form("/oncall/new")
    filled: dict[str, Any] = {f"name_at_{number}": f"Person {number}" for number in range(3)}
    page = await send(client, form, more="1", **filled)
    fields = page.form("/oncall/new").fields
    assert [fields[f"name-{number}"] for number in range(6)] == ["Person 0", "Person 1", "Person 2", "", "", ""]


async def test_an_outdated_form_is_rejected_with_a_link_to_the_current_version(
    client: Client, services: Services
) -> None:
    services.be_quiet()
    path = f"/oncall/{services.schedules.schedules[0].id}"
    mine, other = (await read(client, path)).form(path), (await read(client, path)).form(path)
    await send(client, other, handoff_time="10:00")
    page = await send(client, mine, status=412, handoff_time="11:00")
    assert "has changed since you looked at it" in page.text("main")
    assert "Load the current version" in page.text("main")
    assert f"{services.schedules.schedules[0].handoff_time:%H:%M}" == "10:00"


async def test_an_existing_team_is_not_created_again(client: Client, services: Services) -> None:
    services.be_quiet()
    form = (await read(client, "/oncall/new")).form("/oncall/new")
    page = await send(client, form, status=409, team="Payments", name_at_0="Ada", email_at_0="ada@example.org")
    assert "The team 'Payments' has a schedule already." in page.text("main")


async def test_an_unknown_schedule_is_a_404(client: Client) -> None:
    await read(client, "/oncall/01a1fddf-ead3-73fb-b54c-3f17b2c82759", status=404)
