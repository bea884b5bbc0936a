"""Log-ins that fail too often are refused for a while, whichever replica they reach."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from tests.web.access.conftest import Access, OpenAccess
from tocsin.kernel.errors import ThrottledError, UnauthenticatedError
from tocsin.web.access.domain.sessions import NewSession


async def kinds_of(*attempts: Awaitable[NewSession]) -> list[str]:
    """Return what became of concurrent log-ins."""
    results: list[Any] = await asyncio.gather(*attempts, return_exceptions=True)
    return sorted(type(result).__name__ for result in results)


async def test_of_eleven_concurrent_wrong_passwords_one_is_not_even_checked(access: Access) -> None:
    await access.person("Bob")
    verified = access.hasher.verified
    outcomes = await kinds_of(*(access.log_in("bob@example.org", f"wrong {n}") for n in range(11)))
    assert outcomes == ["ThrottledError"] + ["UnauthenticatedError"] * 10
    assert access.hasher.verified - verified == 10


async def test_replicas_count_together(open_access: OpenAccess) -> None:
    replicas = [open_access(), open_access()]
    await replicas[0].person("Bob")
    outcomes = await kinds_of(*(replicas[n % 2].log_in("bob@example.org", "wrong") for n in range(14)))
    assert outcomes == ["ThrottledError"] * 4 + ["UnauthenticatedError"] * 10
    with pytest.raises(ThrottledError):
        await replicas[1].log_in("bob@example.org")


async def test_the_lock_out_ends_by_itself_and_says_when(access: Access) -> None:
    await access.person("Bob")
    await kinds_of(*(access.log_in("bob@example.org", "wrong") for _ in range(10)))
    access.after(seconds=20)
    with pytest.raises(ThrottledError) as caught:
        await access.log_in("bob@example.org")
    assert 30 <= caught.value.retry_after <= 40
    assert f"{caught.value.retry_after} seconds" in str(caught.value)
    access.after(seconds=caught.value.retry_after)
    await access.log_in("bob@example.org")


async def test_a_name_that_does_not_exist_is_throttled_alike(access: Access) -> None:
    outcomes = await kinds_of(*(access.log_in("Nobody@example.org", "wrong") for _ in range(5)))
    outcomes += await kinds_of(*(access.log_in(" nobody@EXAMPLE.org", "wrong") for _ in range(6)))
    assert sorted(outcomes) == ["ThrottledError"] + ["UnauthenticatedError"] * 10


async def test_each_spelling_that_finds_an_account_counts_for_it(access: Access) -> None:
    await access.person("Kiki")
    spellings = ["kiki@example.org", "KIKI@example.org", "\N{KELVIN SIGN}iki@example.org", "kİki@example.org"]
    found = {
        spelling: access.rows("SELECT lower(%(spelling)s) AS lower", spelling=spelling)[0]["lower"]
        for spelling in spellings
    }
    for spelling in spellings:
        with pytest.raises(UnauthenticatedError):
            await access.log_in(spelling, "wrong")
    counts = access.rows("SELECT count(*) FROM access.throttle WHERE key LIKE 'account %%'")
    assert counts == [{"count": len(set(found.values()))}]


async def test_an_address_is_throttled_whatever_the_names(open_access: OpenAccess) -> None:
    access = open_access(address_failures_per_minute=3)
    await access.person("Bob")
    attempts = (access.log_in(f"n{n}@example.org", "wrong", address=f"2001:db8::{n}") for n in range(5))
    assert await kinds_of(*attempts) == ["ThrottledError"] * 2 + ["UnauthenticatedError"] * 3
    with pytest.raises(ThrottledError):
        await access.log_in("bob@example.org", address="2001:db8::77")
    await access.log_in("bob@example.org", address="2001:db8:0:1::77")


async def test_log_ins_that_succeed_are_not_counted(open_access: OpenAccess) -> None:
    access = open_access(login_failures_per_minute=2, address_failures_per_minute=2)
    await access.person("Bob")
    for _ in range(5):
        await access.log_in("bob@example.org")
    with pytest.raises(UnauthenticatedError):
        await access.log_in("bob@example.org", "wrong")
    assert access.rows("SELECT failures FROM access.throttle") == [{"failures": 1}, {"failures": 1}]


async def test_a_success_gives_nothing_back_to_the_next_minute(access: Access) -> None:
    await access.person("Bob")
    hasher = access.hasher
    original = hasher.verify

    async def slow_log_in() -> None:
        def verify(encoded: str, password: bytes, /) -> bool:
            access.rows("UPDATE access.throttle SET expires_at = expires_at + interval '1 minute', failures = 5")
            return original(encoded, password)

        hasher.verify = verify  # type: ignore[method-assign]
        await access.log_in("bob@example.org")

    await slow_log_in()
    assert access.rows("SELECT failures FROM access.throttle") == [{"failures": 5}, {"failures": 5}]
