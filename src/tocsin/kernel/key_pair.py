"""Key pairs by which our services sign their calls.

Apart from `service_keys`, because the command line and the containers' secrets create keys without checking signatures.
"""

import base64
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key pair, each key as the text of a JSON Web Key (RFC 8037, section 2)."""

    private: str = field(repr=False)
    public: str


def create_key_pair() -> KeyPair:
    """Return a new random key pair."""
    key = Ed25519PrivateKey.generate()
    public = {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key.public_key().public_bytes_raw())}
    return KeyPair(json.dumps({**public, "d": _base64url(key.private_bytes_raw())}), json.dumps(public))


def public_key_of(private: str) -> str:
    """Return the public key of a private one. Raise ValueError if *private* is not one."""
    try:
        given = json.loads(private)
        return json.dumps({name: given[name] for name in ("kty", "crv", "x")})
    except (KeyError, TypeError) as exc:
        msg = "not an Ed25519 key"
        raise ValueError(msg) from exc


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
