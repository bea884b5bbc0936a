"""Addresses that only this machine reaches, and URLs that nobody on the way can read."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, is this machine's own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def loopback_of(address: str) -> str:
    """Return *address* if only this machine reaches it, else a loopback address to listen on instead."""
    return address if is_loopback(address) else "127.0.0.1"


def secure_url(value: str) -> str:
    """Return *value* as it is. Raise ValueError if it is not an https URL, or an http URL of this machine."""
    parts = urlsplit(value)
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not secure or not parts.hostname or parts.username is not None or parts.fragment or not value.isprintable():
        msg = "not an https URL (http is allowed for a loopback address only)"
        raise ValueError(msg)
    return value
