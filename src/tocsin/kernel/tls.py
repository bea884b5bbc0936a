"""The TLS certificate of a service, which is checked before the service starts."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from cryptography import x509

from tocsin.kernel import clock
from tocsin.kernel.errors import ConfigurationError

ADVICE: Final = "Set TLS_CERTIFICATE to a PEM file with the certificate and its chain, and TLS_KEY to one with its key"
MISMATCH: Final = "KEY_VALUES_MISMATCH"
"""OpenSSL's reason for a key of another certificate."""


@dataclass(frozen=True, slots=True)
class TLSListener:
    """How a service listens with TLS; it then serves plain HTTP on the loopback interface only."""

    context: ssl.SSLContext
    port: int


TLS_LISTENER: Final = web.AppKey("TLS_LISTENER", TLSListener)


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return the context of a server with *certificate*; its key is in the same file, or in *key*.

    Raise ConfigurationError if it cannot be used, or not at this time.
    """
    try:
        (key or certificate).read_bytes()
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except OSError as exc:
        msg = f"The TLS certificate cannot be used: {exc.filename} cannot be read ({exc.strerror}). {ADVICE}."
        raise ConfigurationError(msg) from exc
    except ValueError as exc:
        msg = f"The TLS certificate cannot be used: {certificate} has none in PEM. {ADVICE}."
        raise ConfigurationError(msg) from exc
    _require_valid_now(certificate, chain[0])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # without this, OpenSSL asks on the terminal
    except (ssl.SSLError, ValueError) as exc:
        has_other = isinstance(exc, ssl.SSLError) and exc.reason == MISMATCH
        fault = f"is not the key of {certificate}" if has_other else "has no key in PEM, or only one with a password"
        msg = f"The TLS certificate cannot be used: {key or certificate} {fault}. {ADVICE}."
        raise ConfigurationError(msg) from exc
    return context


def _require_valid_now(path: Path, certificate: x509.Certificate) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if clock.now() < begins:
        msg = f"The TLS certificate in {path} is not valid before {begins:%Y-%m-%d %H:%M} UTC. Check the clock."
        raise ConfigurationError(msg)
    if clock.now() > ends:
        msg = f"The TLS certificate in {path} expired at {ends:%Y-%m-%d %H:%M} UTC. Replace it, and start again."
        raise ConfigurationError(msg)
