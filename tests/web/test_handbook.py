"""The handbook of this version, to which the links of alerts lead."""

import re
from pathlib import Path

import pytest

from tests.support.web.browser_queries import read
from tests.web.conftest import Client
from tocsin.web.pages.handbook.view import handbook_view

ROOT = Path(__file__).parents[2]
PAGES = [path.name for path in sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", PAGES)
async def test_every_page_is_shown_and_each_of_its_links_leads_somewhere(client: Client, name: str) -> None:
    page = await read(client, f"/handbook/{name}")
    heading = (ROOT / "docs" / name).read_text().partition("\n")[0].removeprefix("# ")
    assert heading in page.text("main")
    for address in (given["href"] for given in page.elements("a")):
        if address.startswith(("/", "http")):
            continue
        other, _, anchor = address.partition("#")
        there = await read(client, f"/handbook/{other}") if other else page
        assert not anchor or there.has(anchor), address


async def test_a_page_leads_to_all_others(client: Client) -> None:
    page = await read(client, f"/handbook/{PAGES[0]}")
    links = {given["href"]: given.get("aria-current") for given in page.elements("a")}
    assert {f"/handbook/{name}" for name in PAGES} <= links.keys()
    assert links[f"/handbook/{PAGES[0]}"] == "page"


def test_a_table_head_without_text_is_left_out_and_another_one_kept() -> None:
    text = "# T\n\n| | |\n| - | - |\n| a | b |\n\n| X | |\n| - | - |\n| c | d |\n"
    body = str(handbook_view("t.md", text, {"t.md": "T"}).body)
    assert body.count("<thead>") == 1
    assert body.count('<div class="scroll" tabindex="0"><table') == body.count("</table></div>") == 2


async def test_each_alert_finds_its_runbook(client: Client) -> None:
    page = await read(client, "/handbook/operations.md")
    rules = "".join(path.read_text() for path in (ROOT / "prometheus" / "rules").glob("*.yml"))
    named = re.findall(r"/handbook/operations\.md#(\w+)", rules)
    assert len(named) > 20
    assert [name for name in named if not page.has(name)] == []


@pytest.mark.parametrize("name", ["no-such-page.md", "..%2Fcompose.yaml", "adr", "operations"])
async def test_other_files_are_not_found(client: Client, name: str) -> None:
    assert "operations.md" in (await read(client, f"/handbook/{name}", status=404)).text()
