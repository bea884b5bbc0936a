"""What web-ui remembers for an outage: nobody is shown what only another reader may see."""

import pytest

from tocsin.kernel.errors import UpstreamError
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import ON_BEHALF_OF, Principal, PrincipalKind, Scope
from tocsin.web.app import create_app
from tocsin.web.settings import Settings
from tocsin.web.ui.page_loader import PageLoader
from tocsin.web.ui.shared_work import EVERYBODY, SharedWork

READ = {Scope.PUBLIC, Scope.FORWARD, Scope.READ}
MANAGE = READ | {Scope.RESPOND, Scope.MANAGE}


def account(*, person: bool = False, scopes: set[Scope] = READ) -> Principal:
    return Principal(PrincipalKind.PERSON, "Ada", frozenset(scopes), new_id(), new_id() if person else None)


ADMIN, MANAGER = account(scopes=set(Scope)), account(person=True, scopes=MANAGE)
VIEWER, RESPONDER, LINKED = account(), account(scopes=MANAGE), account(person=True, scopes=MANAGE)
LIMITED = Principal(PrincipalKind.PERSON, "Ada", frozenset(READ), MANAGER.id, MANAGER.person_id)


async def loaded(value: str) -> str:
    return value


async def away() -> str:
    msg = "on-call is away"
    raise UpstreamError(msg)


@pytest.mark.parametrize("reader", [VIEWER, RESPONDER, LINKED, LIMITED])
@pytest.mark.parametrize("owner", [ADMIN, MANAGER])
async def test_what_was_loaded_for_one_who_sees_more_is_shown_to_no_other(owner: Principal, reader: Principal) -> None:
    app = create_app(Settings())
    ON_BEHALF_OF.set(owner)
    await PageLoader(app).fetch_cached("schedules", "oncall-service", loaded("in clear"))
    assert (await PageLoader(app).fetch_cached("schedules", "oncall-service", away())).value == "in clear"
    ON_BEHALF_OF.set(reader)
    assert (await PageLoader(app).fetch_cached("schedules", "oncall-service", away())).value is None


@pytest.mark.parametrize("reader", [RESPONDER, LINKED, MANAGER, EVERYBODY])
async def test_what_everybody_may_see_is_shown_to_all_during_an_outage(reader: Principal) -> None:
    app = create_app(Settings())
    ON_BEHALF_OF.set(VIEWER)
    await PageLoader(app).fetch_cached("schedules", "oncall-service", loaded("masked"))
    ON_BEHALF_OF.set(reader)
    assert (await PageLoader(app).fetch_cached("schedules", "oncall-service", away())).value == "masked"


async def test_work_that_several_share_is_done_on_behalf_of_everybody() -> None:
    async def asked_for() -> Principal | None:
        return ON_BEHALF_OF.get()

    ON_BEHALF_OF.set(ADMIN)
    assert await SharedWork[Principal | None](EVERYBODY).get("now", asked_for, patient=False) == EVERYBODY
    assert await SharedWork[Principal | None]().get("now", asked_for, patient=False) is None
