"""Which addresses a URL that somebody typed may lead to.

The check sits where the socket is made, behind every spelling of an address and every name: a check of the URL, or in
the resolver, is passed by an address written as a number, and by a name that changes between the check and the connect.
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
        "fd00:ec2::254",  # Amazon EC2 over IPv6; everybody's 169.254.169.254 is link-local
        "fd20:ce::254",  # Google Compute Engine over IPv6
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's host
        "192.0.0.192",  # Oracle Cloud at Customer
    )
)
"""Where machines in a cloud get their credentials: never reached."""
TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 behind NAT64 (RFC 6052): the last four bytes are where it goes."""


class ForbiddenAddressError(OSError):
    """A webhook leads where none may."""

    def __init__(self, reason: str) -> None:
        # An OSError with this number, since that is what aiohttp passes on, even when it has tried several addresses.
        super().__init__(errno.EACCES, reason)


def refusal(address: Address, allowed: Sequence[Network]) -> str | None:
    """Return why *address* may not be reached; None when it may. *allowed* are private networks that may."""
    target = _destination(address)
    if _never(target):
        return f"{target} is this machine, this link or a machine's own metadata: webhooks never go there"
    if target.is_global or any(target in network for network in allowed):
        return None
    return f"{target} is in a private network; WEBHOOK_ALLOWED_NETWORKS can allow it"


def never_allowed(network: Network) -> bool:
    """Return whether no address of *network* can be reached, whatever is allowed."""
    return network.is_loopback or network.is_link_local or network.is_multicast or network.is_unspecified


def guarded_socket(allowed: Sequence[Network]) -> SocketFactoryType:
    """Return a maker of sockets that refuses forbidden addresses with ForbiddenAddressError."""

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = info
        reason = refusal(ipaddress.ip_address(place[0]), allowed)
        if reason is not None:
            raise ForbiddenAddressError(reason)
        return socket.socket(family, kind, protocol)

    return make


def _destination(address: Address) -> Address:
    """Return where a packet to *address* ends: IPv6 has three ways to write an IPv4 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _never(address: Address) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or address in METADATA
    )
