"""Check an ID token: the signature and the claims (OpenID Connect Core 1.0, section 3.1.3.7)."""

import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry

ALGORITHMS: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
"""Signatures that only the provider can make, with the type of their keys: no HMAC, whose secret both sides know."""
LEEWAY_SECONDS: Final = 60
"""By which the provider's clock and ours may differ."""
MAX_TIME: Final = 2**53
MAX_KEYS: Final = 100
MAX_SUBJECT: Final = 255
"""Characters of a subject (section 2)."""
NOT_A_KEY: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError)
NOT_A_TOKEN: Final = (*NOT_A_KEY, RecursionError)


class InvalidTokenError(Exception):
    """A token that proves nothing. The message says why, without a part of the token."""


class UnknownKeyError(InvalidTokenError):
    """A token that none of the keys has signed; the provider may have a new one."""


class _Registry(JWSRegistry):
    """Accepts header parameters that it does not know (RFC 7515, section 4), and a chain of certificates."""

    max_header_length = 16_384

    def get_alg(self, name: str) -> Any:
        """Return an algorithm; without the warning for EdDSA, a name that RFC 9864 deprecates and providers use."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRY: Final = _Registry(strict_check_header=False)


def keys_in(document: Mapping[str, Any]) -> list[Key]:
    """Return the keys of a JWK Set with which signatures can be checked, without keys of other kinds."""
    given = document.get("keys")
    keys = []
    for each in given[:MAX_KEYS] if isinstance(given, list) else []:
        if isinstance(each, dict) and each.get("kty") in {"RSA", "EC", "OKP"} and each.get("use", "sig") == "sig":
            with suppress(*NOT_A_KEY):
                keys.append(JWKRegistry.import_key(each))
    return keys


def verified_claims(
    token: str, keys: Sequence[Key], *, issuer: str, client_id: str, nonce: str, now: float
) -> Mapping[str, Any]:
    """Return the claims of an ID token for *client_id* that belongs to the log-in with *nonce*.

    Raise UnknownKeyError if none of *keys* has signed it, InvalidTokenError if it is wrong otherwise.
    """
    claims = _signed_claims(token, keys)
    _check_audience(claims, issuer=issuer, client_id=client_id)
    _check_times(claims, now)
    subject, given = claims.get("sub"), claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="replace"), nonce.encode()):
        msg = "the ID token belongs to another log-in (nonce)"
        raise InvalidTokenError(msg)
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        msg = "the ID token has no usable subject (sub)"
        raise InvalidTokenError(msg)
    return claims


def _signed_claims(token: str, keys: Sequence[Key]) -> Mapping[str, Any]:
    try:
        header = jws.extract_compact(token.encode(), registry=_REGISTRY).headers()
        algorithm, key_id = header["alg"], header.get("kid")
        if algorithm not in ALGORITHMS:
            msg = "the ID token is signed with an algorithm that proves nothing (alg)"
            raise InvalidTokenError(msg)
        for key in keys:
            if key.key_type == ALGORITHMS[algorithm] and key_id in {None, key.kid} and key.alg in {None, algorithm}:
                with suppress(BadSignatureError):
                    return jwt.decode(token, key, registry=_REGISTRY).claims
    except NOT_A_TOKEN as exc:
        msg = "the ID token cannot be read"
        raise InvalidTokenError(msg) from exc
    msg = "no key of the provider has signed the ID token"
    raise UnknownKeyError(msg)


def _check_audience(claims: Mapping[str, Any], *, issuer: str, client_id: str) -> None:
    if claims.get("iss") != issuer:
        msg = "the ID token is from another issuer (iss)"
        raise InvalidTokenError(msg)
    audience, party = claims.get("aud"), claims.get("azp")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        msg = "the ID token is for another client (aud)"
        raise InvalidTokenError(msg)
    if party != client_id and (party is not None or len(audiences) > 1):
        msg = "the ID token was issued to another client (azp)"
        raise InvalidTokenError(msg)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    begins = max(issued, _time(claims, "nbf")) if "nbf" in claims else issued
    if expires <= now - LEEWAY_SECONDS:
        msg = f"the ID token has expired {now - expires:.0f} seconds ago (exp); compare the clocks"
        raise InvalidTokenError(msg)
    if begins > now + LEEWAY_SECONDS:
        msg = f"the ID token is from {begins - now:.0f} seconds in the future (iat, nbf); compare the clocks"
        raise InvalidTokenError(msg)


def _time(claims: Mapping[str, Any], name: str) -> float:
    """Return seconds since 1970 (RFC 7519, NumericDate)."""
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < MAX_TIME:  # nor NaN
        msg = f"the ID token does not state when it is valid ({name})"
        raise InvalidTokenError(msg)
    return value
