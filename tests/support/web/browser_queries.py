"""Read pages and send forms, as a browser does."""

from typing import Any

from tests.support.web.html import Html
from tests.web.conftest import Client

FRAGMENTS = {"HX-Request": "true", "Accept": "text/html"}
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


async def read(client: Client, path: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Html:
    """GET a page as a browser does; it must be well formed."""
    async with client.get(path, headers=BROWSER | (headers or {}), allow_redirects=False) as response:
        text = await response.text()
        assert response.status == status, text[:2_000]
        assert response.content_type == "text/html"
    page = Html.read(text)
    assert page.faults == []
    return page


async def submit(
    client: Client, page: Html, action: str, *, status: int = 200, headers: dict[str, str] | None = None, **fields: Any
) -> Html:
    """Send a form of *page* as a browser does without JavaScript, redirects followed."""
    form = page.form(action)
    assert form.method == "post"
    sent = BROWSER | {"Sec-Fetch-Site": "same-origin"} | (headers or {})
    async with client.post(form.action, data=form.fields | fields, headers=sent) as response:
        text = await response.text()
        assert response.status == status, text[:2_000]
    answer = Html.read(text)
    assert answer.faults == []
    return answer
