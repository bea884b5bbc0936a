"""The web service in closed mode, before fake services, on a database of the test's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientResponse, web

from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, FakeOpenIDProvider
from tests.support.web.server import Client
from tocsin.cli.service_keys import KeyFolder
from tocsin.cli.services import WEB
from tocsin.kernel.service_keys import ServiceKeys
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.shared_time import SharedTime
from tocsin.web.access.service import DEPS
from tocsin.web.access.service.links import create_setup_link
from tocsin.web.ui.account_links import address_of

PASSWORD: Final = "marble tuba canyon seven"  # noqa: S105 - of made-up accounts
ADA: Final = {"name": "Ada", "email": "ada@example.org"}


def closed_settings(folder: Path, dsn: str) -> dict[str, Any]:
    """Return the settings of closed mode, with keys in *folder*."""
    keys = KeyFolder(folder)
    keys.create_missing()
    own = {"service_key": keys.private_key(WEB), "service_keys": keys.folder / "public"}
    return {"access": "closed", "database_url": dsn, **own}


def signature_of_web(folder: Path) -> Mapping[str, str]:
    """Return the headers of a call of the web service that it has signed itself."""
    settings = ProcessSettings.model_validate({"service_key": KeyFolder(folder).private_key(WEB)})
    return ServiceKeys.of(settings, WEB.identity, SharedTime()).authorization(WEB.identity)


async def setup_path(client: Client) -> str:
    """Return the path of a new link of the first admin."""
    app: web.Application = client.server.app  # type: ignore[attr-defined]
    return "".join(address_of(app, await create_setup_link(app[DEPS])).partition("/setup")[1:])


async def post_form(client: Client, path: str, **form: str) -> ClientResponse:
    """Submit a form without following the redirect; the body of the response is read."""
    async with client.post(path, data=form, allow_redirects=False) as response:
        await response.read()
        return response


async def set_up(client: Client) -> None:
    """Create the first admin, who is logged in with *client* from then on."""
    key = (await setup_path(client)).partition("key=")[2]
    response = await post_form(client, "/setup", key=key, password=PASSWORD, **ADA)
    assert (response.status, response.headers["Location"]) == (303, "/")


def openid_settings(provider: FakeOpenIDProvider, port: int) -> dict[str, Any]:
    """Return the settings of a log-in by *provider* for the web service on *port*, which is registered there."""
    public_url = f"http://127.0.0.1:{port}"
    provider.redirect_uri = f"{public_url}/login/oidc/callback"
    return {
        "public_url": public_url,
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_name": "Halyard",
    }
