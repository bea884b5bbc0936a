"""Tokens of people and of programs."""

from dataclasses import replace

import pytest

from tests.web.access.conftest import Access
from tocsin.contracts.accounts import ChangeAccount, CreatedToken, Role, TokenIn
from tocsin.kernel.errors import ConflictError, ForbiddenError, InvalidRequestError, NotFoundError
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Scope
from tocsin.web.access.domain.identity import EVERYONE, SCOPES, Identity
from tocsin.web.access.queries import TokensQuery
from tocsin.web.access.service import accounts, tokens
from tocsin.web.access.service.identification import identify_token

REQUEST = IdempotentRequest("k", "POST", "/api/v1/tokens", b"{}", scope="person/1")


async def identified(access: Access, token: CreatedToken) -> Identity | None:
    assert token.token
    return await identify_token(access.deps, token.token)


async def test_a_personal_token_has_the_scopes_that_were_chosen(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    given = TokenIn(name="laptop", scopes=["read"], expires_in_days=30)
    token = await tokens.create_personal_token(access.deps, bob, given, request=None)
    assert (token.token or "").startswith(token.prefix)
    assert token.prefix.startswith("tocsin_pat_")
    found = await identified(access, token)
    assert found == replace(bob, scopes=EVERYONE | {Scope.READ}, session_id=None, token_id=token.id)
    access.after(days=29)
    assert await identified(access, token)
    access.after(days=2)
    assert await identified(access, token) is None


async def test_a_token_never_exceeds_the_present_role(access: Access) -> None:
    await access.first_admin()
    session = await access.person("Kim", role=Role.ADMIN)
    kim = await access.identity(session)
    every = await tokens.create_personal_token(access.deps, kim, TokenIn(name="all"), request=None)
    some = TokenIn(name="some", scopes=["admin", "read"])
    chosen = await tokens.create_personal_token(access.deps, kim, some, request=None)
    for role, expected in (
        (Role.ADMIN, (SCOPES[Role.ADMIN], EVERYONE | {Scope.ADMIN, Scope.READ})),
        (Role.RESPONDER, (SCOPES[Role.RESPONDER], EVERYONE | {Scope.READ})),
        (Role.ADMIN, (SCOPES[Role.ADMIN], EVERYONE | {Scope.ADMIN, Scope.READ})),
    ):
        await accounts.change_account(access.deps, kim.account_id, ChangeAccount(role=role), version=None)
        found = [await identified(access, token) for token in (every, chosen)]
        assert [one and one.scopes for one in found] == [*expected]


async def test_scopes_beyond_the_role_are_refused(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    given = TokenIn(name="laptop", scopes=["read", "admin", "service", "made up"])
    with pytest.raises(InvalidRequestError) as caught:
        await tokens.create_personal_token(access.deps, bob, given, request=None)
    assert [error["pointer"] for error in caught.value.errors] == ["#/scopes/1", "#/scopes/2", "#/scopes/3"]


async def test_a_token_cannot_create_another_one(access: Access) -> None:
    bob = await access.identity(await access.person("Bob"))
    given = TokenIn(name="laptop", scopes=["read"])
    found = await identified(access, await tokens.create_personal_token(access.deps, bob, given, request=None))
    assert found
    with pytest.raises(ForbiddenError):
        await tokens.create_personal_token(access.deps, found, TokenIn(name="more"), request=None)


async def test_a_programs_token_sends_alerts_only(access: Access) -> None:
    program = await access.program()
    token = await tokens.create_service_token(access.deps, program.id, TokenIn(name="ci"), request=None)
    assert token.prefix.startswith("tocsin_sat_")
    found = await identified(access, token)
    assert found
    assert (found.kind, found.scopes) == (program.kind, EVERYONE | {Scope.SEND})


async def test_nobody_creates_a_token_for_another_person_or_a_disabled_account(access: Access) -> None:
    bob = await access.person("Bob")
    with pytest.raises(ConflictError, match="Bob is a person"):
        await tokens.create_service_token(access.deps, bob.account.id, TokenIn(name="x"), request=None)
    program = await access.program()
    await accounts.change_account(access.deps, program.id, ChangeAccount(disabled=True), version=None)
    with pytest.raises(ConflictError, match="disabled"):
        await tokens.create_service_token(access.deps, program.id, TokenIn(name="x"), request=None)
    with pytest.raises(NotFoundError):
        await tokens.create_service_token(access.deps, new_id(), TokenIn(name="x"), request=None)


async def test_a_token_of_a_disabled_account_does_not_work(access: Access) -> None:
    program = await access.program()
    token = await tokens.create_service_token(access.deps, program.id, TokenIn(name="ci"), request=None)
    for disabled in (True, False):
        await accounts.change_account(access.deps, program.id, ChangeAccount(disabled=disabled), version=None)
        assert (await identified(access, token) is None) == disabled


async def test_a_revoked_token_ends_at_once_and_belongs_to_its_account(access: Access) -> None:
    program, bob = await access.program(), await access.identity(await access.person("Bob"))
    token = await tokens.create_service_token(access.deps, program.id, TokenIn(name="ci"), request=None)
    with pytest.raises(NotFoundError):
        await tokens.revoke_token(access.deps, bob.account_id, token.id)
    assert await identified(access, token)
    assert (await tokens.revoke_token(access.deps, program.id, token.id)).name == "ci"
    assert await identified(access, token) is None
    with pytest.raises(NotFoundError):
        await tokens.revoke_token(access.deps, program.id, token.id)


async def test_tokens_are_listed_without_their_secrets_newest_first(access: Access) -> None:
    program = await access.program()
    made = [
        await tokens.create_service_token(access.deps, program.id, TokenIn(name=f"t{n}"), request=None)
        for n in range(3)
    ]
    await identified(access, made[1])
    first = await tokens.list_tokens(access.deps, program.id, TokensQuery(limit=2))
    rest = await tokens.list_tokens(access.deps, program.id, TokensQuery(limit=2, cursor=first.next_cursor))
    listed = [*first.items, *rest.items]
    assert [(token.name, token.last_used_at is not None) for token in listed] == [
        ("t2", False), ("t1", True), ("t0", False),
    ]  # fmt: skip
    assert "token" not in listed[0].model_dump()
    with pytest.raises(NotFoundError):
        await tokens.list_tokens(access.deps, new_id(), TokensQuery())


async def test_the_last_use_of_a_token_is_written_once_a_minute(access: Access) -> None:
    program = await access.program()
    token = await tokens.create_service_token(access.deps, program.id, TokenIn(name="ci"), request=None)
    versions = []
    for seconds in (0, 30, 31):
        access.after(seconds=seconds)
        await identified(access, token)
        versions.append(access.rows("SELECT xmin::text FROM access.token")[0]["xmin"])
    assert versions[0] == versions[1] != versions[2]


async def test_a_repeated_creation_returns_the_token_without_its_secret_and_says_why(access: Access) -> None:
    program = await access.program()
    first, second = [
        await tokens.create_service_token(access.deps, program.id, TokenIn(name="ci"), request=REQUEST)
        for _ in range(2)
    ]
    assert second == first.model_copy(update={"token": None, "note": second.note})
    assert "revoke this token" in (second.note or "")
