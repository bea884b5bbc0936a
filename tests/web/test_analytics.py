"""The metrics page over HTTP."""

import csv
import io
from datetime import date, timedelta

import pytest

from tests.support.web import quarter
from tests.support.web.browser_queries import BROWSER, FRAGMENTS, read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client
from tocsin.contracts.overview import Figures, NoisyService
from tocsin.web.ui.assets import ASSETS

PATH = "/analytics"
QUARTER = f"{PATH}?range=13w"
TODAY = date(2026, 10, 22)


async def table(client: Client, name: str, query: str = "?range=13w") -> list[dict[str, str]]:
    """Download a table."""
    async with client.get(f"{PATH}/{name}.csv{query}") as response:
        assert response.status == 200
        assert response.content_type == "text/csv"
        assert response.headers["Content-Disposition"].startswith(f'attachment; filename="{name}-')
        return list(csv.DictReader(io.StringIO(await response.text())))


async def test_the_heading_summarises_the_range(client: Client, services: Services) -> None:
    quarter.fill(services)
    page = await read(client, QUARTER)
    words = page.text("analytics")
    assert words.startswith("Acknowledged in 2:06 min, resolved in 41 min Medians over 13 weeks, 158 incidents.")
    assert "Time to acknowledge down 28 %; time to resolve unchanged, compared with the 13 weeks before." in words
    assert "Time to acknowledge 2:06 min, median 28 % better, was 2:55" in words
    assert "Time to resolve 41 min, median 3 % worse, was 40 min" in words
    assert "Escalated past level 1 14 % 5 points better, was 19 %" in words
    assert "Nights interrupted 13 of 88 2 worse, was 11" in words


async def test_every_chart_has_a_unit_and_a_text_alternative(client: Client, services: Services) -> None:
    quarter.fill(services)
    page = await read(client, QUARTER)
    assert page.text("time-to-acknowledge") == "Time to acknowledge minutes, by week"
    assert page.text("incidents") == "Incidents by week and severity"
    said = {svg["aria-label"] for svg in page.elements("svg") if svg.get("role") == "img"}
    assert said == {
        "Time to acknowledge: the median went from 2 min to 2 min",
        "Time to resolve: the median went from 38 min to 41 min",
        "138 of 152 incidents within 5 min",
        "107 of 150 incidents within 1 h",
        "Between 7 and 20 incidents a week",
    }
    links = {a["href"] for a in page.elements("a") if "/analytics/" in a.get("href", "")}
    assert len(links) == 9
    for link in links:
        async with client.get(link) as response:
            assert response.status == 200, link


async def test_a_table_has_the_figures_with_their_units(client: Client, services: Services) -> None:
    quarter.fill(services)
    weeks = await table(client, "time-to-acknowledge")
    assert len(weeks) == 13
    assert weeks[0] == {
        "week_of": "2026-07-27",
        "median_seconds": "174.0",
        "mean_seconds": "232.0",
        "mean_of_4_weeks_seconds": "232.0",
        "p95_seconds": "504.0",
        "incidents": "13",
    }
    assert [row["incidents"] for row in await table(client, "acknowledged-within")] == [
        "38",
        "54",
        "29",
        "17",
        "9",
        "4",
        "1",
    ]
    assert (await table(client, "noisiest-services"))[0] == {
        "service": "checkout-api",
        "team": "Payments",
        "incidents": "31",
        "incidents_at_night": "9",
        "time_to_acknowledge_median_seconds": "122.0",
        "time_to_resolve_median_seconds": "2280.0",
    }
    assert (await table(client, "pages-per-person"))[0]["pages_at_night"] == "9"
    assert [row["incidents"] for row in await table(client, "escalations")] == ["131", "16", "5", "0", "0", "0", "0"]
    by_status = {row["status"]: row["share_percent"] for row in await table(client, "time-by-status")}
    assert by_status["In progress"] == "68.1"


async def test_range_and_team_are_in_the_url_and_requested(client: Client, services: Services) -> None:
    quarter.fill(services)
    services.incidents.overview = quarter.overview(team="Search")
    page = await read(client, f"{PATH}?range=1y&team=Search")
    query = services.incidents.overviews[-1]
    assert (query["by"], query["team"]) == ("week", "Search")
    assert query["since"].endswith("T00:00:00+00:00")
    assert "Medians over 52 weeks, 158 incidents for Search." in page.text("analytics")
    assert {option.get("value", "") for option in page.elements("option")} == {""}
    assert [radio["value"] for radio in page.elements("input") if "checked" in radio and radio["name"] == "range"] == [
        "1y"
    ]
    links = [a["href"] for a in page.elements("a") if ".csv" in a.get("href", "")]
    assert all(link.endswith("?range=1y&team=Search") for link in links)
    for nonsense in ("?range=7", "?range=", "?team=%00&x=1"):
        before = len(services.incidents.overviews)
        await read(client, PATH + nonsense)
        assert len(services.incidents.overviews) == before + 2  # the first is the default range's
    await read(client, f"{PATH}?range=7d")
    assert services.incidents.overviews[-1]["by"] == "day"


async def test_every_colour_and_bar_is_explained(client: Client, services: Services) -> None:
    quarter.fill(services)
    page = await read(client, QUARTER)
    words = page.text("analytics")
    assert "within 5 min later" in words
    assert "within 1 h later" in words
    assert "incidents of these, with a page at night" in words
    assert "pages of these, at night" in words
    assert "Compared with the noisiest" in words
    assert "Compared with the most paged" in words
    assert "Sleep interrupted" not in words
    assert "MTT" not in words


async def test_one_incident_none_and_empty_weeks_have_correct_headings(client: Client, services: Services) -> None:
    one = quarter.figures((1, 0, 0, 0), quarter.durations(1, 61), quarter.nothing())
    none = quarter.figures((0, 0, 0, 0), quarter.nothing(), quarter.nothing())
    found = quarter.overview()
    periods = [item.model_copy(update=one if index == 6 else none) for index, item in enumerate(found.periods)]
    empty = {
        "services": [],
        "answered_within": quarter.bins((60,), (0, 0)),
        "resolved_within": quarter.bins((300,), (0, 0)),
    }
    services.schedules.overview = quarter.on_call(people=[], total=quarter.reached(0, 0, 0, nights=0))
    services.incidents.overview = found.model_copy(
        update={**empty, "total": Figures(**one), "before": Figures(**none), "periods": periods}
    )
    words = (await read(client, QUARTER)).text("analytics")
    assert words.startswith("Acknowledged in 1:01 min Medians over 13 weeks, 1 incident.")
    assert "Nobody was paged in 13 weeks." in words

    services.incidents.overview = found.model_copy(
        update={
            **empty,
            "total": Figures(**none),
            "periods": [item.model_copy(update=none) for item in periods],
        }
    )
    assert (
        (await read(client, QUARTER))
        .text("analytics")
        .startswith("No incident in 13 weeks 171 incidents in the 13 weeks before.")
    )
    unanswered = one | {"mtta": quarter.nothing()}
    services.incidents.overview = found.model_copy(update={**empty, "total": Figures(**unanswered)})
    assert (
        (await read(client, QUARTER))
        .text("analytics")
        .startswith("No incident has been acknowledged yet 13 weeks, 1 incident.")
    )


async def test_a_figure_is_called_unchanged_only_if_it_is_equal(client: Client, services: Services) -> None:
    some = quarter.figures((1, 2, 3, 4), quarter.durations(10, 61), quarter.nothing())
    none = quarter.figures((0, 0, 0, 0), quarter.nothing(), quarter.nothing())
    for total, before, expected in ((some, none, "10 was 0"), (some, some, "10 as before, 10"), (none, none, "0 as")):
        services.incidents.overview = quarter.overview(total=Figures(**total), before=Figures(**before))
        assert f"Incidents {expected}" in (await read(client, QUARTER)).text("analytics")
    services.incidents.overview = quarter.overview(total=Figures(**none), before=Figures(**some))
    assert "Time to acknowledge none was 1:01" in (await read(client, QUARTER)).text("analytics")


async def test_hostile_names_are_escaped_in_html_and_csv(client: Client, services: Services) -> None:
    hostile = '=HYPERLINK("http://evil")<script>alert(1)</script>'
    noisy = NoisyService(service=hostile, team="@team", incidents=1, mtta=quarter.nothing(), mttr=quarter.nothing())
    services.incidents.overview = quarter.overview(services=[noisy], teams=[hostile])
    services.schedules.overview = quarter.on_call()
    page = await read(client, QUARTER)
    assert all("src" in script for script in page.elements("script"))
    assert "<script>alert(1)</script>" in page.text("analytics")
    (row,) = await table(client, "noisiest-services")
    assert (row["service"], row["team"]) == (f"'{hostile}", "'@team")


async def test_an_outage_is_named_with_the_rest_of_the_page(client: Client, services: Services) -> None:
    quarter.fill(services)
    services.schedules.overview = None
    page = await read(client, QUARTER)
    assert "The on-call service has been unavailable since" in page.text("notices")
    assert page.text("analytics").startswith("Acknowledged in 2:06 min")
    assert not page.has("pages-per-person")
    async with client.get(f"{PATH}/pages-per-person.csv") as response:
        assert response.status == 503
    services.incidents.overview = None
    page = await read(client, QUARTER)
    assert page.text("analytics").startswith("Metrics cannot be shown right now")


async def test_incomplete_figures_are_marked(client: Client, services: Services) -> None:
    quarter.fill(services)
    services.incidents.overview = quarter.overview(history_before=quarter.overview().as_of - timedelta(days=20))
    words = (await read(client, QUARTER)).text("analytics")
    assert "Incidents opened before Fri 2 Oct 2026, 01:14:08 UTC are still being aggregated." in words
    services.schedules.overview = quarter.on_call(history_before=quarter.overview().as_of - timedelta(days=2))
    words = (await read(client, QUARTER)).text("analytics")
    assert "Incidents opened before Tue 20 Oct 2026, 01:14:08 UTC are still being aggregated." in words


async def test_a_browser_is_redirected_from_metrics_and_prometheus_is_not(client: Client) -> None:
    async with client.get("/metrics", headers=BROWSER, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"], response.headers["Vary"]) == (303, PATH, "Accept")
    prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    async with client.get("/metrics", headers={"Accept": prometheus}) as response:
        assert "process_cpu_seconds_total" in await response.text()
        assert response.content_type != "text/html"


@pytest.mark.parametrize("name", ["nothing", "..%2Fsecret", "time-to-acknowledge.csv"])
async def test_an_unknown_table_is_a_404(client: Client, services: Services, name: str) -> None:
    quarter.fill(services)
    async with client.get(f"{PATH}/{name}.csv") as response:
        assert response.status == 404


async def test_htmx_gets_the_block_alone(client: Client, services: Services) -> None:
    quarter.fill(services)
    page = await read(client, QUARTER, headers=FRAGMENTS)
    assert page.has("analytics")
    assert not page.has("main")


@pytest.mark.parametrize("path", ["", "/incidents.csv"])
async def test_the_former_address_returns_the_same_page(client: Client, services: Services, path: str) -> None:
    quarter.fill(services)
    async with client.get(f"/metrics-overview{path}") as former, client.get(PATH + path) as present:
        assert (former.status, former.content_type) == (present.status, present.content_type)
    page = await read(client, "/metrics-overview?range=7d")
    assert [item["href"] for item in page.elements("a") if item.get("aria-current") == "page"] == [PATH]


async def test_the_page_is_small(client: Client, services: Services) -> None:
    quarter.fill(services)
    async with client.get(PATH, headers=BROWSER, auto_decompress=False) as response:
        page = await response.read()
    async with client.get(client.app[ASSETS].url("analytics.css"), auto_decompress=False) as response:
        styles = await response.read()
    assert len(page) + len(styles) < 20_000
