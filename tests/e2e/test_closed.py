"""Closed mode on five real processes: who gets in, as whom, and until when."""

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from yarl import URL

from tests.support.e2e.closed import ADMIN, PASSWORD, Closed, browser
from tests.support.e2e.system import World
from tests.support.system import System
from tests.support.waiting import eventually
from tocsin.kernel import tasks

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
PLANTED = 43 * "A"
WRONG = "wrong horse battery staple"
PAGES = ("/", "/incidents", "/incidents/1", "/alerts", "/oncall", "/notifications", "/analytics")
ALERT = {"service": "checkout", "severity": "critical", "message": "p95 latency above 2 s"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def team(closed: Closed, shared_world: World) -> None:
    """Pages go to `shared_world`."""
    await closed.call("POST", "oncall", "/api/v1/schedules", shared_world.team)


async def log_in(closed: Closed, session: ClientSession, *, password: str = PASSWORD, page: str = "/") -> int:
    form = {"email": ADMIN["email"], "password": password, "return_to": page}
    return (await closed.post_form(session, "/login", **form)).status


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_requires_a_log_in_and_is_shown_after_it(closed: Closed, path: str) -> None:
    async with browser() as session:
        async with session.get(closed.url("web", path), allow_redirects=False) as response:
            assert response.status == 303
            location = response.headers["Location"]
        async with session.get(closed.url("web", location)) as form:
            assert form.status == 200
            assert 'name="password"' in await form.text()
        assert await log_in(closed, session, page=path) == 303
        async with session.get(closed.url("web", path)) as shown:
            assert shown.status in {200, 404}  # there may be no incident yet
            assert 'action="/logout"' in await shown.text()


async def test_a_log_in_begins_a_session_of_its_own_and_a_log_out_ends_it_on_the_server(closed: Closed) -> None:
    async with browser() as session:
        session.cookie_jar.update_cookies({"tocsin_session": PLANTED}, URL(closed.url("web", "/")))
        assert await log_in(closed, session) == 303
        secret = next(cookie.value for cookie in session.cookie_jar if cookie.key == "tocsin_session")
        assert secret != PLANTED
        assert (await closed.post_form(session, "/logout")).status == 303
        assert not [cookie for cookie in session.cookie_jar if cookie.key == "tocsin_session"]
    async with browser() as thief:
        for stolen in (secret, PLANTED):
            thief.cookie_jar.update_cookies({"tocsin_session": stolen}, URL(closed.url("web", "/")))
            async with thief.get(closed.url("web", "/api/v1/incidents")) as response:
                assert response.status == 401


async def test_a_wrong_password_is_refused_without_saying_what_was_wrong(closed: Closed) -> None:
    texts = set()
    async with browser() as session:
        for email in (ADMIN["email"], "nobody@example.org"):
            response = await closed.post_form(session, "/login", email=email, password=WRONG)
            assert response.status == 401
            texts.add((await response.text()).replace(email, ""))
    assert len(texts) == 1


async def test_what_a_person_does_is_recorded_under_the_name_of_the_account(closed: Closed) -> None:
    alert = await closed.call("POST", "web", "/api/v1/alerts", {**ALERT, "service": "named"}, by="sender")

    async def correlated() -> str:
        stored = await closed.call("GET", "web", f"/api/v1/alerts/{alert['alert_id']}")
        return str(stored["incident_id"] or "")

    incident = f"/api/v1/incidents/{await eventually(correlated)}"
    claimed = {"status": "acknowledged", "actor": "The CEO"}
    for service, by in (("web", "responder"), ("incidents", "admin")):
        headers = {**closed.bearer(by), "X-Actor": "The CEO"}
        async with closed.system.session.patch(
            closed.url(service, incident), json=claimed, headers=headers
        ) as response:
            assert response.status == 200, await response.text()
        claimed = {"notes": "mended", "actor": "The CEO"}
    actors = {entry["actor"] for entry in (await closed.call("GET", "web", incident))["timeline"]}
    assert {"The responder", "Ada"} <= actors
    assert "The CEO" not in actors

    async with browser() as session:
        assert await log_in(closed, session) == 303
        number = (await closed.call("GET", "web", incident))["number"]
        response = await closed.post_form(session, f"/incidents/{number}/notes", text="by a form", actor="The CEO")
        assert response.status == 303, await response.text()
    entries = (await closed.call("GET", "web", incident))["timeline"]
    assert {entry["actor"] for entry in entries if "by a form" in entry["detail"]} == {"Ada"}


async def test_a_page_reaches_a_person_although_every_service_requires_a_signature(
    closed: Closed, shared_world: World
) -> None:
    alert = await closed.call("POST", "alerts", "/api/v1/alerts", {**ALERT, "service": "paged"}, by="sender")

    async def correlated() -> str:
        stored = await closed.call("GET", "alerts", f"/api/v1/alerts/{alert['alert_id']}", by="viewer")
        return str(stored["incident_id"] or "")

    await shared_world.first_page(await eventually(correlated))


async def test_a_stream_ends_with_its_log_in(closed: Closed) -> None:
    async with browser() as session:
        assert await log_in(closed, session) == 303
        async with session.get(closed.url("web", "/api/v1/incidents/stream")) as stream:
            assert stream.status == 200
            assert (await stream.content.readline()).startswith(b"id:")
            assert (await closed.post_form(session, "/logout")).status == 303

            async def end() -> None:
                while await stream.content.readline():
                    pass

            async with tasks.timeout(60):
                with pytest.raises(Exception, match=r"closed|payload|reset"):
                    await end()


async def test_a_revoked_token_and_a_disabled_account_are_refused_everywhere(closed: Closed) -> None:
    account = await closed.call(
        "POST", "web", "/api/v1/accounts", {"kind": "service", "name": "Gone", "role": "viewer"}
    )
    path = f"/api/v1/accounts/{account['id']}"
    token = await closed.call("POST", "web", f"{path}/tokens", {"name": "short"})
    closed.tokens["gone"] = token["token"]
    await closed.call("GET", "web", "/api/v1/incidents", by="gone")
    await closed.call("DELETE", "web", f"{path}/tokens/{token['id']}")
    await closed.call("GET", "web", "/api/v1/incidents", by="gone", status=401)
    await closed.call("GET", "incidents", "/api/v1/incidents", by="gone", status=401)
    again = await closed.call("POST", "web", f"{path}/tokens", {"name": "long"})
    closed.tokens["gone"] = again["token"]
    await closed.call("PATCH", "web", path, {"disabled": True})
    await closed.call("GET", "web", "/api/v1/incidents", by="gone", status=401)


async def test_a_token_never_may_more_than_its_account_and_creates_no_other(closed: Closed) -> None:
    path = "/api/v1/account/tokens"
    async with browser() as session:
        assert await log_in(closed, session) == 303
        async with session.post(closed.url("web", path), json={"name": "reader", "scopes": ["read"]}) as response:
            assert response.status == 201
            closed.tokens["reader"] = (await response.json())["token"]
    assert (await closed.call("GET", "web", "/api/v1/account", by="reader"))["scopes"] == ["forward", "public", "read"]
    await closed.call("PATCH", "web", "/api/v1/incidents/1", {"notes": "x"}, by="reader", status=403)
    await closed.call("POST", "web", path, {"name": "more"}, by="reader", status=403)
    await closed.call("POST", "web", path, {"name": "more"}, by="admin", status=403)
    program = await closed.call("POST", "web", "/api/v1/accounts", {"kind": "service", "name": "P", "role": "viewer"})
    more = {"name": "more", "scopes": ["read", "respond"]}
    await closed.call("POST", "web", f"/api/v1/accounts/{program['id']}/tokens", more, status=422)


async def test_the_last_admin_stays(closed: Closed) -> None:
    own = await closed.call("GET", "web", "/api/v1/account")
    for change in ({"role": "viewer"}, {"disabled": True}):
        await closed.call("PATCH", "web", f"/api/v1/accounts/{own['id']}", change, status=409)


async def test_there_is_no_second_first_admin(closed: Closed) -> None:
    await closed.setup_link(status=409)
    for path in ("/setup", "/setup?key=", f"/setup?key={PLANTED}"):
        await closed.call("GET", "web", path, by=None, status=404)


async def test_acknowledging_goes_on_while_the_web_service_is_away(closed: Closed, system_of: System) -> None:
    alert = await closed.call("POST", "alerts", "/api/v1/alerts", {**ALERT, "service": "away"}, by="sender")

    async def correlated() -> str:
        stored = await closed.call("GET", "alerts", f"/api/v1/alerts/{alert['alert_id']}", by="viewer")
        return str(stored["incident_id"] or "")

    incident = f"/api/v1/incidents/{await eventually(correlated)}"
    await closed.call("GET", "incidents", incident, by="responder")
    await system_of["web"].kill()
    try:
        await closed.call("PATCH", "incidents", incident, {"status": "acknowledged"}, by="responder")
        await closed.call("GET", "incidents", incident, by=None, status=401)
    finally:
        await system_of["web"].start()


@pytest.fixture
def system_of(closed: Closed) -> System:
    return closed.system
