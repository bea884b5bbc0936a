"""OpenAPI 3.1, from the route table and the models: handlers are described where they are written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.resources import files
from inspect import getdoc
from typing import Any, Final, TypeVar

from aiohttp import web
from apispec import APISpec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tocsin.kernel import build_info
from tocsin.kernel.health import SERVICE
from tocsin.kernel.problems import Problem

F = TypeVar("F", bound=Callable[..., Any])
Model = type[BaseModel]
REFS: Final = "#/components/schemas/{model}"
SWAGGER: Final = files("tocsin.kernel") / "static" / "swagger-ui"
DOCS_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a handler takes and answers."""

    answers: Mapping[HTTPStatus, Model]
    body: Model | None = None
    query: Model | None = None
    problems: tuple[HTTPStatus, ...] = ()
    headers: tuple[str, ...] = ()
    media_type: str = "application/json"
    internal: bool = False
    """Between our own services: described as such, not forwarded by the gateway."""


@dataclass(slots=True)
class _Cache:
    document: dict[str, Any] = field(default_factory=dict)


_OPERATIONS: Final[dict[Any, Operation]] = {}
CACHE = web.AppKey("OPENAPI", _Cache)
SCHEMAS = web.AppKey[Mapping[str, Any]]("OPENAPI_SCHEMAS")
"""Schemas by component name that an application knows better than the models do, such as registered names."""


def new_cache() -> _Cache:
    """Return a place for an application's document."""
    return _Cache()


def describes(
    answers: Model | Mapping[HTTPStatus, Model],
    *,
    body: Model | None = None,
    query: Model | None = None,
    problems: tuple[HTTPStatus, ...] = (),
    headers: tuple[str, ...] = (),
    media_type: str = "application/json",
    internal: bool = False,
) -> Callable[[F], F]:
    """Say what a handler takes and answers; its docstring says the rest. Problems 400, 422, 503 are understood."""
    found = answers if isinstance(answers, Mapping) else {HTTPStatus.OK: answers}

    def remember(handler: F) -> F:
        _OPERATIONS[handler] = Operation(found, body, query, problems, headers, media_type, internal)
        return handler

    return remember


def operation_of(handler: Any) -> Operation | None:
    """Return what was said of a handler."""
    return _OPERATIONS.get(handler)


def document(app: web.Application) -> dict[str, Any]:
    """Build the OpenAPI document of *app*'s described routes."""
    spec = APISpec(
        title=f"Tocsin {app[SERVICE]}",
        version=build_info.VERSION,
        openapi_version="3.1.0",
        info={"license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
    )
    routes = [(route, operation_of(route.handler)) for route in app.router.routes()]
    described = [
        (route, operation) for route, operation in routes if operation is not None and route.resource is not None
    ]
    _add_schemas(spec, [operation for _, operation in described], known=app.get(SCHEMAS, {}))
    for route, operation in described:
        if route.resource is not None and route.method != "HEAD":
            spec.path(route.resource.canonical, operations={route.method.lower(): _operation(route, operation)})
    return spec.to_dict()


def _add_schemas(spec: APISpec, operations: list[Operation], *, known: Mapping[str, Any]) -> None:
    models: dict[tuple[Any, Any], None] = {(Problem, "serialization"): None}
    for operation in operations:
        models.update({(model, "serialization"): None for model in operation.answers.values()})
        if operation.body is not None:
            models[operation.body, "validation"] = None
    refs, schema = models_json_schema(list(models), ref_template=REFS)
    for name, definition in schema.get("$defs", {}).items():
        spec.components.schema(name, known.get(name, definition))
    _REFS.update(refs)


_REFS: Final[dict[tuple[Any, Any], dict[str, Any]]] = {}


def _operation(route: web.AbstractRoute, operation: Operation) -> dict[str, Any]:
    doc = (getdoc(route.handler) or "").split("\n\n", 1)
    answers: dict[str, Any] = {
        str(int(status)): {
            "description": status.phrase,
            "content": {operation.media_type: {"schema": _REFS[model, "serialization"]}},
        }
        for status, model in operation.answers.items()
    }
    usual = [HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE]
    if operation.body is not None:
        usual += [
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ]
    for status in (*usual, *operation.problems):
        answers[str(int(status))] = {
            "description": status.phrase,
            "content": {"application/problem+json": {"schema": _REFS[Problem, "serialization"]}},
        }
    built: dict[str, Any] = {
        "summary": doc[0].replace("\n", " "),
        "description": doc[1] if len(doc) > 1 else "",
        "tags": ["internal" if operation.internal else "api"],
        "parameters": [*_path_parameters(route), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": answers,
    }
    if operation.body is not None:
        schema = _REFS[operation.body, "validation"]
        built["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return built


def _path_parameters(route: web.AbstractRoute) -> list[dict[str, Any]]:
    info = route.resource.get_info() if route.resource is not None else {}
    pattern = info.get("pattern")
    names = list(pattern.groupindex) if pattern is not None else []
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=REFS)
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
    """Answer with the OpenAPI document, built once."""
    cache = request.app[CACHE]
    if not cache.document:
        cache.document = document(request.app)
    return web.json_response(cache.document)


PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>API of Tocsin</title>
<link rel="stylesheet" href="/docs/static/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="/docs/static/swagger-ui-bundle.js"></script><script src="/docs/static/start.js"></script></body></html>
"""


async def get_docs(_request: web.Request) -> web.Response:
    """Show the API for reading and trying out."""
    return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": DOCS_CSP})


def documentation_routes() -> list[web.AbstractRouteDef]:
    """Return the routes that every service has for its description."""
    return [
        web.get("/openapi.json", get_openapi),
        web.get("/docs", get_docs),
        web.static("/docs/static", str(SWAGGER)),
    ]
