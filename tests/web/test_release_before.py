"""Pages while a deploy replaces the services: replicas of the release before do not have the pages' endpoints."""

import pytest

from tests.support.web.browser_queries import read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (
            "/",
            [
                "2 incidents are unacknowledged",
                "Priya Raman was paged",
                "Label printer pool offline in Leipzig",
            ],
        ),
        ("/incidents", ["Checkout answers 5xx", "Priya Raman"]),
        ("/incidents/2481", ["Checkout answers 5xx for 7.4 % of requests", "Priya Raman"]),
    ],
)
async def test_a_page_is_read_from_the_lists_of_the_release_before(
    client: Client, services: Services, path: str, shown: list[str]
) -> None:
    services.fill()
    for peer in (services.incidents, services.schedules, services.messages):
        peer.statuses.append(404)
    page = await read(client, path)
    for text in shown:
        assert text in page.text()
    if path == "/":
        assert "No incident opened in the last 7 days" not in page.text("rail")
    assert page.text("notices") == ""
