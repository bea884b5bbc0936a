"""Network addresses as proxies write them, and the client behind a chain of proxies."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
MAX_LENGTH: Final = 64
"""Characters of an address: the longest one has 39, its brackets and port eight; a zone is a name of an interface."""
MAX_PROXIES: Final = 16
"""How many proxies a request may have passed; entries of earlier ones are not read."""
_WITH_PORT: Final = re.compile(r"\[(?P<v6>[^][]*)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}", re.ASCII)


def parse_address(text: str) -> Address | None:
    """Return the address in *text*, in which it may have a port, a zone, or brackets; None if there is none.

    An IPv4 address that is written as IPv6 (`::ffff:…`) is returned as IPv4. Zones are dropped: they mean something on
    one machine only.
    """
    text = text.strip(" \t")
    if len(text) > MAX_LENGTH:
        return None
    if found := _WITH_PORT.fullmatch(text):
        text = found["v4"] or found["v6"]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks in *text*, which commas separate. Raise ValueError if one is not a network, or everybody."""
    networks = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            network = ip_network(part)
        except ValueError as exc:
            msg = f"{exc}; write addresses and networks such as 10.1.2.3, 10.1.2.0/24 or fd00::/64, separated by commas"
            raise ValueError(msg) from None
        if network.prefixlen == 0:
            msg = f"{part} is every address: whoever sends a request would be believed"
            raise ValueError(msg)
        networks.append(network)
    return tuple(networks)


def is_in(address: Address | None, networks: Iterable[Network]) -> bool:
    """Return whether *address* belongs to one of *networks*; an unknown one does not."""
    return address is not None and any(address in network for network in networks)


def client_behind(peer: Address, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> Address:
    """Return the client of a request that *peer* sent, with these `X-Forwarded-For` headers.

    Each proxy appends the address from which it got the request. So they are read from the right, as long as a
    trusted proxy wrote them: what is to the left was sent by the client, who may write anything.
    """
    client = peer
    for entry in _from_the_right(forwarded_for):
        stated = parse_address(entry) if is_in(client, trusted) else None
        if stated is None:
            break
        client = stated
    return client


def _from_the_right(headers: Sequence[str]) -> Iterable[str]:
    """Return the last MAX_PROXIES entries of a list that may be in several headers (RFC 9110, section 5.3)."""
    entries: list[str] = []
    for header in reversed(headers):
        wanted = MAX_PROXIES - len(entries)
        if not wanted:
            break
        entries += header.rsplit(",", wanted)[::-1][:wanted]
    return entries
