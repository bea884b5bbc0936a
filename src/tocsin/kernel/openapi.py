"""OpenAPI 3.1, built from the routes, the models and the `describes` decorator of each handler."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.resources import files
from inspect import getdoc
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from tocsin.kernel import build_info, routing
from tocsin.kernel.authentication import AUTHENTICATOR, ClosedAuthenticator
from tocsin.kernel.health import SERVICE
from tocsin.kernel.principal import Scope
from tocsin.kernel.problems import Problem

F = TypeVar("F", bound=Callable[..., Any])
Model: TypeAlias = type[BaseModel]
SchemaRefs: TypeAlias = Mapping[Any, Mapping[str, Any]]
"""References to schemas, by model and mode."""
REF_TEMPLATE: Final = "#/components/schemas/{model}"
TOKEN: Final = "token"  # noqa: S105 - the name of the security scheme
SWAGGER_FILES: Final = {
    file.name: Path(str(file)) for file in (files("tocsin.kernel") / "static" / "swagger-ui").iterdir()
}
"""By name: a name from outside never becomes a path, which may be too long for the file system."""
DOCS_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Operation:
    """The requests and responses of a handler."""

    responses: Mapping[HTTPStatus, Model]
    body: Model | None = None
    query: Model | None = None
    problems: tuple[HTTPStatus, ...] = ()
    headers: tuple[str, ...] = ()
    media_type: str = "application/json"
    internal: bool = False
    """Called by our own services only: tagged `internal` and not forwarded by the gateway."""


@dataclass(slots=True)
class _Cache:
    document: dict[str, Any] = field(default_factory=dict)


_OPERATIONS: Final[dict[Any, Operation]] = {}
CACHE = web.AppKey("OPENAPI", _Cache)
SCHEMAS = web.AppKey[Mapping[str, Any]]("OPENAPI_SCHEMAS")
"""Schemas by component name that replace the models' own, such as the names of a registry."""


def new_cache() -> _Cache:
    """Return an empty cache for an application's document."""
    return _Cache()


def describes(
    responses: Model | Mapping[HTTPStatus, Model],
    *,
    body: Model | None = None,
    query: Model | None = None,
    problems: tuple[HTTPStatus, ...] = (),
    headers: tuple[str, ...] = (),
    media_type: str = "application/json",
    internal: bool = False,
) -> Callable[[F], F]:
    """Describe the handler's requests and responses; its docstring is the description.

    422 and 503 are implied, and 401 and 403 unless everybody may use the route.
    """
    found = responses if isinstance(responses, Mapping) else {HTTPStatus.OK: responses}

    def register(handler: F) -> F:
        _OPERATIONS[handler] = Operation(found, body, query, problems, headers, media_type, internal)
        return handler

    return register


def operation_of(handler: Any) -> Operation | None:
    """Return the description of *handler*, if it has one."""
    return _OPERATIONS.get(handler)


def document(app: web.Application) -> dict[str, Any]:
    """Build the OpenAPI document of *app*'s described routes."""
    routes = [(route, operation_of(route.handler)) for route in app.router.routes()]
    described = [
        (route, route.resource, operation)
        for route, operation in routes
        if operation is not None and route.resource is not None and route.method != "HEAD"
    ]
    refs, schemas = _schemas([operation for _, _, operation in described], known=app.get(SCHEMAS, {}))
    paths: dict[str, dict[str, Any]] = {}
    for route, resource, operation in described:
        paths.setdefault(resource.canonical, {})[route.method.lower()] = _operation(route, operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Tocsin {app[SERVICE]}",
            "version": build_info.VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {TOKEN: {"type": "http", "scheme": "bearer"}}},
        "security": [{TOKEN: []}] if isinstance(app[AUTHENTICATOR], ClosedAuthenticator) else [{}, {TOKEN: []}],
    }


def _schemas(operations: list[Operation], *, known: Mapping[str, Any]) -> tuple[SchemaRefs, dict[str, Any]]:
    """Return a reference to the schema of each model in each mode, and the schemas by name."""
    models: dict[tuple[Model, JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        models.update({(model, "serialization"): None for model in operation.responses.values()})
        if operation.body is not None:
            models[operation.body, "validation"] = None
    refs, schema = models_json_schema(list(models), ref_template=REF_TEMPLATE)
    return refs, {name: known.get(name, definition) for name, definition in schema.get("$defs", {}).items()}


def _operation(route: web.AbstractRoute, operation: Operation, refs: SchemaRefs) -> dict[str, Any]:
    summary, _, description = (getdoc(route.handler) or "").partition("\n\n")
    built: dict[str, Any] = {
        "summary": summary.replace("\n", " "),
        "description": description,
        "tags": ["internal" if operation.internal else "api"],
        "parameters": [*_path_parameters(route), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": _responses(route, operation, refs),
    }
    if routing.scope_of(route) is Scope.PUBLIC:
        built["security"] = []
    if operation.body is not None:
        schema = refs[operation.body, "validation"]
        built["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return built


def _responses(route: web.AbstractRoute, operation: Operation, refs: SchemaRefs) -> dict[str, Any]:
    problems = [HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE]
    if routing.scope_of(route) is not Scope.PUBLIC:
        problems += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    if operation.body is not None:
        problems += [
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ]
    responses = {
        status: (operation.media_type, refs[model, "serialization"]) for status, model in operation.responses.items()
    }
    responses |= dict.fromkeys(
        (*problems, *operation.problems), ("application/problem+json", refs[Problem, "serialization"])
    )
    return {
        str(int(status)): {"description": status.phrase, "content": {media_type: {"schema": schema}}}
        for status, (media_type, schema) in responses.items()
    }


def _path_parameters(route: web.AbstractRoute) -> list[dict[str, Any]]:
    info = route.resource.get_info() if route.resource is not None else {}
    pattern = info.get("pattern")
    names = list(pattern.groupindex) if pattern is not None else []
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=REF_TEMPLATE)
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _inlined(item, definitions)}
        for name, item in schema.get("properties", {}).items()
    ]


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    return schema


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}} for name in operation.headers
    ]


async def get_openapi(request: web.Request) -> web.Response:
    """Return the OpenAPI document, built once."""
    cache = request.app[CACHE]
    if not cache.document:
        cache.document = document(request.app)
    return web.json_response(cache.document)


DOCS_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>API of Tocsin</title>
<link rel="stylesheet" href="/docs/static/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="/docs/static/swagger-ui-bundle.js"></script><script src="/docs/static/start.js"></script></body></html>
"""


async def get_docs(_request: web.Request) -> web.Response:
    """Return Swagger UI."""
    return web.Response(text=DOCS_PAGE, content_type="text/html", headers={"Content-Security-Policy": DOCS_CSP})


async def get_docs_file(request: web.Request) -> web.FileResponse:
    """Return a file of Swagger UI."""
    found = SWAGGER_FILES.get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    return web.FileResponse(found)


def documentation_routes(get_document: routing.Handler) -> list[web.AbstractRouteDef]:
    """Return the routes of the API documentation; *get_document* handles `/openapi.json`."""
    return [
        routing.get("/openapi.json", get_document, scope=Scope.PUBLIC),
        routing.get("/docs", get_docs, scope=Scope.PUBLIC),
        routing.get("/docs/static/{name}", get_docs_file, scope=Scope.PUBLIC),
    ]
