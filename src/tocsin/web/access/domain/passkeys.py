"""Passkeys (WebAuthn): what a browser is asked for, and whether its response proves a passkey.

The library that checks responses takes 0.2 seconds and 9 MB to load, which only closed mode spends.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from yarl import URL

from tocsin.contracts.accounts import Account
from tocsin.kernel.errors import ConflictError
from tocsin.kernel.ip_addresses import parse_address
from tocsin.web.access.domain.base64url import as_base64url

if TYPE_CHECKING:
    from webauthn.helpers.structs import AuthenticationCredential

MAX_PASSKEYS: Final = 10
"""Of one account."""
MAX_RESPONSE: Final = 16_384
"""Characters of a browser's response."""
MAX_CREDENTIAL_ID: Final = 1_023
CHALLENGE_SECONDS: Final = 300
ALGORITHMS: Final = (-8, -7, -257)
"""Ed25519, ECDSA with P-256, RSA (COSE's numbers): one of them is supported by every authenticator."""


class PasskeyRefusedError(Exception):
    """A response of a browser that proves nothing. The message is for the log."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The host and the origin for which passkeys are valid: those of PUBLIC_URL, and no other names of this server."""

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Credential:
    """What is stored of a passkey to recognise it by."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: Sequence[str]


@dataclass(frozen=True, slots=True)
class StoredPasskey:
    """What a log-in with a passkey is checked against."""

    id: UUID
    account_id: UUID
    account_name: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class NewChallenge:
    """What a browser is asked for, and the secret that it sends back with its response."""

    options: dict[str, Any]
    secret: str = field(repr=False)


def load_library() -> None:
    """Load the library at the start of the process: during a request, it would delay all others."""
    import webauthn  # noqa: F401, PLC0415


def relying_party_of(public_url: str | None) -> RelyingParty:
    """Return the host and the origin of the passkeys of *public_url*.

    Raise ConflictError, with what to set, if browsers allow no passkeys there: they need a host name, and https except
    on the machine itself (WebAuthn, section 5.1.3).
    """
    url = URL(public_url or "")
    host = url.raw_host or ""
    if not host or parse_address(host) is not None:
        found = f"is {public_url}" if public_url else "is not set"
        msg = (
            f"Passkeys need a host name, and PUBLIC_URL {found}. An operator can set it, for example to"
            " https://tocsin.example.com, or on one machine to http://localhost:8080."
        )
        raise ConflictError(msg)
    if url.scheme != "https" and host != "localhost" and not host.endswith(".localhost"):
        msg = f"Passkeys need https, and PUBLIC_URL is {public_url}. An operator can set up TLS, and change it."
        raise ConflictError(msg)
    return RelyingParty(host, str(url.origin()))


def creation_options(
    party: RelyingParty, account: Account, present: Sequence[Credential], challenge: bytes
) -> dict[str, Any]:
    """Return the options of `navigator.credentials.create()`, as JSON, for another passkey than *present*."""
    return {
        "rp": {"id": party.id, "name": "Tocsin"},
        "user": {"id": as_base64url(account.id.bytes), "name": account.email, "displayName": account.name},
        "challenge": as_base64url(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": CHALLENGE_SECONDS * 1_000,
        "excludeCredentials": [
            {"type": "public-key", "id": as_base64url(each.credential_id), "transports": list(each.transports)}
            for each in present
        ],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def request_options(party: RelyingParty, challenge: bytes) -> dict[str, Any]:
    """Return the options of `navigator.credentials.get()`, as JSON, for any passkey of this host."""
    return {
        "rpId": party.id,
        "challenge": as_base64url(challenge),
        "timeout": CHALLENGE_SECONDS * 1_000,
        "allowCredentials": [],
        "userVerification": "required",
    }


def new_credential(response: str, party: RelyingParty, challenge: bytes) -> Credential:
    """Return the passkey that a browser has created. Raise PasskeyRefusedError."""
    from webauthn import verify_registration_response  # noqa: PLC0415
    from webauthn.helpers import (  # noqa: PLC0415
        decode_credential_public_key,
        decoded_public_key_to_cryptography,
        parse_registration_credential_json,
    )
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415

    with _refusing():
        given = parse_registration_credential_json(_bounded(response))
        verified = verify_registration_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
        )
        decoded_public_key_to_cryptography(decode_credential_public_key(verified.credential_public_key))
        if len(verified.credential_id) > MAX_CREDENTIAL_ID:
            msg = f"a credential id of {len(verified.credential_id)} bytes"
            raise ValueError(msg)
        transports = [transport.value for transport in given.response.transports or []]
        return Credential(
            verified.credential_id, verified.credential_public_key, verified.sign_count, sorted(set(transports))
        )


def parse_assertion(response: str) -> "AuthenticationCredential":
    """Return a browser's response to a log-in, which proves nothing yet. Raise PasskeyRefusedError."""
    from webauthn.helpers import parse_authentication_credential_json  # noqa: PLC0415

    with _refusing():
        return parse_authentication_credential_json(_bounded(response))


def sign_count_of(
    assertion: "AuthenticationCredential", passkey: StoredPasskey, party: RelyingParty, challenge: bytes
) -> int:
    """Return how often a passkey was used, as its device counts. Raise PasskeyRefusedError if it is not proved.

    The statement that stores the count compares it, so that one of two concurrent uses with the same count fails.
    """
    from webauthn import verify_authentication_response  # noqa: PLC0415

    with _refusing():
        if assertion.response.user_handle != passkey.account_id.bytes:
            msg = "the passkey of another account"
            raise ValueError(msg)
        verified = verify_authentication_response(
            credential=assertion,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        return verified.new_sign_count


def _bounded(response: str) -> str:
    if len(response) > MAX_RESPONSE:
        msg = f"{len(response)} characters, more than any response has"
        raise ValueError(msg)
    return response


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        # For hostile bytes, the parsers of JSON, CBOR and keys raise all kinds of exceptions.
        msg = f"{type(exc).__name__}: {exc}"
        raise PasskeyRefusedError(msg) from exc
