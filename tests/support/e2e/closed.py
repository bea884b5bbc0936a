"""A system in closed mode, with an account of each role."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientResponse, ClientSession, CookieJar, DummyCookieJar

from tests.support.system import System, running_system
from tocsin.cli.service_keys import KeyFolder

PASSWORD: Final = "marble tuba canyon seven"  # noqa: S105 - of made-up accounts
ADMIN: Final = {"name": "Ada", "email": "ada@example.org"}


@dataclass(slots=True)
class Closed:
    """A running system, and the tokens of its accounts by role."""

    system: System
    keys: KeyFolder
    tokens: dict[str, str] = field(default_factory=dict)

    def url(self, service: str, path: str) -> str:
        """Return an address of a service."""
        return self.system.url(service) + path

    def bearer(self, role: str) -> Mapping[str, str]:
        """Return the header with the token of an account that has *role*."""
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    async def call(
        self,
        method: str,
        service: str,
        path: str,
        body: Any = None,
        *,
        by: str | None = "admin",
        status: int | None = None,
    ) -> Any:
        """Call a service as an account with the role *by*; return the JSON of the response, whose status is checked."""
        headers = {} if by is None else self.bearer(by)
        async with self.system.session.request(method, self.url(service, path), json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == status if status else response.status < 300, (response.status, text)
            return await response.json() if response.content_type.endswith("json") else text

    async def post_form(self, session: ClientSession, path: str, **form: str) -> ClientResponse:
        """Submit a form of a page as a browser does, without following the redirect."""
        return await session.post(self.url("web", path), data=form, allow_redirects=False)

    async def setup_link(self, *, status: int = 200) -> str:
        """Return a new link of the first admin, as `tocsin setup-link` does."""
        signature = self.system.signature("web", "web")
        url = self.url("web", "/api/v1/access/setup-link")
        async with self.system.session.post(url, headers=signature) as response:
            assert response.status == status, await response.text()
            return str((await response.json()).get("url", ""))


@asynccontextmanager
async def closed_system(database_url: str, folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Closed]:
    """Run a system in closed mode, without any account yet."""
    closed_environment = {**environment, "ACCESS": "closed"}
    async with running_system(database_url, folder, closed_environment) as system:
        await system.session.close()
        async with ClientSession(cookie_jar=DummyCookieJar()) as system.session:
            yield Closed(system, KeyFolder(folder))


def browser() -> ClientSession:
    """Return a client that keeps cookies, also of an address without a name."""
    return ClientSession(cookie_jar=CookieJar(unsafe=True), headers={"Accept": "text/html"})


async def create_admin(closed: Closed, session: ClientSession) -> None:
    """Create the first admin by a link, in *session*, and a token for it."""
    key = (await closed.setup_link()).partition("key=")[2]
    response = await closed.post_form(session, "/setup", key=key, password=PASSWORD, **ADMIN)
    assert (response.status, response.headers["Location"]) == (303, "/"), await response.text()
    login = {"email": ADMIN["email"], "password": PASSWORD, "token": "tests"}
    closed.tokens["admin"] = (await closed.call("POST", "web", "/api/v1/login", login, by=None))["token"]


async def create_accounts(closed: Closed, *roles: str) -> None:
    """Create the account of a program for each of *roles*, with a token."""
    for role in roles:
        given = {"kind": "service", "name": f"The {role}", "role": role}
        account = await closed.call("POST", "web", "/api/v1/accounts", given)
        token = await closed.call("POST", "web", f"/api/v1/accounts/{account['id']}/tokens", {"name": "tests"})
        closed.tokens[role] = token["token"]
