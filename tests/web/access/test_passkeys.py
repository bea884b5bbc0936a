"""Passkeys are added and removed by whoever has logged in, with real signatures of an authenticator in software."""

import asyncio
import subprocess
import sys
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.web.authenticator import ORIGIN, Device
from tests.web.access.conftest import FROM, PASSWORD, Access, OpenAccess
from tocsin.contracts.accounts import ChangeAccount, Passkey, Role, TokenIn
from tocsin.kernel.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    ThrottledError,
    UnauthenticatedError,
)
from tocsin.kernel.ids import new_id
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.domain.passkeys import (
    MAX_PASSKEYS,
    PasskeyRefusedError,
    RelyingParty,
    new_credential,
    parse_assertion,
    relying_party_of,
)
from tocsin.web.access.service import accounts, identification, links, login, passkeys, tokens


@pytest.fixture
def access(open_access: OpenAccess) -> Access:
    return open_access(public_url=ORIGIN)


async def add(access: Access, identity: Identity, device: Device, name: str = "Phone", **changes: Any) -> None:
    begun = await passkeys.begin_adding(access.deps, identity, PASSWORD, address=FROM["address"])
    response = device.create(begun.options, **changes)
    await passkeys.add_passkey(access.deps, identity, name, response, secret=begun.secret)


async def listed(access: Access, identity: Identity) -> list[Passkey]:
    return await passkeys.list_passkeys(access.deps, identity.account_id)


async def test_a_passkey_is_added_listed_and_removed(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    first, second = Device(), Device()
    await add(access, bob, first)
    begun = await passkeys.begin_adding(access.deps, bob, PASSWORD, address=FROM["address"])
    assert [each["transports"] for each in begun.options["excludeCredentials"]] == [["internal"]]
    assert begun.options["rp"]["id"] == "tocsin.example"
    await passkeys.add_passkey(access.deps, bob, "Key", second.create(begun.options), secret=begun.secret)
    assert [each.name for each in await listed(access, bob)] == ["Key", "Phone"]
    assert (await accounts.get_account(access.deps, bob.account_id)).passkeys == 2
    removed = (await listed(access, bob))[1]
    assert (await passkeys.remove_passkey(access.deps, bob, removed.id)).name == "Phone"
    assert [each.name for each in await listed(access, bob)] == ["Key"]
    with pytest.raises(NotFoundError):
        await passkeys.remove_passkey(access.deps, bob, removed.id)


@pytest.mark.parametrize(
    ("device", "changes"),
    [
        ({"origin": "https://evil.example"}, {}),
        ({"origin": "http://tocsin.example"}, {}),
        ({"rp_id": "evil.example"}, {}),
        ({"verifies_user": False}, {}),
        ({"credential_id": bytes(1_024)}, {}),
        ({"credential_id": b""}, {}),
        ({}, {"challenge": "c29tZXRoaW5nIGVsc2U"}),
        ({}, {"type": "webauthn.get"}),
    ],
    ids=["origin", "scheme", "host", "unverified", "long id", "no id", "challenge", "type"],
)
async def test_a_response_that_proves_nothing_adds_nothing(
    access: Access, device: dict[str, Any], changes: dict[str, str]
) -> None:
    bob = await access.identity(await access.person("Bob"))
    with pytest.raises(InvalidRequestError):
        await add(access, bob, Device(**device), **changes)
    assert await listed(access, bob) == []


async def test_a_response_is_used_once_by_its_account_in_its_browser_within_five_minutes(access: Access) -> None:
    bob, eve = [await access.identity(await access.person(name)) for name in ("Bob", "Eve")]

    async def begin() -> tuple[str, str]:
        begun = await passkeys.begin_adding(access.deps, bob, PASSWORD, address=FROM["address"])
        return Device().create(begun.options), begun.secret

    response, secret = await begin()
    for identity, given_secret in ((eve, secret), (bob, ""), (bob, "x"), (bob, secret[::-1])):
        with pytest.raises(InvalidRequestError, match="five minutes"):
            await passkeys.add_passkey(access.deps, identity, "Phone", response, secret=given_secret)
    await passkeys.add_passkey(access.deps, bob, "Phone", response, secret=secret)
    with pytest.raises(InvalidRequestError, match="five minutes"):
        await passkeys.add_passkey(access.deps, bob, "Phone", response, secret=secret)
    response, secret = await begin()
    access.after(seconds=301)
    with pytest.raises(InvalidRequestError, match="five minutes"):
        await passkeys.add_passkey(access.deps, bob, "Phone", response, secret=secret)
    assert len(await listed(access, bob)) == 1
    assert await listed(access, eve) == []


async def test_a_response_longer_than_any_is_not_even_parsed(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    for padding, added in ((20_000, 0), (10_000, 1)):
        begun = await passkeys.begin_adding(access.deps, bob, PASSWORD, address=FROM["address"])
        response = f'{Device().create(begun.options)[:-1]}, "padding": "{padding * "x"}"}}'
        with nullcontext() if added else pytest.raises(InvalidRequestError):
            await passkeys.add_passkey(access.deps, bob, "Phone", response, secret=begun.secret)
        assert len(await listed(access, bob)) == added


async def test_the_same_passkey_is_added_once_whoever_adds_it(access: Access) -> None:
    bob, eve = [await access.identity(await access.person(name)) for name in ("Bob", "Eve")]
    device = Device()
    await add(access, bob, device)
    for identity in (bob, eve):
        with pytest.raises(ConflictError, match="added already"):
            await add(access, identity, device)


async def test_of_concurrent_additions_as_many_succeed_as_there_is_room_for(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    for number in range(MAX_PASSKEYS - 1):
        await add(access, bob, Device(), str(number))
    begun = [await passkeys.begin_adding(access.deps, bob, PASSWORD, address=FROM["address"]) for _ in range(6)]
    results = await asyncio.gather(
        *(
            passkeys.add_passkey(access.deps, bob, "Key", Device().create(each.options), secret=each.secret)
            for each in begun
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["ConflictError"] * 5 + ["NoneType"]
    assert len(await listed(access, bob)) == MAX_PASSKEYS
    with pytest.raises(ConflictError, match="at most"):
        await passkeys.begin_adding(access.deps, bob, PASSWORD, address=FROM["address"])


async def test_adding_needs_a_session_and_the_password(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    await access.person("Eve")
    token = await tokens.create_personal_token(access.deps, bob, TokenIn(name="laptop"), request=None)
    by_token = await identification.identify_token(access.deps, token.token or "")
    assert by_token
    with pytest.raises(ForbiddenError):
        await passkeys.begin_adding(access.deps, by_token, PASSWORD, address=FROM["address"])
    await add(access, bob, Device())
    (passkey,) = await listed(access, by_token)
    with pytest.raises(ForbiddenError):
        await passkeys.remove_passkey(access.deps, by_token, passkey.id)
    for _ in range(10):
        with pytest.raises(UnauthenticatedError):
            await passkeys.begin_adding(access.deps, bob, "wrong", address=FROM["address"])
    with pytest.raises(ThrottledError):
        await passkeys.begin_adding(access.deps, bob, PASSWORD, address=FROM["address"])
    await access.log_in("eve@example.org")  # and nobody else is locked out


async def test_whoever_has_no_password_has_logged_in_lately_and_keeps_one_way_to_log_in(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    await add(access, bob, Device())
    access.rows("UPDATE access.account SET password_hash = NULL WHERE name = 'Bob'")
    await add(access, bob, Device())
    access.after(minutes=11)
    with pytest.raises(ForbiddenError, match="ten minutes"):
        await add(access, bob, Device())
    results = await asyncio.gather(
        *(passkeys.remove_passkey(access.deps, bob, each.id) for each in await listed(access, bob)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "Passkey"]
    assert len(await listed(access, bob)) == 1


async def test_a_session_that_a_proxy_began_is_no_way_to_a_log_in_without_it(access: Access) -> None:
    bob = replace(await access.identity(await access.person("Bob")), by_proxy=True)
    await add(access, bob, Device())  # whose password proves who Bob is
    access.rows("UPDATE access.account SET password_hash = NULL WHERE name = 'Bob'")
    with pytest.raises(ForbiddenError, match="proxy"):
        await add(access, bob, Device())


async def test_a_new_password_and_another_role_keep_the_passkeys(access: Access) -> None:
    session = await access.person("Bob")
    bob = await access.identity(session)
    await add(access, bob, Device())
    await login.change_password(access.deps, bob, PASSWORD, "quartz ferry lemon 88", address=FROM["address"])
    link = await links.create_link(access.deps, bob.account_id)
    await links.redeem_link(access.deps, link.secret or "", PASSWORD, **FROM)
    await accounts.change_account(access.deps, bob.account_id, ChangeAccount(role=Role.VIEWER), version=None)
    assert len(await listed(access, bob)) == 1


async def test_an_admin_removes_the_passkeys_of_whoever_lost_them_and_ends_the_sessions(access: Access) -> None:
    session = await access.person("Bob")
    bob = await access.identity(session)
    await add(access, bob, Device())
    assert (await passkeys.remove_passkeys(access.deps, bob.account_id)).passkeys == 0
    assert await listed(access, bob) == []
    assert not await access.is_valid(session)
    with pytest.raises(NotFoundError):
        await passkeys.remove_passkeys(access.deps, new_id())


async def test_an_admin_with_a_passkey_only_is_one_who_can_log_in(access: Access) -> None:
    ada = await access.identity(await access.first_admin())
    bob = await access.identity(await access.person("Bob", Role.ADMIN))
    await add(access, bob, Device())
    access.rows("UPDATE access.account SET password_hash = NULL WHERE name = 'Bob'")
    await accounts.change_account(access.deps, ada.account_id, ChangeAccount(disabled=True), version=None)
    for refused in (ChangeAccount(disabled=True), ChangeAccount(role=Role.VIEWER)):
        with pytest.raises(ConflictError, match="last admin"):
            await accounts.change_account(access.deps, bob.account_id, refused, version=None)
    with pytest.raises(ConflictError, match="last admin"):
        await passkeys.remove_passkeys(access.deps, bob.account_id)
    with pytest.raises(ConflictError, match="admin already"):
        await links.create_setup_link(access.deps)


async def test_an_account_that_was_disabled_meanwhile_gets_no_passkey(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    begun = await passkeys.begin_adding(access.deps, bob, PASSWORD, address=FROM["address"])
    await accounts.change_account(access.deps, bob.account_id, ChangeAccount(disabled=True), version=None)
    with pytest.raises(ConflictError, match="disabled"):
        await passkeys.add_passkey(access.deps, bob, "Phone", Device().create(begun.options), secret=begun.secret)


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        ("https://tocsin.example", RelyingParty("tocsin.example", "https://tocsin.example")),
        ("https://Tocsin.Example:8443/path", RelyingParty("tocsin.example", "https://tocsin.example:8443")),
        ("https://tocsin.example:443", RelyingParty("tocsin.example", "https://tocsin.example")),
        ("https://münster.example", RelyingParty("xn--mnster-3ya.example", "https://xn--mnster-3ya.example")),
        ("http://localhost:8080", RelyingParty("localhost", "http://localhost:8080")),
        ("http://tocsin.localhost", RelyingParty("tocsin.localhost", "http://tocsin.localhost")),
        (None, "not set"),
        ("http://127.0.0.1:8080", "host name"),
        ("https://[::1]:8080", "host name"),
        ("https://192.0.2.7", "host name"),
        ("http://tocsin.example", "https"),
    ],
)
def test_passkeys_belong_to_the_host_of_public_url_where_browsers_allow_them(
    public_url: str | None, expected: RelyingParty | str
) -> None:
    if isinstance(expected, RelyingParty):
        assert relying_party_of(public_url) == expected
    else:
        with pytest.raises(ConflictError, match=expected):
            relying_party_of(public_url)


def test_the_web_service_is_imported_without_the_library_which_open_mode_does_not_need() -> None:
    program = (
        "import sys, tocsin.web.app; sys.exit(', '.join({'webauthn', 'OpenSSL', 'cbor2'} & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own program
    assert (found.returncode, found.stderr) == (0, "")


CREATED = Device().create({"rp": {"id": "a"}, "user": {"id": "AAAA"}, "challenge": "AAAA"})


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(max_size=50),
        st.just("[" * 15_000),
        st.just("x" * 20_000),
        st.builds(
            lambda at, put: CREATED[:at] + put + CREATED[at + len(put) :],
            st.integers(0, len(CREATED)),
            st.text('ABCwxyz0189-_"{}[],:\N{SNOWMAN}', min_size=1, max_size=8),
        ),
    )
)
def test_whatever_a_browser_sends_is_refused_and_never_an_error_of_the_server(response: str) -> None:
    with pytest.raises(PasskeyRefusedError):
        new_credential(response, RelyingParty("tocsin.example", ORIGIN), b"challenge")
    with suppress(PasskeyRefusedError):
        parse_assertion(response)
