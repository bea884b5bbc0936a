"""The network that counts as one client."""

from ipaddress import IPv6Address, IPv6Network, ip_address

MAX_TEXT = 512
IPV6_NETWORK_BITS = 64
"""A customer of a provider has at least such a network, and with it 2^64 addresses."""


def network_of(address: str) -> str:
    """Return the network of a client's address: the address itself, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return storable(address)
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), IPV6_NETWORK_BITS), strict=False))


def storable(text: str, limit: int = MAX_TEXT) -> str:
    """Return *text* without what PostgreSQL does not store (NUL, lone surrogates), stripped and cut."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode().strip()[:limit]
