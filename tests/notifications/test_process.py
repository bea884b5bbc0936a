"""notification-service as real processes: on the loop of production, killed, paused, stopped."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trustme
from aiohttp import ClientSession
from bench.receiver import own_address

from tests.fakes.mail import open_mail_server
from tests.fakes.receiver import Receiver, answers, answers_when
from tests.support.notifications.api import message, page
from tests.support.postgres import run
from tests.support.system import QUICK, Replica
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
Launch: TypeAlias = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def launch(db_dsn: str, tmp_path: Path) -> AsyncIterator[Launch]:
    """Start one more process; keyword arguments are its environment. No other service runs."""
    logs = (tmp_path / f"{number}.log" for number in count())
    async with AsyncExitStack() as stack:

        async def launched(**environment: str) -> Replica:
            around = {
                **QUICK,
                "LEASE_SECONDS": "60",  # longer than a busy machine pauses a process
                "SEND_TIMEOUT_SECONDS": "50",
                "DATABASE_URL": db_dsn,
                "INCIDENT_MANAGEMENT_URL": "http://127.0.0.1:1",
                "ONCALL_SERVICE_URL": "http://127.0.0.1:1",
                "WEBHOOK_ALLOWED_NETWORKS": f"{own_address()}/32",
                **environment,
            }
            replica = Replica("notifications", around, next(logs))
            stack.push_async_callback(end, replica)
            return await replica.start()

        yield launched


async def end(replica: Replica) -> None:
    replica.send(signal.SIGCONT)
    if replica.running:
        await replica.kill()


async def notify(replica: Replica, order: dict[str, Any]) -> str:
    """Queue a message; return its id."""
    async with ClientSession() as session, session.post(f"{replica.url}/api/v1/notify", json=order) as response:
        assert response.status == 202
        return str((await response.json())["notification_id"])


async def status(db_dsn: str, notification_id: str) -> str:
    """Return the final status of a message once it has one."""

    def ended() -> str | None:
        sql = "SELECT status FROM notifications.notification WHERE id = %(id)s AND status <> 'queued'"
        return next((str(row["status"]) for row in run(db_dsn, sql, {"id": notification_id})), None)

    found = await eventually(ended)
    assert found is not None
    return found


def end_lease(db_dsn: str, notification_id: str) -> None:
    """Expire a message's lease."""
    sql = "UPDATE notifications.notification SET next_attempt_at = tocsin.now() WHERE id = %(id)s"
    run(db_dsn, sql, {"id": notification_id})


async def test_after_a_kill_between_send_and_record_the_next_process_sends_with_the_same_id(
    launch: Launch, receiver: Receiver, db_dsn: str
) -> None:
    dying = await launch(FAILPOINT="notifications.mark:kill")
    notification = await notify(dying, page(receiver.url))
    assert await dying.exited() == -signal.SIGKILL
    assert receiver.deliveries == [notification]
    end_lease(db_dsn, notification)
    await launch()
    assert await status(db_dsn, notification) == "sent"
    assert receiver.deliveries == [notification] * 2


async def test_the_console_prints_a_readable_line_and_the_log_stays_json(launch: Launch, db_dsn: str) -> None:
    replica = await launch()
    await status(db_dsn, await notify(replica, page("console", channel="mock")))
    assert "PAGE to Priya Raman <console>: #2481 critical: Payments fail\n" in replica.log


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_mail_is_encrypted_on_the_loop_of_production(
    launch: Launch, db_dsn: str, tmp_path: Path, scheme: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    implicit, starttls = (context, None) if scheme == "smtps" else (None, context)
    async with open_mail_server(implicit=implicit, starttls=starttls, log_in=True) as mail:
        secret = tmp_path / "smtp_url"
        secret.write_text(f"{scheme}://tocsin:s3cret%2Fword@127.0.0.1:{mail.port}\n")
        environment = {"SMTP_URL_FILE": str(secret), "SMTP_FROM": "tocsin@halyard.example"}
        trusting = await launch(**environment, CA_BUNDLE=str(tmp_path / "ca.pem"))
        order = page("priya@halyard.example", channel="email")
        assert await status(db_dsn, await notify(trusting, order)) == "sent"
        assert [(received.encrypted, received.user) for received in mail.received] == [(True, "tocsin")]
        await trusting.kill()
        wary = await launch(**environment)
        order = page("priya@halyard.example", channel="email")
        assert await status(db_dsn, await notify(wary, order)) == "failed"
    assert "s3cret" not in trusting.log + wary.log


async def test_forbidden_addresses_are_refused_on_the_loop_of_production(launch: Launch, db_dsn: str) -> None:
    replica = await launch(WEBHOOK_ALLOWED_NETWORKS="0.0.0.0/0,::/0")
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "169.254.169.254"):  # noqa: S104
        notification = await notify(replica, message(f"http://{host}:{replica.port}/health"))
        assert await status(db_dsn, notification) == "failed"
        attempts = run(
            db_dsn, "SELECT answer FROM notifications.attempt WHERE notification_id = %(id)s", {"id": notification}
        )
        assert [row["answer"].endswith("webhooks must not reach it") for row in attempts] == [True], attempts


async def test_a_paused_sender_changes_nothing_after_its_lease(launch: Launch, receiver: Receiver, db_dsn: str) -> None:
    release = asyncio.Event()
    receiver.script.append(answers_when(release, answers(410)))
    paused = await launch()
    notification = await notify(paused, page(receiver.url))
    await eventually(lambda: receiver.received)
    paused.send(signal.SIGSTOP)
    await eventually(lambda: paused.paused)
    release.set()  # the response is there when the process resumes
    end_lease(db_dsn, notification)
    await launch()
    assert await status(db_dsn, notification) == "sent"
    paused.send(signal.SIGCONT)
    await eventually(lambda: "outcome discarded: a later attempt holds the message" in paused.log)
    assert await status(db_dsn, notification) == "sent"
    assert receiver.deliveries == [notification] * 2


async def test_a_stop_does_not_wait_for_a_receiver_that_hangs(launch: Launch, receiver: Receiver, db_dsn: str) -> None:
    receiver.script.append(answers_when(asyncio.Event(), answers(200)))
    stopping = await launch()
    notification = await notify(stopping, message(receiver.url))
    await eventually(lambda: receiver.received)
    assert await stopping.stop() == 0
    assert run(db_dsn, "SELECT count(*) FROM notifications.attempt") == [{"count": 0}], "the attempt was cut off"
    end_lease(db_dsn, notification)
    await launch()
    assert await status(db_dsn, notification) == "sent"
    assert receiver.deliveries == [notification] * 2
