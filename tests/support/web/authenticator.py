"""An authenticator in software: it creates passkeys and proves them, with real signatures, or wrongly if told so."""

import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field, replace
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from tocsin.web.access.domain.base64url import as_base64url

USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
HAS_CREDENTIAL: Final = 0x40
ORIGIN: Final = "https://tocsin.example"


@dataclass(slots=True)
class Device:
    """What a passkey is, and how its device and browser behave."""

    origin: str = ORIGIN
    rp_id: str | None = None
    """Instead of the one that the server names."""
    verifies_user: bool = True
    sign_count: int = 0
    step: int = 1
    """How far the device counts at each use."""
    credential_id: bytes = field(default_factory=lambda: token_bytes(32))
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    user_handle: bytes = b""

    def but(self, **changes: Any) -> "Device":
        """Return a copy with the same key that behaves in another way."""
        return replace(self, **changes)

    def create(self, options: dict[str, Any], **changes: Any) -> str:
        """Return the response to the options of a registration; *changes* are to the client's data."""
        self.user_handle = urlsafe_b64decode(options["user"]["id"] + "==")
        point = self.key.public_key().public_numbers()
        public_key = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}
        credential = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + cbor2.dumps(public_key)
        data = self._data(options["rp"]["id"], HAS_CREDENTIAL) + credential
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client_data = self._client_data("webauthn.create", options, changes)
        response = {"clientDataJSON": client_data, "attestationObject": attestation}
        return self._json(response, transports=["internal"])

    def get(self, options: dict[str, Any], **changes: Any) -> str:
        """Return the response to the options of a log-in; *changes* are to the client's data."""
        self.sign_count += self.step
        data = self._data(options["rpId"])
        client_data = self._client_data("webauthn.get", options, changes)
        signature = self.key.sign(data + sha256(client_data).digest(), ECDSA(SHA256()))
        response = {"clientDataJSON": client_data, "authenticatorData": data, "signature": signature}
        return self._json({**response, "userHandle": self.user_handle})

    def _data(self, rp_id: str, more: int = 0) -> bytes:
        flags = USER_PRESENT | (USER_VERIFIED if self.verifies_user else 0) | more
        return sha256((self.rp_id or rp_id).encode()).digest() + bytes([flags]) + self.sign_count.to_bytes(4)

    def _client_data(self, kind: str, options: dict[str, Any], changes: dict[str, Any]) -> bytes:
        given = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps({**given, **changes}).encode()

    def _json(self, response: dict[str, bytes], **more: Any) -> str:
        own = as_base64url(self.credential_id)
        encoded = {name: as_base64url(value) for name, value in response.items()}
        return json.dumps({"id": own, "rawId": own, "type": "public-key", "response": {**encoded, **more}})
