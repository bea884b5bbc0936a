"""Logging in with a passkey, and whatever does not count as one."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.web.authenticator import ORIGIN, Device
from tests.web.access.conftest import FROM, PASSWORD, Access, OpenAccess
from tests.web.access.test_passkeys import add, listed
from tocsin.contracts.accounts import ChangeAccount
from tocsin.kernel.errors import ConflictError, ThrottledError, UnauthenticatedError
from tocsin.web.access.domain.passkeys import NewChallenge
from tocsin.web.access.domain.sessions import NewSession
from tocsin.web.access.service import accounts, passkey_login, passkeys


@pytest.fixture
def access(open_access: OpenAccess) -> Access:
    return open_access(public_url=ORIGIN)


async def bob_with(access: Access, device: Device) -> NewSession:
    session = await access.person("Bob")
    await add(access, await access.identity(session), device)
    return session


async def begin(access: Access) -> NewChallenge:
    return await passkey_login.begin_log_in(access.deps, address=FROM["address"])


async def finish(access: Access, response: str, secret: str) -> NewSession:
    return await passkey_login.log_in(access.deps, response, secret=secret, **FROM)


async def log_in(access: Access, device: Device, **changes: Any) -> NewSession:
    begun = await begin(access)
    return await finish(access, device.get(begun.options, **changes), begun.secret)


async def refusal_of(access: Access, device: Device, **changes: Any) -> str:
    """Return what somebody is told whose log-in is refused."""
    with pytest.raises(UnauthenticatedError) as caught:
        await log_in(access, device, **changes)
    return str(caught.value)


async def test_a_passkey_alone_logs_in_and_says_when_it_was_used(access: Access) -> None:
    device = Device()
    session = await bob_with(access, device)
    access.after(hours=1)
    new = await log_in(access, device)
    assert new.account.name == "Bob"
    assert await access.is_valid(new)
    (passkey,) = await listed(access, await access.identity(session))
    assert passkey.last_used_at
    assert passkey.last_used_at > passkey.created_at
    begun = await begin(access)
    assert (begun.options["allowCredentials"], begun.options["userVerification"]) == ([], "required")


async def test_every_refusal_says_the_same(access: Access) -> None:
    device = Device()
    await bob_with(access, device)
    eve = await access.identity(await access.person("Eve"))
    other = Device()
    await add(access, eve, other)
    said = {
        await refusal_of(access, device.but(origin="https://evil.example")),
        await refusal_of(access, device.but(origin="https://tocsin.example:8443")),
        await refusal_of(access, device.but(rp_id="evil.example")),
        await refusal_of(access, device.but(verifies_user=False)),
        await refusal_of(access, device.but(key=other.key)),
        await refusal_of(access, device.but(user_handle=other.user_handle)),
        await refusal_of(access, device.but(user_handle=b"")),
        await refusal_of(access, device.but(credential_id=other.credential_id)),
        await refusal_of(access, Device(user_handle=device.user_handle)),
        await refusal_of(access, device, challenge="c29tZXRoaW5nIGVsc2U"),
        await refusal_of(access, device, type="webauthn.create"),
    }
    (passkey,) = await listed(access, eve)
    await passkeys.remove_passkey(access.deps, eve, passkey.id)
    said.add(await refusal_of(access, other))
    bob = (await log_in(access, device)).account
    await accounts.change_account(access.deps, bob.id, ChangeAccount(disabled=True), version=None)
    said.add(await refusal_of(access, device))
    assert said == {passkey_login.WRONG}


async def test_a_response_is_used_once_in_its_browser_within_five_minutes(access: Access) -> None:
    device = Device()
    bob = await access.identity(await bob_with(access, device))
    begun = await begin(access)
    response = device.get(begun.options)
    for secret in ("", "x", begun.secret[::-1], (await begin(access)).secret):
        with pytest.raises(UnauthenticatedError):
            await finish(access, response, secret)
    await finish(access, response, begun.secret)
    with pytest.raises(UnauthenticatedError, match="five minutes"):
        await finish(access, response, begun.secret)
    begun = await begin(access)
    access.after(seconds=301)
    with pytest.raises(UnauthenticatedError, match="five minutes"):
        await finish(access, device.get(begun.options), begun.secret)
    adding = await passkeys.begin_adding(access.deps, bob, PASSWORD, address=FROM["address"])
    with pytest.raises(UnauthenticatedError, match="five minutes"):
        await finish(access, device.get({"rpId": "tocsin.example", **adding.options}), adding.secret)


async def test_a_counter_that_does_not_rise_is_refused_and_logged_but_one_that_stays_at_zero_counts_nothing(
    access: Access,
) -> None:
    device = Device(sign_count=7)
    await bob_with(access, device)
    copy = device.but()
    await log_in(access, device)
    with capture_logs() as logs:
        assert await refusal_of(access, copy) == passkey_login.WRONG
    (line,) = [entry for entry in logs if entry["event"] == "log-in refused"]
    assert (line["log_level"], "copy" in line["reason"], "passkey_id" in line) == ("warning", True, True)
    await log_in(access, device)
    assert await refusal_of(access, device.but(sign_count=0, step=0)) == passkey_login.WRONG
    eve = await access.identity(await access.person("Eve"))
    uncounting = Device(step=0)
    await add(access, eve, uncounting)
    for _ in range(2):
        assert (await log_in(access, uncounting)).account.name == "Eve"


async def test_of_two_uses_of_one_count_one_begins_a_session(access: Access) -> None:
    device = Device()
    await bob_with(access, device)
    begun = [await begin(access) for _ in range(2)]
    responses = [device.but().get(each.options) for each in begun]
    results = await asyncio.gather(
        *(finish(access, response, each.secret) for response, each in zip(responses, begun, strict=True)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["NewSession", "UnauthenticatedError"]


async def test_a_passkey_logs_in_while_passwords_are_locked_and_has_a_bound_of_its_own(open_access: OpenAccess) -> None:
    access = open_access(public_url=ORIGIN, address_failures_per_minute=5)
    device = Device()
    await bob_with(access, device)
    for _ in range(5):
        with pytest.raises(UnauthenticatedError):
            await access.log_in("bob@example.org", "wrong")
    with pytest.raises(ThrottledError):
        await access.log_in("bob@example.org")
    for _ in range(5):
        await log_in(access, device)
    with pytest.raises(ThrottledError) as caught:
        await begin(access)
    assert 0 < caught.value.retry_after <= 60
    await passkey_login.begin_log_in(access.deps, address="198.51.100.7")
    access.after(seconds=60)
    await log_in(access, device)


async def test_what_one_replica_has_begun_another_one_finishes_once(open_access: OpenAccess) -> None:
    one, other = open_access(public_url=ORIGIN), open_access(public_url=ORIGIN)
    device = Device()
    await bob_with(one, device)
    begun = await begin(one)
    response = device.get(begun.options)
    results = await asyncio.gather(
        *(finish(replica, response, begun.secret) for replica in (one, other)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["NewSession", "UnauthenticatedError"]


async def test_where_browsers_allow_no_passkeys_nothing_is_begun(open_access: OpenAccess) -> None:
    access = open_access(public_url="http://192.0.2.7")
    with pytest.raises(ConflictError, match="host name"):
        await begin(access)
    assert passkeys.origin_of(access.deps) is None
