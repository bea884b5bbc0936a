"""Route definitions with the scope that a caller needs. An application with a route without a scope does not start."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from aiohttp import hdrs, web

from tocsin.kernel.principal import Scope

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SCOPES: Final[WeakKeyDictionary[web.AbstractRoute, Scope]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Route(web.AbstractRouteDef):
    """A route definition with the scope that a caller needs."""

    method: str
    path: str
    handler: Handler
    scope: Scope
    options: Mapping[str, Any] = field(default_factory=dict)

    def register(self, router: web.UrlDispatcher) -> list[web.AbstractRoute]:
        """Register the route and its scope."""
        routes = web.RouteDef(self.method, self.path, self.handler, dict(self.options)).register(router)
        return _remember(routes, self.scope)


def _remember(routes: list[web.AbstractRoute], scope: Scope) -> list[web.AbstractRoute]:
    for route in routes:
        _SCOPES[route] = scope
        if route.method == hdrs.METH_GET and route.resource is not None:
            _SCOPES.update({head: scope for head in route.resource if head.method == hdrs.METH_HEAD})
    return routes


def get(path: str, handler: Handler, *, scope: Scope, name: str | None = None, allow_head: bool = True) -> Route:
    """Return a route for GET, and for HEAD unless *allow_head* is false."""
    return Route(hdrs.METH_GET, path, handler, scope, {"name": name, "allow_head": allow_head})


def post(path: str, handler: Handler, *, scope: Scope, name: str | None = None) -> Route:
    """Return a route for POST."""
    return Route(hdrs.METH_POST, path, handler, scope, {"name": name})


def put(path: str, handler: Handler, *, scope: Scope, name: str | None = None) -> Route:
    """Return a route for PUT."""
    return Route(hdrs.METH_PUT, path, handler, scope, {"name": name})


def patch(path: str, handler: Handler, *, scope: Scope, name: str | None = None) -> Route:
    """Return a route for PATCH."""
    return Route(hdrs.METH_PATCH, path, handler, scope, {"name": name})


def delete(path: str, handler: Handler, *, scope: Scope, name: str | None = None) -> Route:
    """Return a route for DELETE."""
    return Route(hdrs.METH_DELETE, path, handler, scope, {"name": name})


def any_method(path: str, handler: Handler, *, scope: Scope, name: str | None = None) -> Route:
    """Return a route for every method."""
    return Route(hdrs.METH_ANY, path, handler, scope, {"name": name})


def scope_of(route: web.AbstractRoute) -> Scope | None:
    """Return the scope of *route*; None for aiohttp's own 404 and 405."""
    return _SCOPES.get(route)


async def require_scopes(app: web.Application) -> None:
    """Raise RuntimeError if a route of *app* has no scope (a start-up callback)."""
    missing = [f"{route.method} {route.resource}" for route in app.router.routes() if route not in _SCOPES]
    if missing:
        msg = f"routes without a scope: {', '.join(missing)}; define them with tocsin.kernel.routing"
        raise RuntimeError(msg)
