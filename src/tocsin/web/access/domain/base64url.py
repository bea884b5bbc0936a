"""Base64 for URLs, as OpenID Connect and WebAuthn use it."""

from base64 import urlsafe_b64encode


def as_base64url(data: bytes) -> str:
    """Return *data* without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
