"""What a principal may change, and which addresses they may see, by the teams of which they are a manager."""

from typing import Final
from uuid import UUID

from tocsin.kernel.db import Cursor, autocommit
from tocsin.kernel.principal import Principal, Scope
from tocsin.kernel.reader import READER, Reader
from tocsin.oncall.domain.authority import Authority
from tocsin.oncall.repository import managers
from tocsin.oncall.service import Deps

EVERYTHING: Final = Authority(everything=True)


async def find_authority(cur: Cursor, principal: Principal, *, lock: bool = False) -> Authority:
    """Return what *principal* may change; with *lock*, they stay a manager until the end of the transaction."""
    if Scope.ADMIN in principal.scopes:
        return EVERYTHING
    person_id = _managing_person(principal)
    if person_id is None:
        return Authority(everything=False)
    return Authority(everything=False, person_id=person_id, teams=await managers.find_teams(cur, person_id, lock=lock))


async def set_reader(deps: Deps, principal: Principal) -> None:
    """Let the response show the addresses that *principal* may see: their own, and those of the teams they manage."""
    if READER.get().sees_all or principal.person_id is None:
        return
    async with autocommit(deps.db) as cur:
        known = await managers.find_known_addresses(
            cur, principal.person_id, manages=_managing_person(principal) is not None
        )
    READER.set(Reader(sees_all=False, known=known))


def _managing_person(principal: Principal) -> UUID | None:
    return principal.person_id if Scope.MANAGE in principal.scopes else None
