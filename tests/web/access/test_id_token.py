"""ID tokens: who is meant, when, for whom, and that the provider alone can have signed it."""

import base64
import hmac
import json
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from tocsin.web.access.domain.id_token import (
    ALGORITHMS,
    LEEWAY_SECONDS,
    InvalidTokenError,
    UnknownKeyError,
    keys_in,
    verified_claims,
)

NOW = 1_800_000_000.0
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "tocsin",
    "sub": "ada",
    "nonce": "n-1",
    "iat": int(NOW) - 1,
    "exp": int(NOW) + 300,
}
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
KEYS: dict[str, Key] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": ECKey.generate_key("P-256", {"kid": "p256"}),
    "ES384": ECKey.generate_key("P-384", {"kid": "p384"}),
    "ES512": ECKey.generate_key("P-521", {"kid": "p521"}),
    **dict.fromkeys(("EdDSA", "Ed25519"), OKPKey.generate_key("Ed25519", {"kid": "ed"})),
}
PUBLISHED = keys_in({"keys": [key.as_dict(private=False) for key in {id(key): key for key in KEYS.values()}.values()]})


def signed(claims: Mapping[str, Any], *, algorithm: str = "RS256", key: Key | None = None, **header: Any) -> str:
    key = key or KEYS[algorithm]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of joserfc, for EdDSA and none
        return jwt.encode(
            {"alg": algorithm, "kid": key.kid} | header,
            dict(claims),
            key,
            algorithms=[algorithm],
            registry=jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False),
        )


def verify(token: str, keys: list[Key] | None = None) -> Mapping[str, Any]:
    return verified_claims(
        token,
        PUBLISHED if keys is None else keys,
        issuer="https://id.example",
        client_id="tocsin",
        nonce="n-1",
        now=NOW,
    )


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_token_with_a_signature_of_the_provider_is_accepted(algorithm: str) -> None:
    assert verify(signed(CLAIMS, algorithm=algorithm))["sub"] == "ada"


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": ["other", "tocsin"], "azp": "tocsin"},
        {"aud": ["tocsin"], "azp": "tocsin"},
        {"exp": NOW - LEEWAY_SECONDS + 1},
        {"iat": NOW + LEEWAY_SECONDS - 1},
        {"nbf": NOW + LEEWAY_SECONDS - 1},
        {"iat": NOW - 0.5},
    ],
)
def test_what_is_unusual_but_right_is_accepted(changed: dict[str, Any]) -> None:
    assert verify(signed(CLAIMS | changed))["sub"] == "ada"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://id.example/"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "other"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": {"tocsin": 1}}, "aud"),
        ({"aud": "tocsin", "azp": "other"}, "azp"),
        ({"aud": ["tocsin", "other"]}, "azp"),
        ({"nonce": "n-2"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["n-1"]}, "nonce"),
        ({"exp": NOW - LEEWAY_SECONDS - 1}, "expired 61 seconds ago"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": float("nan")}, "exp"),
        ({"exp": float("inf")}, "exp"),
        ({"iat": NOW + LEEWAY_SECONDS + 1}, "61 seconds in the future"),
        ({"iat": None}, "iat"),
        ({"nbf": NOW + LEEWAY_SECONDS + 1}, "future"),
        ({"nbf": "soon"}, "nbf"),
        ({"sub": ""}, "sub"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "a" * 256}, "sub"),
        ({"sub": "ada\0"}, "sub"),
    ],
)
def test_wrong_claims_prove_nothing(changed: dict[str, Any], reason: str) -> None:
    token = signed(CLAIMS | changed)
    with pytest.raises(InvalidTokenError) as caught:
        verify(token)
    assert reason in str(caught.value)
    assert token not in str(caught.value)


def test_a_token_without_a_signature_proves_nothing() -> None:
    for algorithm in ("none", "None", "NONE", ""):
        parts = [json.dumps(part).encode() for part in ({"alg": algorithm}, CLAIMS)]
        unsigned = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()
        for token in (f"{unsigned}.", f"{unsigned}.{signed(CLAIMS).rpartition('.')[2]}"):
            with pytest.raises(InvalidTokenError):
                verify(token)


def test_the_public_key_is_no_secret_to_sign_with() -> None:
    for secret in (RSA.as_pem(private=False), json.dumps(RSA.as_dict(private=False)).encode()):
        payload = signed(CLAIMS).split(".")[1]
        content = f"{_header({'alg': 'HS256'})}.{payload}"
        signature = base64.urlsafe_b64encode(hmac.digest(secret, content.encode(), "sha256")).rstrip(b"=").decode()
        with pytest.raises(InvalidTokenError, match="alg"):
            verify(f"{content}.{signature}")


def test_another_key_is_unknown_whatever_it_calls_itself() -> None:
    other = RSAKey.generate_key(2048, {"kid": "other"})
    for kid in ("other", "rsa"):
        with pytest.raises(UnknownKeyError):
            verify(signed(CLAIMS, key=other, kid=kid))
    header: dict[str, Any] = {"jwk": other.as_dict(private=False), "jku": "https://evil.example/keys"}
    with pytest.raises(UnknownKeyError):
        verify(signed(CLAIMS, key=other, kid="rsa", **header))
    with pytest.raises(UnknownKeyError):
        verify(signed(CLAIMS), [])


def test_of_keys_without_a_name_the_one_that_has_signed_is_found() -> None:
    first, second = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
    token = jwt.encode({"alg": "RS256"}, CLAIMS, second, algorithms=["RS256"])
    assert verify(token, [*PUBLISHED, first, second])["sub"] == "ada"
    with pytest.raises(UnknownKeyError):
        verify(token, [*PUBLISHED, first])


def test_a_key_is_used_for_its_own_algorithm_only() -> None:
    key = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256"})
    assert verify(signed(CLAIMS, key=key), [key])
    foreign = RSAKey.import_key({name: value for name, value in key.as_dict(private=True).items() if name != "alg"})
    with pytest.raises(UnknownKeyError):
        verify(signed(CLAIMS, algorithm="PS256", key=foreign), [key])


def test_an_extension_that_must_be_understood_is_refused() -> None:
    with pytest.raises(InvalidTokenError):
        verify(signed(CLAIMS).replace(signed(CLAIMS).partition(".")[0], _header({"crit": ["x"], "x": 1})))


def test_of_a_set_of_keys_those_that_can_sign_are_used() -> None:
    public = RSA.as_dict(private=False)
    given_keys = [
        "no key", None, {}, {"kty": "oct", "k": "AA"}, {"kty": "RSA", "n": "?"}, {"kty": "EC", "crv": "P-0"},
        public | {"use": "enc"}, public,
    ]  # fmt: skip
    assert [key.kid for key in keys_in({"keys": given_keys})] == ["rsa"]
    assert keys_in({"keys": "none"}) == keys_in({}) == []
    assert len(keys_in({"keys": [public] * 1_000})) == 100


@given(st.text(max_size=80) | st.builds(lambda a, b: f"{a}.{b}.", st.text(), st.text()))
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        verify(text)


@given(st.integers(0, 2**31), st.integers(0, 255))
def test_a_token_of_which_a_byte_was_changed_proves_nothing(position: int, byte: int) -> None:
    head, payload, signature = TOKEN.split(".")
    raw = bytearray(base64.urlsafe_b64decode(payload + "=="))
    position %= len(raw)
    changed = raw[position] != byte
    raw[position] = byte
    token = f"{head}.{base64.urlsafe_b64encode(bytes(raw)).rstrip(b'=').decode()}.{signature}"
    if changed:
        with pytest.raises(InvalidTokenError):
            verify(token)
    else:
        verify(token)


def _header(more: dict[str, Any]) -> str:
    raw = json.dumps({"alg": "RS256", "kid": "rsa"} | more).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


TOKEN = signed(CLAIMS)
