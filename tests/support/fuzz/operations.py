"""Every route of the five services with what is a valid request to it, and requests that are not quite valid."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random  # noqa: TID251 - a seed of its own makes a case repeatable
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web
from pydantic import BaseModel

from tests.support.fuzz import mutations
from tests.support.fuzz.examples import Examples
from tests.support.fuzz.exchange import Request
from tests.support.web.html import Form, Html
from tocsin.integrations import INTEGRATIONS
from tocsin.kernel.openapi import operation_of

T = TypeVar("T")
FORM: Final = "application/x-www-form-urlencoded"
ANY_METHOD: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
PARAMETER: Final = re.compile(r"\{(\w+)\}")
MAX_REMEMBERED: Final = 40
"""Forms, query strings and paths that are remembered of each route."""
UNSEEN_FORM: Final = Form("", "post", {"return_to": "/incidents?severity=low", "name": ""})
"""For a route whose form was on no page."""
HEAD_SHARE: Final = 0.05
KNOWN_SHARE: Final = 0.9
"""The share of forms that name whoever sends them, and so need no answer to the question of who that is."""
LISTED: Final = 3
"""The fewest values of a query parameter that is repeated."""


@dataclass
class Operation:
    """A route and the valid requests to it."""

    service: str
    method: str
    path: str
    """With `{name}` for each parameter."""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values of parameters that can have only these."""
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    payloads: tuple[bytes, ...] = ()
    """Captured bodies."""
    forms: list[Form] = field(default_factory=list)
    """Forms of pages that are sent to this route."""
    queries: list[list[tuple[str, str]]] = field(default_factory=list)
    """Query strings of links to this route."""
    paths: list[str] = field(default_factory=list)
    """Paths of links and forms to this route."""

    @property
    def name(self) -> str:
        """The operation's name in reports."""
        return f"{self.service} {self.method} {self.path}"

    @property
    def noun(self) -> str:
        """What its responses are about, such as `incident`."""
        return next((part for part in reversed(self.path.split("/")) if part.isalpha()), "").removesuffix("s")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the path of a request to it matches."""
        pattern = ""
        for number, part in enumerate(PARAMETER.split(self.path)):  # text, name, text, …
            value = "|".join(self.choices.get(part, ("[^/]+",)))
            pattern += f"(?:{value})" if number % 2 else re.escape(part)
        return re.compile(pattern)


def operations_of(apps: Mapping[str, web.Application]) -> list[Operation]:
    """Return the operations of *apps*, and those of the services through the gateway."""
    found = [operation for name, app in apps.items() for operation in _operations(name, app)]
    gateway = [operation for operation in found if operation.service == "web" and operation.method == "*"]
    own = [operation for operation in found if operation.method != "*"]
    prefixes = tuple(operation.path.partition("{rest}")[0] for operation in gateway)
    forwarded = [
        replace(operation, service="web")
        for operation in own
        if operation.service != "web" and operation.path.startswith(prefixes)
    ]
    return [*own, *forwarded, *gateway]


def _operations(service: str, app: web.Application) -> Iterator[Operation]:
    payloads = {found.path: tuple(payload.body for payload in found.payloads) for found in INTEGRATIONS.values()}
    for route in app.router.routes():
        resource = route.resource
        if resource is None or route.method == "HEAD":
            continue  # HEAD has the handler of GET
        pattern = resource.get_info().get("pattern")
        choices = dict(re.findall(r"\(\?P<(\w+)>([\w|]+\|[\w|]+)\)", pattern.pattern)) if pattern else {}
        described = operation_of(route.handler)
        path = resource.canonical
        yield Operation(
            service,
            route.method,
            path,
            choices={name: tuple(words.split("|")) for name, words in choices.items()},
            body=described.body if described else None,
            query=described.query if described else None,
            payloads=payloads.get(path, ()) if route.method == "POST" else (),
        )


def read_page(page: str, operations: list[Operation]) -> None:
    """Remember the forms and the links of *page* at the operations that they lead to."""
    html = Html.read(page)
    elements = [*html.elements("a"), *html.elements("link"), *html.elements("script")]
    addresses = [given.get("href") or given.get("src") or "" for given in elements]
    for form in [*html.forms, *(Form(address, "get") for address in addresses)]:
        parts = urlsplit(form.action)
        method = form.method.upper()
        found = [
            operation
            for operation in operations
            if (operation.service, operation.method) == ("web", method) and operation.pattern.fullmatch(parts.path)
        ]
        for operation in found[:1]:  # the first route that matches handles it
            _remember(operation.paths, parts.path)
            if method == "GET":
                _remember(operation.queries, [*parse_qsl(parts.query), *form.fields.items()])
            else:
                _remember(operation.forms, form)


def _remember(found: list[T], item: T) -> None:
    if item not in found:
        found.append(item)
        del found[:-MAX_REMEMBERED]


class Requests:
    """Makes requests to operations."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def valid(self, operation: Operation, rng: Random) -> Request:
        """Return a request as a client sends it."""
        return self._request(operation, rng, frozenset())

    def mutated(self, operation: Operation, rng: Random) -> Request:
        """Return a request with one to three faults, or sometimes none."""
        parts = ["path"] if "{" in operation.path else []
        parts += ["query"] * (3 if operation.query or operation.queries else 1)
        parts += ["body"] * (6 if operation.method in {"POST", "PUT", "PATCH"} else 0)
        parts += ["header"]
        return self._request(operation, rng, frozenset(rng.choice(parts) for _ in range(rng.randrange(4))))

    def _request(self, operation: Operation, rng: Random, faults: frozenset[str]) -> Request:
        query = self._query(operation, rng, fault="query" in faults)
        target = self._path(operation, rng, fault="path" in faults) + (f"?{query}" if query else "")
        kind, body = self._body(operation, rng, fault="body" in faults)
        headers = {"Content-Type": kind.encode()} if kind else {}
        if rng.random() < 0.2:
            headers["Idempotency-Key"] = b"key-%d" % rng.randrange(50)
        if "header" in faults:
            headers.update(mutations.header(rng) for _ in range(rng.randint(1, 3)))
        method = operation.method if operation.method != "*" else rng.choice(ANY_METHOD)
        method = "HEAD" if method == "GET" and rng.random() < HEAD_SHARE else method
        # The parser limits a line to 8,190 bytes.
        return Request(operation.service, method, target[:8_000], tuple(headers.items()), body)

    def _path(self, operation: Operation, rng: Random, *, fault: bool) -> str:
        if operation.paths and not fault and rng.random() < 0.7:
            return rng.choice(operation.paths)
        names = PARAMETER.findall(operation.path)
        wrong = rng.choice(names) if fault and names else None

        def parameter(match: re.Match[str]) -> str:
            name = match[1]
            if name == wrong:
                return mutations.quoted(mutations.text(rng)[:500], rng, safe=rng.choice(("", "/")))
            if name == "rest":
                return rng.choice(("", "/", "/summary", "/x", "/%2e%2e"))
            known = self._examples.known.pick(name, rng)
            return mutations.quoted(
                rng.choice(operation.choices.get(name, ())) if name in operation.choices else known or "x", rng
            )

        return PARAMETER.sub(parameter, operation.path)

    def _query(self, operation: Operation, rng: Random, *, fault: bool) -> str:
        pairs: list[tuple[str, str]] = []
        if operation.query is not None:
            example = self._examples.of(operation.query, rng)
            for name, value in example.items():
                if value is not None:
                    pairs += [(name, str(item)) for item in (value if isinstance(value, list) else [value])]
        elif operation.queries:
            pairs = list(rng.choice(operation.queries))
        if not fault:
            return urlencode(pairs)
        names = [name for name, _ in pairs] or list(
            operation.query.model_fields if operation.query else ("q", "cursor")
        )
        for _ in range(rng.randint(1, 2)):
            changed = (rng.choice(names), mutations.text(rng)[:2_000])
            if rng.random() < 0.1:
                changed = (mutations.text(rng)[:100], changed[1])
            pairs = [pair for pair in pairs if pair[0] != changed[0] or rng.random() < 0.2]
            pairs += [changed] * rng.choice((1, 1, 1, LISTED, 101))
        return "&".join(f"{mutations.quoted(name, rng)}={mutations.quoted(value, rng)}" for name, value in pairs)

    def _body(self, operation: Operation, rng: Random, *, fault: bool) -> tuple[str, bytes]:
        if operation.forms or (operation.service == "web" and not operation.path.startswith("/api/")):
            return (FORM, self._form(operation, rng, fault=fault)) if operation.method == "POST" else ("", b"")
        if operation.payloads and rng.random() < 0.5:
            given = json.loads(rng.choice(operation.payloads))
        elif operation.body is not None:
            given = self._examples.of(operation.body, rng)
        else:
            return ("application/json", b"{}") if fault else ("", b"")
        if not fault:
            return "application/json", json.dumps(given).encode()
        if rng.random() < 0.15:
            return "application/json", mutations.raw_bytes(json.dumps(given).encode(), rng)
        for _ in range(rng.randint(1, 2)):
            given = mutations.document(given, rng)
        return "application/json", mutations.json_bytes(given, rng)

    def _form(self, operation: Operation, rng: Random, *, fault: bool) -> bytes:
        form = rng.choice(operation.forms) if operation.forms else UNSEEN_FORM
        chosen = {name: rng.choice(values) for name, values in form.choices.items()}
        typed = {
            name: value or self._examples.text(name.rstrip("-0123456789"), rng) for name, value in form.fields.items()
        }
        fields = typed | chosen
        if rng.random() < KNOWN_SHARE:
            fields["actor"] = self._examples.text("actor", rng)
        if not fault:
            return urlencode(fields).encode()
        for _ in range(rng.randint(1, 3)):
            name = rng.choice([*fields, "return_to"])
            if rng.random() < 0.1:
                fields.pop(name, None)
            else:
                fields[mutations.text(rng)[:100] if rng.random() < 0.05 else name] = mutations.text(rng)
        encoded = "&".join(
            f"{mutations.quoted(name, rng)}={mutations.quoted(value, rng)}" for name, value in fields.items()
        )
        return mutations.raw_bytes(encoded.encode(), rng) if rng.random() < 0.1 else encoded.encode()
