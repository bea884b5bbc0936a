"""The signatures by which our services recognise each other's calls.

Each service has an Ed25519 key of its own, and the public keys of all services are in one folder. A call carries a JSON
Web Token (RFC 7519) that names the caller, the called service and the time at which it expires.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from tocsin.kernel import clock
from tocsin.kernel.errors import ConfigurationError, UnauthenticatedError
from tocsin.kernel.ip_addresses import parse_address
from tocsin.kernel.principal import CLIENT_ADDRESS, ON_BEHALF_OF, Principal, Scope
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.shared_time import SharedTime

SCHEME: Final = "Tocsin-Service"
"""The authentication scheme (RFC 9110, section 11.1) of a call between our services."""
ALGORITHMS: Final = ("Ed25519",)
LIFETIME_SECONDS: Final = 60
"""How long a token is valid."""
REUSE_SECONDS: Final = 5
"""How long a token is reused for calls of the same service. A signature costs as much as a small call."""
AHEAD_SECONDS: Final = 30
"""How far the caller's time may be ahead of ours: a token that is valid for longer was not made by our rules."""
RELOAD_SECONDS: Final = 1.0
"""The shortest time between two readings of the folder of public keys."""
MAX_TOKEN: Final = 4_096
"""Characters of a token; ours have about 300."""
MAX_REMEMBERED: Final = 1_000
"""Tokens that are remembered as signed, and as checked: a new one every five seconds for each caller and principal."""
NOT_VALID: Final = (
    "The signature of this call is not valid ({}). Both services need keys of the same installation: SERVICE_KEY and "
    "SERVICE_KEYS."
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a call."""

    service: str
    on_behalf_of: Principal | None
    """For whom the service makes the call; None for itself."""
    client: str = ""
    """The network address from which that principal made its request; empty if it is not stated."""


class ServiceKeys:
    """The keys of one service: its own to sign with, and everybody's public ones."""

    def __init__(
        self, service: str, time: SharedTime, *, private: OKPKey | None = None, folder: Path | None = None
    ) -> None:
        """Without *private* it signs nothing, and without *folder* it checks nothing."""
        self._service = service
        self._time = time
        self._private = private
        self._folder = folder
        self._public: dict[str, OKPKey] = {}
        """The public key of each service."""
        self._reload_at = 0.0
        self._signed: dict[tuple[str, Principal | None, str], tuple[str, float]] = {}
        """The token for each called service, principal and its address, and until when it is reused."""
        self._checked: dict[str, tuple[Caller, float]] = {}
        """The caller of each token that was checked, and when the token expires."""

    @classmethod
    def of(cls, settings: ProcessSettings, service: str, time: SharedTime) -> Self:
        """Read the keys that *settings* name. Raise ConfigurationError if one of them is not a key."""
        given = settings.service_key
        private = _parse(given.get_secret_value(), "SERVICE_KEY") if given is not None else None
        if private is not None and not private.is_private:
            msg = "SERVICE_KEY is a public key; set it to the private key of this service."
            raise ConfigurationError(msg)
        keys = cls(service, time, private=private, folder=settings.service_keys)
        keys.load()
        return keys

    @property
    def checks(self) -> bool:
        """Whether there are public keys to check signatures with."""
        return self._folder is not None

    def load(self) -> None:
        """Read the public keys. Raise ConfigurationError if a file is not one."""
        if self._folder is None:
            return
        self._public = {
            path.stem: _parse(path.read_text(encoding="utf-8"), str(path)) for path in self._folder.glob("*.json")
        }

    def authorization(self, audience: str) -> Mapping[str, str]:
        """Return the header that signs a call to the service *audience*; nothing without a key.

        The call is made on behalf of the principal `ON_BEHALF_OF`, at the address `CLIENT_ADDRESS`.
        """
        if self._private is None:
            return {}
        now, principal = self._time.seconds(), ON_BEHALF_OF.get()
        client = "" if principal is None else CLIENT_ADDRESS.get()
        token, until = self._signed.get((audience, principal, client), ("", 0.0))
        if not until - REUSE_SECONDS <= now < until:  # also if the time was set back
            claims: dict[str, Any] = {"iss": self._service, "aud": audience, "exp": int(now) + LIFETIME_SECONDS}
            if principal is not None:
                claims |= {"act": principal.claims(), "client": client}
            header = {"alg": ALGORITHMS[0], "kid": self._private.kid}
            token, until = jwt.encode(header, claims, self._private, algorithms=list(ALGORITHMS)), now + REUSE_SECONDS
            if len(self._signed) >= MAX_REMEMBERED:
                self._signed.clear()
            self._signed[audience, principal, client] = token, until
        return {"Authorization": f"{SCHEME} {token}"}

    def caller(self, token: str) -> "Caller":
        """Return the service that signed *token* for this one. Raise UnauthenticatedError if none did, or long ago."""
        now = self._time.seconds()
        caller, expires = self._checked.get(token) or self._check(token)
        if expires <= now:
            raise UnauthenticatedError(NOT_VALID.format("it has expired"), scheme=SCHEME)
        if expires > now + LIFETIME_SECONDS + AHEAD_SECONDS:
            raise UnauthenticatedError(NOT_VALID.format("it is from the future"), scheme=SCHEME)
        if token not in self._checked:
            if len(self._checked) >= MAX_REMEMBERED:
                self._checked.clear()
            self._checked[token] = caller, expires
        return caller

    def _check(self, token: str) -> tuple["Caller", float]:
        """Return the caller and the expiry of a token with a valid signature for this service."""
        claims = self._claims(token)
        service, expires = claims.get("iss"), claims.get("exp")
        if claims.get("aud") != self._service:
            raise UnauthenticatedError(NOT_VALID.format("it is for another service"), scheme=SCHEME)
        if not isinstance(service, str) or type(expires) is not int:
            raise UnauthenticatedError(NOT_VALID.format("it has no issuer or no expiry"), scheme=SCHEME)
        return Caller(service, _principal_in(claims), _client_in(claims)), float(expires)

    def _claims(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token that the service signed which it names as its issuer."""
        try:
            return self._decode(token)
        except (JoseError, ValueError) as exc:
            if clock.monotonic() < self._reload_at:
                raise UnauthenticatedError(NOT_VALID.format("no known key has signed it"), scheme=SCHEME) from exc
        self._reload_at = clock.monotonic() + RELOAD_SECONDS  # its key may be new
        try:
            self.load()
            return self._decode(token)
        except (JoseError, ValueError, ConfigurationError, OSError) as exc:
            raise UnauthenticatedError(NOT_VALID.format("no known key has signed it"), scheme=SCHEME) from exc

    def _decode(self, token: str) -> Mapping[str, Any]:
        """Return the claims of *token*. Raise ValueError or JoseError if its issuer did not sign it."""
        if len(token) > MAX_TOKEN:
            msg = "too long"
            raise ValueError(msg)
        found = jwt.decode(token, KeySet(list(self._public.values())), algorithms=list(ALGORITHMS))
        issuer = found.claims.get("iss")
        if not isinstance(issuer, str) or issuer not in self._public:
            msg = "unknown issuer"
            raise ValueError(msg)
        if found.header.get("kid") != self._public[issuer].kid:
            msg = "signed by another service"
            raise ValueError(msg)
        return found.claims


def _principal_in(claims: Mapping[str, Any]) -> Principal | None:
    """Return on whose behalf a call is made. Raise UnauthenticatedError if a release with other claims states it."""
    if "act" not in claims:
        return None
    try:
        principal = Principal.from_claims(claims["act"])
    except (KeyError, TypeError, ValueError) as exc:
        raise UnauthenticatedError(NOT_VALID.format("it is on behalf of an unknown principal"), scheme=SCHEME) from exc
    # The signature is the service's, which may call the endpoints for services on the way to what a person wants.
    return replace(principal, scopes=principal.scopes | {Scope.SERVICE})


def _client_in(claims: Mapping[str, Any]) -> str:
    """Return the address of the client; empty if the claims have none, as those of the release before."""
    stated = claims.get("client")
    address = parse_address(stated) if isinstance(stated, str) else None
    return "" if address is None else str(address)


def _parse(text: str, source: str) -> OKPKey:
    """Return the Ed25519 key in *text*, a JSON Web Key. Raise ConfigurationError if it is not one."""
    try:
        key = OKPKey.import_key(json.loads(text))
        key.ensure_kid()
    except (JoseError, ValueError, TypeError, KeyError) as exc:
        msg = f"{source} is not an Ed25519 key as JSON Web Key; `tocsin up` and the containers' secrets create one."
        raise ConfigurationError(msg) from exc
    return key


SERVICE_KEYS: Final = web.AppKey("SERVICE_KEYS", ServiceKeys)
