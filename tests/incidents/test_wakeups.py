"""Which workers a correlated batch wakes: the outbox only if it wrote a message."""

import pytest

from tests.support.incidents.api import Api, alert
from tocsin.incidents.service import TIMELINE_ENTRIES
from tocsin.kernel.pg_notify import NotifyChannel


@pytest.fixture
def notified(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The topics of each notification; no topic stands for all of them."""
    found: list[tuple[str, ...]] = []
    notify = NotifyChannel.notify

    def record(channel: NotifyChannel, *topics: str) -> None:
        found.append(topics)
        notify(channel, *topics)

    monkeypatch.setattr(NotifyChannel, "notify", record)
    return found


async def test_an_alert_that_joins_an_incident_wakes_the_stream_and_not_the_outbox(
    api: Api, notified: list[tuple[str, ...]]
) -> None:
    await api.correlate(alert())
    assert (TIMELINE_ENTRIES,) not in notified
    await api.correlate(alert())
    assert notified.count((TIMELINE_ENTRIES,)) == 1


async def test_an_automatic_resolution_wakes_the_outbox(api: Api, notified: list[tuple[str, ...]]) -> None:
    firing = alert(dedup_key="disk")
    await api.correlate(firing)
    before = notified.count(())
    await api.correlate(firing | {"version": 2, "status": "resolved"})
    assert notified.count(()) > before
