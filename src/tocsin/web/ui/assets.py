"""Style sheets, scripts and icons: compressed once at start-up, addressed by a digest of their content."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import hdrs, web

from tocsin.kernel.errors import NotFoundError
from tocsin.web.ui.compression import CODINGS, SMALL, choose, compress

TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOREVER: Final = "public, max-age=31536000, immutable"
COMMON: Final = (
    "tokens",
    "reset",
    "layout",
    "text",
    "controls",
    "badges",
    "notices",
    "menus",
    "countdown",
    "tables",
    "figures",
    "updates",
    "preferences",
)
"""The files of `styles/common/` at the start of every sheet, in this order; `print` ends it."""
SHEETS: Final = {
    "handbook": ("handbook",),
    "incident": ("incident",),
    "lists": ("lists", "selection"),
    "account": ("account",),
    "analytics": ("analytics",),
    "audit": ("lists", "audit"),
    "door": ("door",),
    "now": ("now", "incident_cards"),
    "oncall": ("oncall",),
    "plain": (),
}
"""The files of `styles/pages/` in the sheet of each kind of page. A page links one sheet, as a browser paints nothing
until the last one has arrived."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, with its compressed variants."""

    body: bytes
    compressed: dict[str, bytes]
    """By coding."""
    content_type: str
    etag: str
    """Weak: the same for every coding."""


class Assets:
    """Every file under `static/`, and the sheets.

    One digest over all of it is part of each address, so that relative imports work.
    """

    def __init__(self) -> None:
        self._assets = _all()
        digest = hashlib.sha256()
        for name, asset in self._assets.items():
            digest.update(name.encode() + b"\0" + asset.body + b"\0")
        self.digest: Final = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Return the address of the file *name*. Raise KeyError if there is none, which is a bug in a template."""
        self._assets[name]
        return f"/static/{self.digest}/{name}"

    def get(self, name: str) -> Asset:
        """Return the file *name*. Raise NotFoundError."""
        try:
            return self._assets[name]
        except KeyError as exc:
            msg = "There is nothing at this address."
            raise NotFoundError(msg) from exc


ASSETS = web.AppKey("ASSETS", Assets)


@cache
def _all() -> dict[str, Asset]:
    web_ui = files("tocsin.web")
    sheets = [(f"{name}.css", _asset(_sheet(web_ui / "styles", own), TYPES[".css"])) for name, own in SHEETS.items()]
    return dict(sorted([*_read(web_ui / "static", ""), *sheets]))


def _sheet(styles: Traversable, own: tuple[str, ...]) -> bytes:
    names = [*(f"common/{name}" for name in COMMON), *(f"pages/{name}" for name in own), "common/print"]
    return b"".join((styles / f"{name}.css").read_bytes() for name in names)


def _read(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _read(entry, f"{prefix}{entry.name}/")
            continue
        content_type = TYPES.get("." + entry.name.rpartition(".")[2])
        if content_type is not None:
            found.append((prefix + entry.name, _asset(entry.read_bytes(), content_type)))
    return found


def _asset(body: bytes, content_type: str) -> Asset:
    smaller = {coding: compress(body, coding, SMALL) for coding in CODINGS}
    return Asset(body, smaller, content_type, etag=f'W/"{hashlib.sha256(body).hexdigest()[:16]}"')


async def get_asset(request: web.Request) -> web.Response:
    """Respond with a file. Under another build's digest it is this build's file, and must not be cached."""
    assets = request.app[ASSETS]
    asset = assets.get(request.match_info["name"])
    headers = {
        hdrs.CACHE_CONTROL: FOREVER if request.match_info["digest"] == assets.digest else "no-cache",
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
        hdrs.ETAG: asset.etag,
    }
    if asset.etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    body = asset.body
    coding = choose(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    if coding:
        headers[hdrs.CONTENT_ENCODING] = coding
        body = asset.compressed[coding]
    return web.Response(body=body, content_type=asset.content_type, charset="utf-8", headers=headers)
