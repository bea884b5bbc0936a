"""Pages offer what their visitor may do, and nothing else."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.e2e.test_access_matrix import application
from tests.support.e2e.closed import Closed, browser, closed_system, create_accounts, create_admin
from tests.support.postgres import Server
from tests.support.waiting import eventually
from tocsin.contracts.accounts import Role
from tocsin.kernel.routing import scope_of
from tocsin.web.access.domain.identity import SCOPES

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
FORM: Final = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')
ACTION: Final = re.compile(r'\baction="([^"?]+)')
LINK: Final = re.compile(r'<a\b[^>]*\bhref="(/[^"?#]*)')
LISTS: Final = ("/", "/incidents", "/alerts", "/oncall", "/notifications", "/analytics", "/incidents?status=open")
TEAM: Final = {
    "team": "Payments",
    "rotation_type": "weekly",
    "services": ["checkout"],
    # A port at which nothing listens: the page fails, and can be sent again.
    "members": [
        {"name": "Bob", "email": "bob@example.org", "contacts": [{"channel": "webhook", "address": "http://x:9"}]}
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(postgres: Server, template_db: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    """A system with an open incident whose page has failed."""
    name = postgres.create(template=template_db)
    quick = {"GIVE_UP_TRIES": "1", "GIVE_UP_SECONDS": "1"}
    async with (
        closed_system(postgres.dsn(name), tmp_path_factory.mktemp("offered"), quick) as started,
        browser() as session,
    ):
        await create_admin(started, session)
        await create_accounts(started, "viewer", "responder")
        await started.call("POST", "oncall", "/api/v1/schedules", TEAM)
        alert = {"service": "checkout", "severity": "critical", "message": "p95 latency above 2 s"}
        await started.call("POST", "web", "/api/v1/alerts", alert)

        async def failed() -> bool:
            found = await started.call("GET", "notifications", "/api/v1/notifications?status=failed")
            return bool(found["items"])

        await eventually(failed, timeout=60)
        yield started
    postgres.drop(name)


async def route_of(app: web.Application, method: str, path: str) -> web.AbstractRoute:
    return (await app.router.resolve(make_mocked_request(method, path))).route


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RESPONDER, Role.ADMIN])
async def test_each_form_and_link_of_a_page_works_for_who_sees_it(closed: Closed, role: Role) -> None:
    app = application("web", Path(closed.keys.folder.parent))
    offered, refused = set(), []
    incident = (await closed.call("GET", "incidents", "/api/v1/incidents"))["items"][0]["number"]
    for page in (*LISTS, f"/incidents/{incident}"):
        url = closed.url("web", page)
        async with closed.system.session.get(url, headers=closed.bearer(role)) as response:
            assert response.status == 200
            text = await response.text()
        forms = [ACTION.search(form) for form in FORM.findall(text)]
        targets = [("POST", found[1]) for found in forms if found] + [("GET", path) for path in LINK.findall(text)]
        for method, path in targets:
            scope = scope_of(await route_of(app, method, path))
            assert scope is not None, (page, method, path)
            offered.add((method, re.sub(r"[0-9a-f-]{36}|\d+", "*", path)))
            if scope not in SCOPES[role]:
                refused.append((page, method, path))
    assert refused == []
    may_act = role is not Role.VIEWER
    for action in ("/incidents/*/acknowledge", "/incidents/*/notes", "/incidents/bulk", "/notifications/*/redeliver"):
        assert (("POST", action) in offered) is may_act, action
    assert (("GET", "/incidents/new") in offered) is may_act
    assert (("GET", "/oncall/new") in offered) is (role is Role.ADMIN)
