import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.web.browser_queries import read
from tests.support.web.demo_data import incident
from tests.support.web.demo_night import Services
from tests.support.web.pages import NOT_FOUND, PAGES
from tests.web.conftest import Client
from tocsin.web.ui import assets, compression
from tocsin.web.ui.assets import ASSETS

WEB = Path(str(files("tocsin.web")))
VENDOR = WEB / "static" / "vendor"
KIB = 1024


def test_each_vendored_file_is_the_published_one_with_its_licence() -> None:
    listed = json.loads((VENDOR / "VENDORED.json").read_text())
    for item in listed:
        assert hashlib.sha256((VENDOR / item["file"]).read_bytes()).hexdigest() == item["sha256"], item["file"]
        assert item["version"] in item["source"]
        assert item["licence"]
    named = {item["file"] for item in listed} | {item["licence_file"] for item in listed} | {"VENDORED.json"}
    assert {path.name for path in VENDOR.iterdir()} == named


async def test_a_file_is_kept_for_ever_under_its_digest_and_not_at_all_under_another(client: Client) -> None:
    assert client.app is not None
    url = client.app[ASSETS].url("live.js")
    async with client.get(url) as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert await answer.read() == (WEB / "static" / "live.js").read_bytes()
    async with client.get("/static/0123456789ab/live.js") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-cache"


async def test_files_are_compressed_for_clients_that_accept_it(client: Client) -> None:
    async with client.get("/static/x/live.js", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Vary"] == "Accept-Encoding"
    async with client.get("/static/x/live.js", headers={"Accept-Encoding": "br, gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "br"
        assert await answer.read() == (WEB / "static" / "live.js").read_bytes()
    async with client.get("/static/x/live.js", headers={"Accept-Encoding": "br;q=0, gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"


async def test_a_file_that_the_browser_has_is_not_sent_again(client: Client) -> None:
    async with client.get("/static/x/live.js") as answer:
        etag = answer.headers["ETag"]
    async with client.get("/static/x/live.js", headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
    async with client.get("/static/x/keys.js", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.1", "br"),
        ("br;q=0", ""),
        ("br;q=0, *", "gzip"),
        ("GZIP", "gzip"),
        ("br;q=much, gzip;level=3", ""),
    ],
)
def test_the_coding_is_one_that_the_client_accepts(accepted: str, coding: str) -> None:
    assert compression.choose(accepted) == coding
    assert len(compression.compress(b"x" * 1000, coding, compression.FAST)) < (100 if coding else 1001)


@pytest.mark.parametrize(
    "name",
    ["nothing.css", "../app.py", "..%2fapp.py", "vendor/VENDORED.json", "vendor/htmx.LICENSE", "vendor", "a%00b"],
)
async def test_nothing_else_is_served(client: Client, name: str) -> None:
    async with client.get(f"/static/x/{name}") as answer:
        assert answer.status == 404


@pytest.mark.slow
async def test_every_address_in_a_page_exists_here_and_every_icon_in_the_sprite(
    client: Client, services: Services
) -> None:
    services.fill()
    sprite = (WEB / "static" / "icons.svg").read_text()
    symbols = set(re.findall(r'<symbol id="([a-z_]+)"', sprite))
    for name, path in PAGES.items():
        page = await read(client, path, status=404 if name in NOT_FOUND else 200)
        for _, given in page.attributes:
            address = given.get("href") or given.get("src")
            if given.get("rel") == "noreferrer":  # where a sender says to look
                assert str(address).startswith("https://")
                continue
            if address is None or address.startswith("#"):
                assert address is None or page.has(address[1:])
                continue
            assert address.startswith("/")
            place, _, part = address.partition("#")
            icon = part if place.endswith(".svg") else ""
            assert not icon or icon in symbols
            async with client.get(place) as answer:
                assert answer.status == 200, address


async def test_a_page_links_one_sheet_which_has_every_style_that_it_needs_in_order(
    client: Client, services: Services
) -> None:
    services.fill()
    page = await read(client, "/incidents/2481")
    (sheet,) = (link["href"] for link in page.elements("link") if link["rel"] == "stylesheet")
    common = [f"common/{name}" for name in assets.COMMON]
    parts = [*common, "pages/incident", "common/print"]
    async with client.get(sheet) as answer:
        assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
        assert await answer.text() == "".join((WEB / "styles" / f"{name}.css").read_text() for name in parts)


def test_every_style_is_in_a_sheet() -> None:
    pages = {f"pages/{name}" for sheet in assets.SHEETS.values() for name in sheet}
    common = {f"common/{name}" for name in (*assets.COMMON, "print")}
    files = (WEB / "styles").rglob("*.css")
    assert {path.relative_to(WEB / "styles").with_suffix("").as_posix() for path in files} == pages | common


async def sent(client: Client, *addresses: str) -> int:
    """Return how many bytes these files are on their way to somebody who can unpack gzip."""
    total = 0
    for address in addresses:
        async with client.get(address, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as answer:
            assert answer.status == 200
            total += len(await answer.read())
    return total


@pytest.mark.parametrize("path", ["/", "/incidents/2481", "/oncall"])
async def test_a_full_page_with_its_styles_weighs_under_20_kib_packed_and_its_scripts_under_45(
    client: Client, services: Services, path: str
) -> None:
    services.fill()
    for number in range(3_000, 3_050):
        services.incidents.incidents[number] = incident(number, f"Latency of shard {number} above two seconds")
    page = await read(client, path)
    sheets = [link["href"] for link in page.elements("link") if link["rel"] == "stylesheet"]
    assert await sent(client, path, *sheets) < 20 * KIB
    scripts = (script.relative_to(WEB / "static") for script in (WEB / "static").rglob("*.js"))
    assert 0 < await sent(client, *(f"/static/x/{script}" for script in scripts)) < 45 * KIB


def test_templates_escape_everything_and_quote_every_attribute() -> None:
    templates = sorted(WEB.rglob("*.html"))
    assert len(templates) >= 19
    for path in templates:
        text = path.read_text()
        assert max(map(len, text.splitlines())) <= 120, path.name
        assert not re.search(r"\|\s*safe|Markup|autoescape|<style|style=|\son[a-z]+=|javascript:", text), path.name
        assert not re.search(r"=\{\{", text), f"{path.name} has an attribute without quotes"
        for script in re.findall(r"<script[^>]*>", text):
            assert "src=" in script, path.name
