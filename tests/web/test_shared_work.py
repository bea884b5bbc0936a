"""Requests for the same thing share work that begins after they arrive; many refreshes share one a second."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.waiting import eventually
from tests.support.web.browser_queries import FRAGMENTS, read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client
from tocsin.contracts.incidents import IncidentStatus
from tocsin.kernel import tasks
from tocsin.kernel.tasks import create_task
from tocsin.web.ui import shared_work
from tocsin.web.ui.shared_work import CROWD, SharedWork

ANN = {"Cookie": "tocsin_actor=Ann"}


class Worker:
    """Counts pieces of work; each lasts while the gate is closed."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.shared = SharedWork[int]()

    async def work(self) -> int:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        return number

    def request(self, key: str = "/", *, patient: bool = True) -> asyncio.Task[int]:
        return create_task(self.shared.get(key, self.work, patient=patient), name="request")


@pytest.fixture
def elapse(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the interval of the work, which is an hour unless the test says otherwise."""

    def set_interval(seconds: float) -> None:
        monkeypatch.setattr(shared_work, "INTERVAL_SECONDS", seconds)

    set_interval(3_600.0)
    return set_interval


async def test_requests_share_work_that_began_after_they_arrived(elapse: Callable[[float], None]) -> None:
    elapse(0.0)
    worker = Worker()
    worker.gate.clear()
    first = worker.request()
    await eventually(lambda: worker.begun == 1)
    others = [worker.request() for _ in range(3)]
    another = worker.request("/incidents")
    await eventually(lambda: worker.begun == 2)
    worker.gate.set()
    assert (await first, await another) == (1, 2)
    assert [await other for other in others] == [3, 3, 3]


@pytest.mark.usefixtures("elapse")
async def test_few_refreshes_do_not_wait() -> None:
    worker = Worker()
    assert [await worker.request() for _ in range(CROWD - 1)] == [1, 2, 3, 4]


@pytest.mark.usefixtures("elapse")
async def test_many_refreshes_wait_for_each_other_until_someone_opens_the_page() -> None:
    worker = Worker()
    for _ in range(CROWD - 1):
        await worker.request()
    refreshes = [worker.request() for _ in range(30)]
    other = worker.request("/incidents")
    assert await other == CROWD
    assert not any(refresh.done() for refresh in refreshes)
    assert await worker.request(patient=False) == CROWD + 1
    assert {await refresh for refresh in refreshes} == {CROWD + 1}


async def test_refreshes_wait_no_longer_than_the_interval(elapse: Callable[[float], None]) -> None:
    elapse(0.3)
    worker = Worker()
    assert max(await tasks.gather(*(worker.request() for _ in range(30)))) <= 2
    assert await worker.request() <= 3


async def test_an_error_reaches_each_request_and_the_next_work_begins(elapse: Callable[[float], None]) -> None:
    elapse(0.0)
    shared = SharedWork[int]()

    async def fail() -> int:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            await shared.get("/", fail, patient=False)


async def test_browsers_that_refresh_at_the_same_time_load_the_services_once_and_see_the_last_change(
    client: Client, services: Services, elapse: Callable[[float], None]
) -> None:
    elapse(0.5)
    services.fill()
    for _ in range(CROWD):
        await read(client, "/")
    before = services.incidents.lists
    services.incidents.change(2481, IncidentStatus.ACKNOWLEDGED, "Ann")
    pages = await tasks.gather(*(read(client, "/", headers=FRAGMENTS) for _ in range(30)))
    assert all("1 incident is unacknowledged" in page.text() for page in pages)
    assert services.incidents.lists - before <= 2


async def test_each_visitor_gets_a_page_with_their_own_name(client: Client, services: Services) -> None:
    services.fill()
    pages = await tasks.gather(*(read(client, "/", headers=headers) for headers in (ANN, {}, ANN, {})))
    assert ["Ann" in page.text() for page in pages] == [True, False, True, False]
