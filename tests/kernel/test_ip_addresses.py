"""Addresses in headers of proxies: whoever is believed, whatever is written."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.kernel.ip_addresses import Address, client_behind, parse_address, parse_networks

TRUSTED = parse_networks("10.0.0.0/8, fd00::/64,192.0.2.7")
addresses = st.ip_addresses()
strangers = addresses.map(lambda address: parse_address(str(address))).filter(
    lambda address: address is not None and not any(address in network for network in TRUSTED)
)
proxies = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/64"))
headers = st.lists(st.text(st.characters(exclude_characters="\r\n\0"), max_size=60), max_size=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9\t", "203.0.113.9"),
        ("203.0.113.9:51324", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0]:443", "fe80::1"),
    ],
)
def test_an_address_may_have_a_port_brackets_or_a_zone(text: str, expected: str) -> None:
    assert str(parse_address(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "203.0.113",
        "203.0.113.009",
        "203.0.113.9:",
        "203.0.113.9:port",
        "203.0.113.9:123456",
        "203.0.113.9%eth0",
        "203.0.113.9/32",
        "[203.0.113.9",
        "[2001:db8::1]443",
        "[[2001:db8::1]]",
        '"[2001:db8::1]"',
        "2001:db8::1%" + 60 * "x",
        "\u0661.\u0661.\u0661.\u0661",
        "localhost",
        "1.1.1.1 1.1.1.2",
        "\ud800",
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    assert parse_address(text) is None


@given(addresses)
def test_every_address_is_parsed_as_itself(address: Address) -> None:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    bracketed = f"[{address}]:1" if isinstance(address, IPv6Address) else f"{address}:1"
    assert parse_address(str(address)) == parse_address(bracketed) == (mapped or address)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/33", "proxy.example", "10.0.0.1;::1"])
def test_what_is_no_network_or_everybody_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"separated by commas|would be believed"):
        parse_networks(text)


@given(strangers, headers)
def test_a_stranger_is_the_client_whatever_it_writes(peer: Address, written: Sequence[str]) -> None:
    assert client_behind(peer, written, TRUSTED) == peer
    assert client_behind(peer, written, ()) == peer


@given(strangers, st.lists(proxies, min_size=1, max_size=5), headers)
@example(ip_address("203.0.113.9"), [ip_address("10.0.0.1")], ["10.0.0.9, unknown", "10.0.0.2"])
def test_behind_trusted_proxies_what_the_client_wrote_is_not_read(
    client: Address, chain: list[Address], written: Sequence[str]
) -> None:
    *passed, peer = chain
    appended = [str(address) for address in (client, *passed)]
    for given_headers in ([", ".join([*written, *appended])], [*written, *appended]):
        assert client_behind(peer, given_headers, TRUSTED) == client


@given(proxies, headers)
def test_the_client_is_the_proxy_or_an_address_that_was_stated(peer: Address, written: Sequence[str]) -> None:
    stated = {parse_address(entry) for header in written for entry in header.split(",")}
    assert client_behind(peer, written, TRUSTED) in {peer, *stated}


def test_only_the_last_entries_are_read() -> None:
    peer = IPv4Address("10.0.0.1")
    many = ",".join(["203.0.113.9", *["10.0.0.2"] * 10_000])
    assert client_behind(peer, [many], TRUSTED) == IPv4Address("10.0.0.2")
    assert client_behind(peer, [many, *["10.0.0.3"] * 10_000], TRUSTED) == IPv4Address("10.0.0.3")
