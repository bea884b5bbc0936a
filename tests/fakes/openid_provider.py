"""An OpenID provider that speaks real HTTP: it signs, checks what a client has to prove, and can misbehave."""

import asyncio
from base64 import b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, Final, Self, TypeAlias
from urllib.parse import unquote_plus, urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import Key, RSAKey

from tests.support.ports import free_port
from tocsin.kernel import clock

CLIENT_ID: Final = "tocsin at home"
CLIENT_SECRET: Final = "p+q/r=s~t u%v"  # noqa: S105 - of a made-up provider
ADA: Final = {
    "sub": "f:7c1d/ada",
    "email": "Ada@example.org",
    "email_verified": True,
    "name": "Ada Lovelace",
    "groups": ["sre", "everybody"],
}
FORM: Final = """<!doctype html><html lang="en"><title>Halyard</title><main><h1>Who are you?</h1>
<form method="post"><button>I am {name}</button></form></main></html>"""
Behaviour: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Granted:
    """What a code stands for."""

    query: Mapping[str, str]
    person: Mapping[str, Any]


class FakeOpenIDProvider:
    """Logs in `person`, at once or after a form."""

    def __init__(self, *, redirect_uri: str = "") -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}/realms/halyard"
        self.redirect_uri = redirect_uri
        self.person: dict[str, Any] = dict(ADA)
        self.shows_form = False
        self.keys: list[Key] = [new_key("first")]
        """The published keys; the first one signs."""
        self.claims: dict[str, Any] = {}
        """Replaces claims of ID tokens; None removes one."""
        self.metadata: dict[str, Any] = {}
        """Replaces what discovery states; None removes it."""
        self.answer: dict[str, str] = {}
        """Replaces parameters with which browsers are sent back."""
        self.sign: Callable[[dict[str, Any]], str] = self._sign
        self.behaviours: dict[str, Behaviour] = {}
        """By the last part of a path: what happens instead."""
        self.asked: Counter[str] = Counter()
        """Requests by the last part of their path."""
        self.refused: list[str] = []
        """Why requests were refused."""
        self._codes: dict[str, Granted] = {}
        self._tokens: dict[str, Mapping[str, Any]] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Listen for the duration of the block."""
        app = web.Application(middlewares=[self._middleware()])
        base = "/realms/halyard"
        app.add_routes(
            [
                web.get(f"{base}/.well-known/openid-configuration", self._discovery),
                web.get(f"{base}/keys", self._jwks),
                web.get(f"{base}/authorize", self._authorize),
                web.post(f"{base}/authorize", self._authorize),
                web.post(f"{base}/token", self._token),
                web.get(f"{base}/userinfo", self._userinfo),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    def _middleware(self) -> Any:
        @web.middleware
        async def answer(request: web.Request, handler: Any) -> web.StreamResponse:
            part = request.path.rpartition("/")[2]
            self.asked[part] += 1
            response: web.StreamResponse = await self.behaviours.get(part, handler)(request)
            return response

        return answer

    async def _discovery(self, _request: web.Request) -> web.Response:
        stated = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response(without_none(stated | self.metadata))

    async def _jwks(self, _request: web.Request) -> web.Response:
        published = [key.as_dict(private=False) for key in self.keys]
        strange = [
            {"kty": "AKP", "kid": "from the future"},
            {"kty": "RSA", "n": "?"},
            "no key",
            {"kty": "oct", "k": "AA"},
        ]
        return web.json_response({"keys": [*strange, *published]})

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        expected = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": self.redirect_uri,
            "code_challenge_method": "S256",
        }
        wrong = [name for name, value in expected.items() if query.get(name) != value]
        wrong += [name for name in ("state", "nonce", "code_challenge") if len(query.get(name, "")) < 43]
        if wrong or "openid" not in query["scope"].split():
            self.refused.append(f"authorize: {wrong}")
            return web.Response(status=400, text=f"wrong: {wrong}")
        if self.shows_form and request.method == "GET":
            return web.Response(text=FORM.format(name=self.person["name"]), content_type="text/html")
        code = token_urlsafe(24)
        self._codes[code] = Granted(query, dict(self.person))
        back = {"code": code, "state": query["state"], "iss": self.issuer} | self.answer
        location = f"{self.redirect_uri}?{urlencode(without_none(back))}"
        return web.Response(status=303, headers={"Location": location})

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if self._client_of(request, form) != (CLIENT_ID, CLIENT_SECRET):
            return self._refuse("invalid_client", 401)
        granted = self._codes.pop(form["code"], None)
        if granted is None or form["redirect_uri"] != granted.query["redirect_uri"]:
            return self._refuse("invalid_grant", 400)
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if challenge != granted.query["code_challenge"]:
            return self._refuse("invalid_grant", 400)
        now = int(clock.now().timestamp())
        stated = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "nonce": granted.query["nonce"],
            "iat": now,
            "exp": now + 300,
            **granted.person,
        }
        access_token = token_urlsafe(24)
        self._tokens[access_token] = granted.person
        return web.json_response(
            {
                "id_token": self.sign(without_none(stated | self.claims)),
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": 300,
            }
        )

    async def _userinfo(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return web.json_response(self._tokens[token])

    def _client_of(self, request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return form.get("client_id", ""), form.get("client_secret", "")
        name, _, secret = b64decode(given).decode().partition(":")
        return unquote_plus(name), unquote_plus(secret)

    def _refuse(self, error: str, status: int) -> web.Response:
        self.refused.append(error)
        return web.json_response({"error": error, "error_description": "no"}, status=status)

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.keys[0].kid}, claims, self.keys[0], algorithms=["RS256"])


def new_key(name: str) -> RSAKey:
    """Return a new RSA key."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


def without_none(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return *given* without what is None."""
    return {name: value for name, value in given.items() if value is not None}


def returns(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Respond with *status* and *body*."""

    async def respond(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return respond


async def never_responds(_request: web.Request) -> web.StreamResponse:
    """Respond to nothing until the server ends."""
    await asyncio.Event().wait()
    raise AssertionError


async def without_end(request: web.Request) -> web.StreamResponse:
    """Send a body without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 65_536)
