"""Every page as the fragment that htmx requests."""

import pytest

from tests.support.web.browser_queries import FRAGMENTS
from tests.support.web.demo_night import Services
from tests.support.web.pages import NOT_FOUND, PAGES
from tests.support.web.server import Client


@pytest.mark.parametrize("page", sorted(PAGES.keys() - NOT_FOUND))
async def test_every_page_can_be_requested_as_a_fragment(client: Client, services: Services, page: str) -> None:
    services.fill()
    async with client.get(PAGES[page], headers=FRAGMENTS) as response:
        text = await response.text()
        assert response.status == 200
    assert text.startswith("<")
    assert "<html" not in text
