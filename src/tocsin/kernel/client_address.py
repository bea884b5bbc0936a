"""The network address of the client of a request: for the limit of log-ins, the lists of log-ins, and logs.

Three kinds of senders are believed when they state it: our services, in the signature of a call; the edge, in a header
that it signs; the proxies of TRUSTED_PROXIES, in `X-Forwarded-For`. Otherwise it is the address of the connection.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final, Self

from aiohttp import hdrs, web

from tocsin.kernel.authentication import credentials_of
from tocsin.kernel.errors import ConfigurationError, UnauthenticatedError
from tocsin.kernel.ip_addresses import Address, Network, client_behind, is_in, parse_address, parse_networks
from tocsin.kernel.service_keys import SCHEME, ServiceKeys
from tocsin.kernel.settings import ProcessSettings

HEADER: Final = "Tocsin-Client-Address"
"""The address of the edge's client and, after a space, its HMAC-SHA256 in hexadecimal digits.

Not `X-Forwarded-For`, which a release before this one refuses in open mode.
"""
MIN_KEY_BYTES: Final = 32


class ClientAddresses:
    """Finds the clients of requests."""

    def __init__(self, keys: ServiceKeys, *, edge_key: bytes = b"", trusted: Sequence[Network] = ()) -> None:
        """Without *edge_key* there is no edge; *trusted* are the networks of the proxies that are believed."""
        self._keys = keys
        self._edge_key = edge_key
        self._trusted = trusted

    @classmethod
    def of(cls, settings: ProcessSettings, keys: ServiceKeys) -> Self:
        """Read the edge's key and the networks. Raise ConfigurationError if the key is not one."""
        return cls(keys, edge_key=_key_in(settings), trusted=parse_networks(settings.trusted_proxies))

    def find(self, request: web.Request) -> str:
        """Return the address of the client of *request*; empty if it is not known."""
        scheme, token = credentials_of(request)
        if scheme == SCHEME and self._keys.checks:
            try:
                if client := self._keys.caller(token).client:
                    return client
            except UnauthenticatedError:
                pass  # routes without a scope accept requests with any signature
        sender, is_trusted = self._sender_of(request)
        if sender is None:
            return ""
        if is_trusted:
            sender = client_behind(sender, request.headers.getall(hdrs.X_FORWARDED_FOR, ()), self._trusted)
        return str(sender)

    def is_from_trusted_proxy(self, request: web.Request) -> bool:
        """Return whether a proxy of TRUSTED_PROXIES sent *request* to the edge, or to this service without an edge."""
        return self._sender_of(request)[1]

    def _sender_of(self, request: web.Request) -> tuple[Address | None, bool]:
        """Return who sent *request* to the edge, else to this service, and whether that is a trusted proxy.

        Where there is an edge, no other sender is trusted: it may be an edge of the release before, which forwards
        whatever its clients send.
        """
        if not self._edge_key:
            peer = parse_address(request.remote or "")
            return peer, is_in(peer, self._trusted)
        stated = self._stated_by_edge(request)
        if stated is None:
            return parse_address(request.remote or ""), False
        return stated, is_in(stated, self._trusted)

    def _stated_by_edge(self, request: web.Request) -> Address | None:
        """Return the address that the edge states; None if the header is missing, or not signed by the edge."""
        given = request.headers.getall(HEADER, ())
        if len(given) != 1:
            return None
        address, _, signature = given[0].partition(" ")
        expected = hmac.digest(self._edge_key, address.encode(errors="replace"), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), signature.lower().encode(errors="replace")):
            return None
        return parse_address(address)


CLIENT_ADDRESSES: Final = web.AppKey("CLIENT_ADDRESSES", ClientAddresses)


def client_address(request: web.Request) -> str:
    """Return the address of the client; empty if it is not known."""
    return request.app[CLIENT_ADDRESSES].find(request)


def _key_in(settings: ProcessSettings) -> bytes:
    if settings.edge_key is None:
        return b""
    try:
        key = base64.b64decode(settings.edge_key.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < MIN_KEY_BYTES:
        msg = f"EDGE_KEY must have {MIN_KEY_BYTES} random bytes or more in Base64; the containers' secrets create it."
        raise ConfigurationError(msg)
    return key
