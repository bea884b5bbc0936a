"""The principal of a request, the actor, and the scopes of routes."""

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from aiohttp.test_utils import make_mocked_request

from tocsin.kernel.app import base_app
from tocsin.kernel.auth import PRINCIPAL, actor_of, open_principal, service_principal
from tocsin.kernel.authentication import AUTHENTICATOR, Authenticator
from tocsin.kernel.middlewares import auth_middleware
from tocsin.kernel.principal import UNSIGNED, Principal, PrincipalKind, Scope
from tocsin.kernel.routing import any_method, delete, get, patch, post, put, scope_of
from tocsin.kernel.service_keys import SERVICE_KEYS
from tocsin.kernel.settings import ProcessSettings

ADA = Principal(PrincipalKind.PERSON, "Ada", frozenset({Scope.READ}))


def request_of(principal: Principal | None = None, actor: str | None = None) -> web.Request:
    request = make_mocked_request("POST", "/", {} if actor is None else {"X-Actor": actor})
    request[PRINCIPAL] = principal or open_principal(request, UNSIGNED)
    return request


@pytest.mark.parametrize(
    ("header", "reported", "actor"),
    [
        (None, None, "api"),
        ("Eve", None, "Eve"),
        ("Eve", "Ada", "Ada"),
        (None, "Ada", "Ada"),
        ("  ", "", "api"),
        (300 * "x", None, 256 * "x"),
    ],
)
def test_without_access_control_the_actor_is_the_one_that_the_request_names(
    header: str | None, reported: str | None, actor: str
) -> None:
    assert actor_of(request_of(actor=header), reported) == actor


def test_an_authenticated_principal_is_the_actor_whatever_the_request_names() -> None:
    assert actor_of(request_of(ADA, "The CEO"), "The CEO") == "Ada"


def test_a_service_reports_who_acted() -> None:
    service = Principal(PrincipalKind.SERVICE, "web-ui", frozenset({Scope.SERVICE}))
    assert actor_of(request_of(service), "Ada") == "Ada"
    assert actor_of(request_of(service)) == "web-ui"


def test_a_service_that_names_nobody_acts_like_an_unsigned_call() -> None:
    assert actor_of(request_of(service_principal(request_of()))) == actor_of(request_of())


def test_the_key_of_a_retry_is_the_same_whether_the_release_signs_or_not() -> None:
    assert service_principal(request_of()).key_scope == open_principal(request_of(), UNSIGNED).key_scope


def test_two_principals_may_use_the_same_idempotency_key() -> None:
    eve = Principal(PrincipalKind.PERSON, "Eve", frozenset())
    assert len({ADA.key_scope, eve.key_scope, open_principal(request_of(), UNSIGNED).key_scope}) == 3
    assert (
        open_principal(request_of(actor="Eve"), UNSIGNED).key_scope == open_principal(request_of(), UNSIGNED).key_scope
    )


async def handler(_request: web.Request) -> web.Response:
    return web.Response()


def test_every_route_has_the_scope_of_its_definition() -> None:
    app = web.Application()
    app.add_routes(
        [
            get("/a", handler, scope=Scope.READ),
            post("/a", handler, scope=Scope.RESPOND),
            put("/a", handler, scope=Scope.MANAGE, name="a"),
            patch("/b", handler, scope=Scope.RESPOND),
            delete("/b", handler, scope=Scope.ADMIN),
            get("/c", handler, scope=Scope.READ, allow_head=False),
            any_method("/d", handler, scope=Scope.FORWARD),
        ]
    )
    found = {
        (route.method, route.resource.canonical): scope_of(route) for route in app.router.routes() if route.resource
    }
    assert found == {
        ("HEAD", "/a"): Scope.READ,
        ("GET", "/a"): Scope.READ,
        ("POST", "/a"): Scope.RESPOND,
        ("PUT", "/a"): Scope.MANAGE,
        ("PATCH", "/b"): Scope.RESPOND,
        ("DELETE", "/b"): Scope.ADMIN,
        ("GET", "/c"): Scope.READ,
        ("*", "/d"): Scope.FORWARD,
    }


async def test_an_application_with_a_route_without_a_scope_does_not_start() -> None:
    app = base_app(ProcessSettings.model_validate({}), service="things")
    app.add_routes([get("/good", handler, scope=Scope.READ), web.get("/bad", handler)])
    runner = web.AppRunner(app)
    with pytest.raises(RuntimeError, match=r"routes without a scope: .*GET .*/bad"):
        await runner.setup()
    await runner.cleanup()


class EverybodyIsAda(Authenticator):
    async def principal_of(self, _request: web.Request) -> Principal:
        return ADA


async def test_a_request_without_the_routes_scope_is_refused(aiohttp_client: AiohttpClient) -> None:
    app = base_app(ProcessSettings.model_validate({}), service="things")
    app[AUTHENTICATOR] = EverybodyIsAda(app[SERVICE_KEYS])
    app.add_routes([get("/a", handler, scope=Scope.READ), post("/a", handler, scope=Scope.RESPOND)])
    assert auth_middleware in app.middlewares
    client = await aiohttp_client(app)
    assert (await client.get("/a")).status == 200
    assert (await client.head("/a")).status == 200
    assert (await client.get("/nowhere")).status == 404
    async with client.post("/a") as response:
        assert response.status == 403
        assert (await response.json())["detail"] == "This requires the scope respond, which Ada does not have."
