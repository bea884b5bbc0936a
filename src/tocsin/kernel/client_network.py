"""The network that counts as one client."""

from ipaddress import IPv6Address, IPv6Network
from typing import Final

from tocsin.kernel.ip_addresses import parse_address
from tocsin.kernel.storable_text import storable

IPV6_NETWORK_BITS: Final = 64
"""A customer of a provider has at least such a network, and with it 2^64 addresses."""


def network_of(address: str) -> str:
    """Return the network of a client's address: the address itself, or the /64 of an IPv6 address."""
    parsed = parse_address(address)
    if parsed is None:
        return storable(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed), IPV6_NETWORK_BITS), strict=False))
    return str(parsed)
