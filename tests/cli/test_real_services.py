"""Commands against the five real services."""

import json

import pytest

from tests.support.cli.processes import tocsin, tocsin_up
from tocsin.cli.services import WEB

pytestmark = pytest.mark.slow


async def test_an_alert_is_sent_acknowledged_and_resolved_by_command(
    db_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", db_dsn)
    async with tocsin_up() as up:
        await up.wait_for_output("Tocsin is up")
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
