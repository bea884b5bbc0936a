"""Protection against server-side request forgery (SSRF): the addresses that user-supplied URLs may reach.

The check runs when a socket is created, on the resolved address. A check of the URL or in the resolver would miss an
address in another notation, and a name that resolves to another address between check and connect.
"""

import errno
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final, TypeAlias

from aiohttp.connector import AddrInfoType, SocketFactoryType

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "fd00:ec2::254",  # Amazon EC2 over IPv6; 169.254.169.254, which most clouds use, is link-local
        "fd20:ce::254",  # Google Compute Engine over IPv6
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's host
        "192.0.0.192",  # Oracle Cloud at Customer
    )
)
"""The metadata services of clouds, which return credentials: no setting allows them."""
TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 behind NAT64 (RFC 6052): the last four bytes are the IPv4 address."""


class ForbiddenAddressError(OSError):
    """Webhooks must not reach the address that a URL resolves to."""

    def __init__(self, reason: str) -> None:
        # aiohttp keeps the errno of an OSError, even after it has tried several addresses.
        super().__init__(errno.EACCES, reason)


def refusal(address: Address, allowed: Sequence[Network]) -> str | None:
    """Return why *address* is forbidden, or None if it is not. *allowed* are the permitted private networks."""
    target = _destination(address)
    if _is_always_forbidden(target):
        return f"{target} is loopback, link-local, reserved or cloud metadata: webhooks must not reach it"
    if target.is_global or any(target in network for network in allowed):
        return None
    return f"{target} is in a private network; WEBHOOK_ALLOWED_NETWORKS can allow it"


def never_allowed(network: Network) -> bool:
    """Return whether no setting can allow *network*."""
    return network.is_loopback or network.is_link_local or network.is_multicast or network.is_unspecified


def guarded_socket(allowed: Sequence[Network]) -> SocketFactoryType:
    """Return a socket factory that raises ForbiddenAddressError for forbidden addresses."""

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        reason = refusal(ipaddress.ip_address(sockaddr[0]), allowed)
        if reason is not None:
            raise ForbiddenAddressError(reason)
        return socket.socket(family, kind, protocol)

    return make


def _destination(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 *address* contains in one of three notations, else *address*."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_always_forbidden(address: Address) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or address in METADATA
    )
