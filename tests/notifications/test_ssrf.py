"""Where a webhook must never lead, in every spelling."""

import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import ClientSession
from bench.receiver import own_address
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.receiver import Receiver, answers, open_receiver
from tests.notifications.conftest import Start
from tests.support.notifications.api import Service, message
from tocsin.channels.transports.ssrf import METADATA, Network, refusal

FORBIDDEN = "webhooks must not reach it"
NO_URL = "this URL is invalid"
THIS_MACHINE = [
    *("127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "0", "0.0.0.0", "localhost", "[::1]", "[::]"),  # noqa: S104
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]"),
]
EVERYTHING = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


@pytest.fixture
async def inside() -> AsyncIterator[Receiver]:
    """Something on loopback that no webhook may find."""
    async with open_receiver(host="127.0.0.1") as opened:
        yield opened


async def refused(service: Service, hosts: Iterable[str], *, port: str = "80") -> dict[str, str]:
    """Send to each host; return why the first attempt was the last, by host."""
    sent = {host: await service.notify(message(f"http://{host}:{port}/latest/meta-data")) for host in hosts}
    found = {host: await service.ended(notification) for host, notification in sent.items()}
    assert {host for host, item in found.items() if item["status"] != "failed" or len(item["attempts"]) != 1} == set()
    return {host: item["reason"] for host, item in found.items()}


async def test_no_spelling_of_a_local_address_is_reached(start: Start, inside: Receiver) -> None:
    service = await start(webhook_allowed_networks="0.0.0.0/0,::/0")
    reasons = await refused(service, THIS_MACHINE, port=inside.authority.rpartition(":")[2])
    # aiohttp itself takes no address that is written as a number.
    assert {host: reason for host, reason in reasons.items() if not reason.endswith((FORBIDDEN, NO_URL))} == {}
    assert inside.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.0.0.1", "0.0.0.0", "localhost", "[::ffff:127.0.0.1]"])  # noqa: S104
async def test_without_the_check_these_spellings_would_be_reached(inside: Receiver, host: str) -> None:
    port = inside.authority.rpartition(":")[2]
    async with ClientSession() as session, session.post(f"http://{host}:{port}/", data=b"{}") as response:
        assert response.status == 204
    assert len(inside.received) == 1


async def test_a_private_network_is_refused_unless_it_is_allowed(service: Service) -> None:
    hosts = ["10.255.255.1", "172.16.0.1", "192.168.255.1", "100.64.0.1", "[fd12:3456::1]", "[::ffff:10.255.255.1]"]
    reasons = await refused(service, hosts)
    hint = "is in a private network; WEBHOOK_ALLOWED_NETWORKS can allow it"
    assert {host: reason for host, reason in reasons.items() if not reason.endswith(hint)} == {}


async def test_metadata_is_refused_even_when_everything_is_allowed(start: Start) -> None:
    service = await start(webhook_allowed_networks="0.0.0.0/0,::/0")
    hosts = ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200"]
    reasons = await refused(service, hosts)
    assert {host: reason for host, reason in reasons.items() if not reason.endswith(FORBIDDEN)} == {}


async def test_a_redirect_to_a_private_address_is_not_followed(
    service: Service, receiver: Receiver, inside: Receiver
) -> None:
    receiver.behaves = answers(302, Location=inside.url)
    found = await service.ended(await service.notify(message(receiver.url)))
    assert found["status"] == "failed"
    assert found["attempts"][0]["code"] == 302
    assert inside.received == []


async def test_a_name_that_starts_to_resolve_to_a_private_address_is_refused(
    start: Start, receiver: Receiver, inside: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [own_address()]
    resolve_as(monkeypatch, lambda: addresses)
    url = f"http://flips.example:{receiver.authority.rpartition(':')[2]}/"
    before = await start()
    assert (await before.ended(await before.notify(message(url))))["status"] == "sent"
    await before.client.close()
    addresses[:] = ["127.0.0.1"]
    after = await start()
    found = await after.ended(await after.notify(message(url)))
    assert found["status"] == "failed"
    assert found["reason"].endswith(FORBIDDEN)
    assert inside.received == []


async def test_of_a_name_with_several_addresses_only_the_allowed_ones_are_used(
    service: Service, receiver: Receiver, inside: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(receiver.authority.rpartition(":")[2])
    resolve_as(monkeypatch, lambda: ["127.0.0.1", own_address()])
    found = await service.ended(await service.notify(message(f"http://both.example:{port}/")))
    assert found["status"] == "sent"
    assert len(receiver.received) == 1
    assert inside.received == []


async def test_a_name_with_nothing_but_forbidden_addresses_is_final(
    service: Service, inside: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_as(monkeypatch, lambda: ["127.0.0.1", "127.0.0.2"])
    found = await service.ended(await service.notify(message("http://inward.example/")))
    assert found["status"] == "failed"
    assert len(found["attempts"]) == 1
    assert inside.received == []


def resolve_as(monkeypatch: pytest.MonkeyPatch, addresses: Callable[[], list[str]]) -> None:
    """Let every name of `.example` have *addresses*."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if not str(host).endswith(".example"):
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_a_name_that_does_not_resolve_is_retried(start: Start) -> None:
    service = await start(give_up_tries=2)
    for host in ("no-such-name.invalid", "a" * 64 + ".example", "xn--.example"):
        found = await service.ended(await service.notify(message(f"http://{host}/")))
        assert found["status"] == "failed"
        assert [attempt["outcome"] for attempt in found["attempts"]] == ["retry", "retry"]
        assert "cannot be reached" in found["reason"]


async def test_a_certificate_is_checked(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with open_receiver(tls=server_context(authority)) as receiver:
        trusting = await start(ca_bundle=bundle)
        assert (await trusting.ended(await trusting.notify(message(receiver.url))))["status"] == "sent"
        await trusting.client.close()
        wary = await start()
        found = await wary.ended(await wary.notify(message(receiver.url)))
    assert found["status"] == "failed"
    assert found["reason"].startswith("the certificate is refused: ")
    assert len(receiver.received) == 1


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(own_address()).configure_cert(context)
    return context


ADDRESSES = st.ip_addresses()


@given(ADDRESSES)
def test_addresses_that_are_not_public_are_reached_only_if_allowed(address: ipaddress.IPv4Address) -> None:
    if refusal(address, ()) is None:
        target = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        assert target.is_global or address in ipaddress.ip_network("64:ff9b::/96")
        assert not target.is_multicast


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_decided_alike_in_every_ipv6_form(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    disguises = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(0x64FF9B << 96 | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80),
    ]
    for allowed in ((), EVERYTHING):
        assert {refusal(disguise, allowed) for disguise in disguises} == {refusal(address, allowed)}


NEVER: list[Network] = [
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "fe80::/10", "ff00::/8", "::/96")
]


@given(st.sampled_from(NEVER).flatmap(lambda network: st.ip_addresses(network=network)))
def test_loopback_link_local_and_multicast_are_never_reached(address: ipaddress.IPv4Address) -> None:
    assert refusal(address, EVERYTHING) is not None


@pytest.mark.parametrize("address", sorted(map(str, METADATA)))
def test_metadata_services_are_never_reached(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), EVERYTHING) is not None


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_public_addresses_are_reached(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), ()) is None
