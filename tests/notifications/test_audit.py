"""The messages that people send are in the audit, without the address."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.audit import BEARER, PRIYA, FakeAudit, closed_mode, on_behalf
from tests.fakes.receiver import Receiver, answers
from tests.notifications.conftest import Start
from tests.support.notifications.api import Service, message
from tests.support.waiting import eventually

WAITING = "SELECT id FROM notifications.audit_queue"


@pytest.fixture
async def audit() -> AsyncIterator[FakeAudit]:
    async with FakeAudit().serving() as peer:
        yield peer


@pytest.fixture
async def closed(start: Start, tmp_path: Path, audit: FakeAudit) -> Service:
    return await start(give_up_tries=1, **closed_mode(tmp_path, "notifications", audit))


async def test_a_message_sent_by_a_person_and_sent_again_is_recorded(
    closed: Service, audit: FakeAudit, receiver: Receiver
) -> None:
    receiver.script.append(answers(400))
    body = message(f"{receiver.url}/canary-path?key=canary")
    sent_twice = [await closed.post("/api/v1/notify", body, **BEARER, Idempotency_Key="k") for _ in range(2)]
    [notification] = {(await response.json())["notification_id"] for response in sent_twice}

    async def failed() -> bool:
        async with closed.client.get(f"/api/v1/notifications/{notification}", headers=BEARER) as shown:
            return bool((await shown.json())["status"] == "failed")

    await eventually(failed)
    path = f"/api/v1/notifications/{notification}/redeliver"
    assert (await closed.post(path, **BEARER)).status == 202
    await eventually(lambda: len(audit.entries) == 2)
    (sent, again) = audit.told()
    assert sent[:3] == ("message.send", "webhook message", None)
    assert sent[3] is not None
    assert sent[3]["incident_id"] == body["incident_id"]
    assert "canary" not in str([entry.model_dump() for entry in audit.entries.values()])
    assert again == ("message.redeliver", "webhook message", {"status": "failed"}, {"status": "queued"})
    assert {entry.principal.account_id for entry in audit.entries.values()} == {PRIYA.id}


async def test_a_page_of_a_service_is_not_recorded(
    closed: Service, audit: FakeAudit, receiver: Receiver, tmp_path: Path
) -> None:
    headers = on_behalf(tmp_path, "notifications", None)
    response = await closed.post("/api/v1/notify", message(receiver.url), **headers)
    assert response.status == 202
    assert (await closed.post("/api/v1/notify", message(receiver.url), **BEARER)).status == 202
    await eventually(lambda: len(audit.entries) == 1)
