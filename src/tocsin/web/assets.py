"""Style sheets, scripts and icons: read and packed once at start-up, addressed by what is in them."""

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import hdrs, web

from tocsin.kernel.errors import NotFoundError

TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and packed."""

    body: bytes
    packed: bytes
    content_type: str


class Assets:
    """Every file under `static/`. One digest over all is part of each address, so that relative imports hold."""

    def __init__(self) -> None:
        self._assets = dict(sorted(_read(files("tocsin.web") / "static", "")))
        digest = hashlib.sha256()
        for name, asset in self._assets.items():
            digest.update(name.encode() + b"\0" + asset.body + b"\0")
        self.digest: Final = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Return the address of the file *name*. Raise KeyError where there is none: a template is wrong."""
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


def _read(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _read(entry, f"{prefix}{entry.name}/")
            continue
        content_type = TYPES.get("." + entry.name.rpartition(".")[2])
        if content_type is not None:
            body = entry.read_bytes()
            found.append((prefix + entry.name, Asset(body, gzip.compress(body, 9, mtime=0), content_type)))
    return found


async def get_asset(request: web.Request) -> web.Response:
    """Answer with a file. Under another build's digest it is this build's file, and nobody may keep it."""
    assets = request.app[ASSETS]
    asset = assets.get(request.match_info["name"])
    headers = {
        hdrs.CACHE_CONTROL: FOREVER if request.match_info["digest"] == assets.digest else "no-cache",
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    body = asset.body
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        body = asset.packed
    return web.Response(body=body, content_type=asset.content_type, charset="utf-8", headers=headers)
