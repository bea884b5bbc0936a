"""`tocsin up` from start to Ctrl-C, and the commands against its five services in between."""

import json
import signal

import pytest

from tests.support.cli.processes import tocsin, tocsin_up
from tocsin.cli.services import SERVICES, WEB

pytestmark = pytest.mark.slow


async def test_five_services_start_serve_every_command_and_stop_by_one_ctrl_c(
    db_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", db_dsn)
    async with tocsin_up(CORRELATE_TIMEOUT_SECONDS="30") as up:
        await up.wait_for_output("curl ")
        assert set(up.services()) == {service.name for service in SERVICES}
        assert all(up.endpoint.url(service) in up.output for service in SERVICES)
        niceness = {name: process.nice() for name, process in up.services().items()}
        assert niceness.pop("alerts") > max(niceness.values()), "acknowledging comes before more alerts"
        notifications = up.services()["notifications"]
        assert notifications.environ()["PUBLIC_URL"] == up.endpoint.url(WEB), "links lead to the printed address"
        await up.is_ready()

        monkeypatch.setenv("TOCSIN_URL", up.endpoint.url(WEB))
        checked = await tocsin("check", "--port-offset", str(up.endpoint.offset))
        assert (checked.status, checked.err) == (0, "")
        assert "All checks passed." in checked.out

        sent = json.loads((await tocsin("alert", "send", "checkout", "high", "slow", "--json")).out)
        assert sent["action"] == "new_incident"
        again = await tocsin("alert", "send", "checkout", "high", "still slow")
        assert "It was attached to incident #1 " in again.out
        assert "slow" in (await tocsin("incidents", "list", "--status", "open")).out
        assert "#1 slow: acknowledged" in (await tocsin("incidents", "ack", "1", "--actor", "Ada")).out
        assert "resolved after" in (await tocsin("incidents", "resolve", sent["incident_id"], "--note", "Gone.")).out
        shown = json.loads((await tocsin("incidents", "show", "1", "--json")).out)
        assert [note["text"] for note in shown["notes"]] == ["Gone."]
        late = await tocsin("incidents", "ack", "#1")
        assert late.status == 1
        assert "resolved" in late.err
        missing = await tocsin("incidents", "show", "99")
        assert (missing.status, missing.err) == (1, "tocsin: There is no incident #99.\n")

        up.signal(signal.SIGINT)
        assert await up.wait_for_exit() == 0
        assert up.lines[-1] == "Stopped."
