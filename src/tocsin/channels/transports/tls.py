"""The trusted certificate authorities."""

import ssl
from functools import cache
from pathlib import Path


@cache
def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities, read once, and those in *ca_bundle*."""
    context = ssl.create_default_context()
    if ca_bundle is not None:
        context.load_verify_locations(ca_bundle)
    return context
