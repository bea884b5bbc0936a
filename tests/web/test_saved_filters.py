"""Filters of incidents that a browser keeps."""

import pytest

from tests.support.web.browser_queries import read, submit
from tests.support.web.demo_night import Services
from tests.web.conftest import Client
from tests.web.test_incidents import LIST, numbers


async def test_a_filter_is_saved_under_a_name_and_deleted_again(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, f"{LIST}?q=&status=any&severity=low&save=1")
    assert page.form("/incidents/filters").fields["name"] == "Low"
    page = await submit(client, page, "/incidents/filters", name="Nothing <b>urgent</b>")
    assert "Saved in this browser as Nothing <b>urgent</b>" in page.text()
    assert numbers(page) == [2476, 2471]
    page = await read(client, LIST)
    chip = next(link for link in page.elements("a") if link["href"] == f"{LIST}?status=any&severity=low")
    assert chip["class"] == "chip"
    assert "Nothing <b>urgent</b>" in page.text("chips")
    page = await read(client, chip["href"])
    page = await submit(client, page, "/incidents/filters/delete")
    assert "urgent" not in page.text("chips")
    assert numbers(page) == [2476, 2471]


async def test_a_browser_keeps_a_limited_number_of_filters(client: Client, services: Services) -> None:
    services.fill()
    for number in range(12):
        await submit(client, await read(client, f"{LIST}?q=w{number}&save=1"), "/incidents/filters", name=f"n{number}")
    page = await read(client, f"{LIST}?q=w12&save=1")
    answer = await submit(client, page, "/incidents/filters", status=422, name="one too many")
    assert "Delete one first." in answer.text("notices")
    page = await read(client, LIST)
    assert "n11" in page.text("chips")
    assert "one too many" not in page.text("chips")


@pytest.mark.parametrize("cookie", ["%5B", "x", "%5B%5B1%5D%5D", "%5B%5B%22a%22%2C%22/incidents?status=gone%22%5D%5D"])
async def test_an_invalid_cookie_is_ignored(client: Client, services: Services, cookie: str) -> None:
    services.fill()
    page = await read(client, LIST, headers={"Cookie": f"tocsin_filters={cookie}"})
    assert page.text("chips") == "Not resolved 5 Unacknowledged 2 All"


async def test_an_address_that_is_not_one_saves_the_list_without_filters(client: Client, services: Services) -> None:
    services.fill()
    page = await read(client, f"{LIST}?q=&status=any&severity=low&save=1")
    page = await submit(client, page, "/incidents/filters", name="Odd", return_to="http://[::1")
    assert "Odd" in page.text("chips")
