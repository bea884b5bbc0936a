"""The order of the list of incidents."""

import pytest

from tests.support.web import demo_data
from tests.support.web.browser_queries import FRAGMENTS, read, submit
from tests.support.web.demo_night import Services
from tests.web.conftest import Client
from tests.web.test_incidents import LIST, numbers
from tocsin.contracts.model import Severity

NEWEST = f"{LIST}?sort=newest"


@pytest.fixture(autouse=True)
def mixed(services: Services) -> None:
    """Open four incidents: a medium one is newer than two critical ones."""
    severities = (Severity.LOW, Severity.CRITICAL, Severity.CRITICAL, Severity.MEDIUM)
    for number, severity in enumerate(severities, 1):
        created = demo_data.ago(minutes=10 - number)
        services.incidents.incidents[number] = demo_data.incident(
            number, f"n{number}", severity=severity, created_at=created
        )


async def test_the_most_severe_come_first_and_the_newest_by_choice(client: Client) -> None:
    page = await read(client, LIST)
    assert numbers(page) == [3, 2, 4, 1]
    assert "4 rows, most severe first" in page.text("results")
    [newest] = [link["href"] for link in page.elements("a") if link["href"] == NEWEST]
    page = await read(client, newest)
    assert numbers(page) == [4, 3, 2, 1]
    assert "4 rows, newest first" in page.text("results")
    current = [link["href"] for link in page.elements("a") if link.get("aria-current") == "true"]
    assert current == [NEWEST]


async def test_the_chosen_order_outlasts_filters_refreshes_and_actions(client: Client) -> None:
    page = await read(client, NEWEST, headers={"Cookie": ""})
    chips = [link["href"] for link in page.elements("a") if link.get("class") == "chip"]
    assert chips == [NEWEST, f"{LIST}?status=open&sort=newest", f"{LIST}?status=any&sort=newest"]
    filtering = next(form for form in page.forms if form.action == LIST and "status" in form.fields)
    assert filtering.fields["sort"] == "newest"
    main = next(given for given in page.elements("main"))
    assert main["hx-get"] == NEWEST
    assert numbers(await read(client, main["hx-get"], headers=FRAGMENTS)) == [4, 3, 2, 1]
    assert numbers(await submit(client, page, "/incidents/bulk", do="acknowledge", incident="2")) == [4, 3, 2, 1]


async def test_a_saved_filter_keeps_its_order(client: Client) -> None:
    page = await read(client, f"{NEWEST}&severity=critical&save=1")
    assert page.form("/incidents/filters").fields["name"] == "Critical, not resolved, newest first"
    page = await submit(client, page, "/incidents/filters", name="Fresh")
    assert numbers(page) == [3, 2]
    assert f"{LIST}?severity=critical&sort=newest" in [link["href"] for link in page.elements("a")]


@pytest.mark.parametrize("sort", ["severity", "newest"])
async def test_every_page_of_either_order_is_read(client: Client, services: Services, sort: str) -> None:
    for number in range(5, 121):
        severity = list(Severity)[number % 4]
        given = {"severity": severity, "created_at": demo_data.ago(hours=number)}
        services.incidents.incidents[number] = demo_data.incident(number, f"n{number}", **given)
    page = await read(client, f"{LIST}?sort={sort}")
    seen = numbers(page)
    while older := [link["href"] for link in page.elements("a") if link.get("rel") == "next"]:
        page = await read(client, older[0])
        seen += numbers(page)
    assert sorted(seen) == list(range(1, 121))
    assert len(seen) == 120
    ranks = [list(Severity).index(services.incidents.incidents[number].severity) for number in seen]
    assert (ranks == sorted(ranks)) is (sort == "severity")


async def test_a_cursor_of_the_other_order_is_the_first_page(client: Client, services: Services) -> None:
    for number in range(5, 60):
        services.incidents.incidents[number] = demo_data.incident(number, "n", created_at=demo_data.ago(hours=number))
    page = await read(client, NEWEST)
    [older] = [link["href"] for link in page.elements("a") if link.get("rel") == "next"]
    page = await read(client, older.replace("sort=newest", "sort=severity"))
    assert numbers(page)[:2] == [3, 2]
    assert "First page" not in page.text("results")
