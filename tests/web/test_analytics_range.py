"""The range that the analytics page opens with, and what it shows of a range without incidents."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support.web import quarter
from tests.support.web.browser_queries import read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client
from tocsin.contracts.overview import Figures, Period
from tocsin.web.pages.analytics.view import RANGES, default_range

PATH = "/analytics"
QUARTER = f"{PATH}?range=13w"
TODAY = date(2026, 10, 22)


def day(ago: int, incidents: int) -> Period:
    """Return the figures of a day with *incidents*, some days *ago*."""
    figures = quarter.figures((incidents, 0, 0, 0), quarter.nothing(), quarter.nothing())
    return Period(starts_on=TODAY - timedelta(days=ago), **figures)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], "30d"),
        ([day(0, 0), day(50, 0)], "30d"),
        ([day(6, 10), day(50, 90)], "7d"),
        ([day(6, 9), day(29, 1), day(50, 90)], "30d"),
        ([day(6, 9), day(30, 90)], "13w"),
        ([day(0, 2), day(1, 1)], "7d"),
        ([day(0, 2), day(20, 1)], "30d"),
        ([day(90, 1)], "13w"),
    ],
)
def test_the_default_range_is_the_shortest_with_ten_incidents_or_with_all(days: list[Period], expected: str) -> None:
    assert default_range(days, TODAY) is RANGES[expected]


async def test_the_default_range_is_loaded_and_kept_by_a_refresh(client: Client, services: Services) -> None:
    quarter.fill(services)
    today = datetime.now(UTC).date()
    recent = day(0, 12).model_copy(update={"starts_on": today})
    services.incidents.overview = quarter.overview(periods=[recent], team="Search")
    page = await read(client, f"{PATH}?team=Search")
    wide, shown = services.incidents.overviews
    assert (wide["by"], wide["team"]) == ("day", "Search")
    assert datetime.fromisoformat(wide["since"]).date() == today - timedelta(days=90)
    assert datetime.fromisoformat(shown["since"]).date() == today - timedelta(days=6)
    (main,) = page.elements("main")
    assert main["hx-get"] == f"{PATH}?range=7d&team=Search"


async def test_a_range_without_incidents_leads_to_longer_ones_and_draws_nothing(
    client: Client, services: Services
) -> None:
    quarter.fill(services)
    none = Figures(**quarter.figures((0, 0, 0, 0), quarter.nothing(), quarter.nothing()))
    services.incidents.overview = quarter.overview(total=none, services=[])
    page = await read(client, f"{PATH}?range=30d")
    links = [link["href"] for link in page.elements("a") if "btn" in link.get("class", "").split()]
    assert links == [
        f"{PATH}?range=13w&team=",
        f"{PATH}?range=1y&team=",
        "/incidents/new",
        "/handbook/api.md#alerts",
    ]
    assert not page.has("time-to-acknowledge")
    assert page.has("pages-per-person")
