"""A new channel is one file and one line: a made-up one appears everywhere, and delivers."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession
from bench.receiver import own_address

from tests.fakes.loft import TOKEN, Loft, open_loft
from tests.support.channels import pigeon
from tests.support.notifications.api import page
from tests.support.system import QUICK, Replica
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
RING = "DE-4711:2481"
SERVICES = ("oncall", "notifications", "web")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with the package as it is, one file and one line added."""
    own = tmp_path / "checkout" / "src" / "tocsin"
    own.mkdir(parents=True)
    for path in (ROOT / "src" / "tocsin").iterdir():
        if path.name != "channels":
            (own / path.name).symlink_to(path)
    for name in ("docs", "sql"):
        (own.parents[1] / name).symlink_to(ROOT / name)
    channels = shutil.copytree(ROOT / "src" / "tocsin" / "channels", own / "channels")
    shutil.copy(pigeon.__file__, channels / "pigeon.py")
    registry = channels / "__init__.py"
    registry.write_text(registry.read_text().replace('    "email",\n', '    "email",\n    "pigeon",\n'))
    return own.parent


@pytest.fixture
async def loft() -> AsyncIterator[Loft]:
    async with open_loft() as opened:
        yield opened


@pytest.fixture
def environment(package: Path, db_dsn: str, loft: Loft) -> dict[str, str]:
    return {
        **QUICK,
        "LEASE_SECONDS": "30",  # a busy machine is not a stuck one
        "PYTHONPATH": str(package),
        "DATABASE_URL": db_dsn,
        "PIGEON_LOFT_URL": loft.url,
        "PIGEON_TOKEN": TOKEN,
        "WEBHOOK_ALLOWED_NETWORKS": f"{own_address()}/32",
        "INCIDENT_MANAGEMENT_URL": "http://127.0.0.1:1",
        "ALERT_INGESTION_URL": "http://127.0.0.1:1",
    }


@pytest.fixture
async def services(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[dict[str, Replica]]:
    async with AsyncExitStack() as stack:
        started: dict[str, Replica] = {}
        for service in SERVICES:
            urls = {
                "ONCALL_SERVICE_URL": started["oncall"].url if "oncall" in started else "http://127.0.0.1:1",
                "NOTIFICATION_SERVICE_URL": (
                    started["notifications"].url if "notifications" in started else "http://127.0.0.1:1"
                ),
            }
            replica = Replica(service, {**environment, **urls}, tmp_path / f"{service}.log")
            stack.push_async_callback(replica.stop)
            started[service] = await replica.start(until_ready=service != "web")
        yield started


async def text_of(session: ClientSession, url: str) -> str:
    async def answers() -> bool:
        try:
            async with session.get(url) as response:
                return response.status == 200
        except ClientError:
            return False

    await eventually(answers)
    async with session.get(url) as response:
        return await response.text()


async def answer(session: ClientSession, url: str, body: Any) -> tuple[int, Any]:
    async with session.post(url, json=body) as response:
        return response.status, await response.json()


async def said_by(environment: dict[str, str], program: str, *arguments: str) -> str:
    """Run *program* with the package; return what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        *arguments,
        env={**os.environ, **environment, "COLUMNS": "400"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()


async def test_one_file_and_one_line_make_a_channel(services: dict[str, Replica], loft: Loft) -> None:
    loft.fogs = 1
    order = page(RING, channel="pigeon")
    async with ClientSession() as session:
        url = services["notifications"].url
        assert (await answer(session, f"{url}/api/v1/notify", order))[0] == 202
        status, problem = await answer(session, f"{url}/api/v1/notify", page("Coo", channel="pigeon"))
        assert (status, problem["errors"][0]["detail"]) == (422, f"not a ring number with its PIN, such as {RING}")
        found: dict[str, Any] = {}

        async def sent() -> bool:
            async with session.get(f"{url}/api/v1/notifications", params={"channel": "pigeon"}) as response:
                [found["message"]] = (await response.json())["items"]
            return bool(found["message"]["status"] == "sent")

        await eventually(sent)
        flight = {"ring": "DE-4711", "pin": "2481", "note": "Payments fail", "flight": order["notification_id"]}
        assert loft.flights == [flight]
        attempts = [(item["outcome"], item["code"], item["answer"]) for item in found["message"]["attempts"]]
        assert attempts == [("retry", 503, "fog"), ("sent", 202, "took off")]
        assert found["message"]["recipient"] == "DE-4711:***"
        metrics = await text_of(session, f"{url}/metrics")
        assert 'notifications_sent_total{channel="pigeon",status="sent"} 1.0' in metrics
        assert 'tocsin_notifications_attempts_total{channel="pigeon",outcome="retry"} 1.0' in metrics

        url = services["oncall"].url
        person = {"name": "Priya", "email": "priya@example.org", "contacts": [{"channel": "pigeon", "address": RING}]}
        schedule = {"team": "Payments", "rotation_type": "weekly", "members": [person]}
        assert (await answer(session, f"{url}/api/v1/schedules", schedule))[0] == 201
        person["contacts"] = [{"channel": "pigeon", "address": "Coo"}]
        status, problem = await answer(session, f"{url}/api/v1/schedules", schedule)
        assert (status, problem["errors"][0]["pointer"]) == (422, "#/members/0/contacts/0")
        assert 'oncall_notifications_sent_total{channel="pigeon"} 0.0' in await text_of(session, f"{url}/metrics")
        assert '"pigeon"' in await text_of(session, f"{url}/openapi.json")

        url = services["web"].url
        assert f"pigeon {RING}" in await text_of(session, f"{url}/oncall/new")
        shown = await text_of(session, f"{url}/notifications?channel=pigeon")
        assert re.search(r'<option value="pigeon" selected>Carrier pigeon</option>', shown)


async def test_its_settings_are_checked_and_documented(environment: dict[str, str]) -> None:
    check = "from tocsin.cli import main; main()"
    without = {name: value for name, value in environment.items() if name != "PIGEON_LOFT_URL"}
    assert "not by carrier pigeon: set PIGEON_LOFT_URL and PIGEON_TOKEN" in await said_by(without, check, "check")
    pages = (
        "from tests.support import channels_page, settings_page; print(channels_page.render(), settings_page.render())"
    )
    written = await said_by(environment, pages)
    assert "| Carrier pigeon | `pigeon` | a ring number and its PIN | `DE-4711:2481` | set PIGEON_LOFT_URL" in written
    assert "| `PIGEON_TOKEN` |  | secret | The key to the loft. |" in written
