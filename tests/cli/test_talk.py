"""What people say to a running Tocsin, and what it answers: each command against a gateway of the test's."""

import json
from typing import Any

import pytest

from tests.cli.conftest import FakeGateway, problem
from tests.support.cli.processes import tocsin
from tocsin.contracts.incidents import IncidentSummary

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
ALERT_ID = "01890a5d-ac96-774b-bcce-b302099a8058"
INCIDENT: dict[str, Any] = {
    "id": ID,
    "number": 12,
    "title": "p95 latency [bold]above 2 s",
    "description": "Since the deploy.",
    "service": "checkout",
    "severity": "critical",
    "status": "open",
    "team": "Payments",
    "assigned_to": "Ada",
    "alert_count": 2,
    "firing_count": 1,
    "version": 1,
    "created_at": "2026-11-21T10:00:00Z",
    "updated_at": "2026-11-21T10:00:00Z",
    "acknowledged_at": None,
    "resolved_at": None,
    "mtta_seconds": None,
    "mttr_seconds": None,
    "alerts": [],
    "alerts_total": 2,
    "notes": [],
    "timeline": [
        {
            "id": ID,
            "event_type": "paged",
            "actor": "on-call",
            "detail": "Paged Ada by console.",
            "data": {},
            "created_at": "2026-11-21T10:00:01Z",
        }
    ],
    "timeline_cursor": None,
}
SUMMARY = {name: INCIDENT[name] for name in IncidentSummary.model_fields}
ONE = "/api/v1/incidents/12"


def accepted(action: str, incident_id: str | None = ID) -> dict[str, Any]:
    return {"alert_id": ALERT_ID, "incident_id": incident_id, "status": "correlated", "action": action}


async def test_a_sent_alert_carries_all_that_was_said_and_tells_which_incident_it_opened(gateway: FakeGateway) -> None:
    gateway.answers["POST /api/v1/alerts"] = (201, accepted("new_incident"))
    gateway.answers[f"GET /api/v1/incidents/{ID}"] = (200, INCIDENT)
    said = await tocsin(
        *("alert", "send", "checkout", "CRITICAL", "p95 latency above 2 s"),
        *("--label", "region=eu", "--label", "url=http://x/?a=b", "--dedup-key", "latency"),
    )
    assert said.status == 0, said.err
    assert "It opened incident #12" in said.out
    assert f"{gateway.url}incidents/12" in said.out
    _, _, body = gateway.asked[0]
    assert body["service"] == "checkout"
    assert body["severity"] == "critical"
    assert body["labels"] == {"region": "eu", "url": "http://x/?a=b"}
    assert body["dedup_key"] == "latency"
    assert body["status"] == "firing"
    assert gateway.headers[0]["Idempotency-Key"]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("attached_to_existing_incident", "attached to incident #12"),
        ("repeated", "counts once more in incident #12"),
        ("resolved", "It is resolved, in incident #12"),
    ],
)
async def test_a_sent_alert_tells_what_became_of_it(gateway: FakeGateway, action: str, words: str) -> None:
    gateway.answers["POST /api/v1/alerts"] = (201, accepted(action))
    gateway.answers[f"GET /api/v1/incidents/{ID}"] = (200, INCIDENT)
    said = await tocsin("alert", "send", "checkout", "critical", "slow", "--dedup-key", "k", "--resolved")
    assert words in said.out
    assert gateway.asked[0][2]["status"] == "resolved"


@pytest.mark.parametrize(("action", "words"), [("pending", "as soon as"), ("ignored", "opens nothing")])
async def test_an_alert_without_an_incident_says_so(gateway: FakeGateway, action: str, words: str) -> None:
    gateway.answers["POST /api/v1/alerts"] = (202, accepted(action, None))
    said = await tocsin("alert", "send", "checkout", "critical", "slow")
    assert words in said.out
    assert len(gateway.asked) == 1


async def test_an_alert_that_the_api_would_not_take_is_refused_before_it_is_sent(gateway: FakeGateway) -> None:
    said = await tocsin("alert", "send", "checkout", "critical", "")
    assert said.status == 64
    assert "message: " in said.err
    said = await tocsin("alert", "send", "checkout", "critical", "slow", "--label", "region")
    assert "--label 'region' is not of the form NAME=VALUE" in said.err
    assert gateway.asked == []


async def test_incidents_are_listed_with_the_filters_asked_for(gateway: FakeGateway) -> None:
    gateway.answers["GET /api/v1/incidents"] = (200, {"items": [INCIDENT], "next_cursor": None})
    said = await tocsin("incidents", "list", "--status", "open", "--service", "checkout", "--search", "latency")
    assert said.status == 0, said.err
    assert gateway.asked[0][1] == {"status": "open", "service": "checkout", "q": "latency", "limit": "50"}
    header, row = said.out.splitlines()
    assert header.split()[:4] == ["#", "severity", "status", "service"]
    assert "p95 latency [bold]above 2 s" in row
    assert row.split()[:4] == ["12", "critical", "open", "checkout"]


async def test_no_incidents_are_a_sentence(gateway: FakeGateway) -> None:
    gateway.answers["GET /api/v1/incidents"] = (200, {"items": [], "next_cursor": None})
    assert (await tocsin("incidents", "list")).out == "There is no such incident.\n"


async def test_an_incident_is_shown_with_its_timeline(gateway: FakeGateway) -> None:
    gateway.answers[f"GET {ONE}"] = (200, INCIDENT)
    said = await tocsin("incidents", "show", "#12")
    for words in ("#12 p95 latency [bold]above 2 s", "Since the deploy.", "Paged Ada by console.", "2 (1 firing)"):
        assert words in said.out


@pytest.mark.parametrize(("command", "status"), [("ack", "acknowledged"), ("resolve", "resolved")])
async def test_an_incident_is_answered_in_the_name_given(gateway: FakeGateway, command: str, status: str) -> None:
    answered = {**INCIDENT, "status": status, "mtta_seconds": 130.4}
    gateway.answers[f"PATCH {ONE}"] = (200, answered)
    said = await tocsin("incidents", command, "12", "--actor", "Ada", "--note", "On it.")
    assert gateway.asked[0][2] == {"status": status, "actor": "Ada", "notes": "On it."}
    assert said.out == f"#12 p95 latency [bold]above 2 s: {status} (acknowledged after 2 min 10 s)\n"


async def test_who_acts_is_the_user_unless_told_otherwise(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.answers[f"PATCH {ONE}"] = (200, INCIDENT)
    monkeypatch.setenv("LOGNAME", "grace")
    await tocsin("incidents", "ack", "12")
    assert gateway.asked[0][2] == {"status": "acknowledged", "actor": "grace"}


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("incidents", "list"), "GET /api/v1/incidents"),
        (("incidents", "show", "12"), f"GET {ONE}"),
        (("incidents", "ack", "12"), f"PATCH {ONE}"),
        (("incidents", "resolve", ID), f"PATCH /api/v1/incidents/{ID}"),
        (("alert", "send", "checkout", "low", "slow"), "POST /api/v1/alerts"),
    ],
)
async def test_json_is_what_the_api_answered(gateway: FakeGateway, arguments: tuple[str, ...], asked: str) -> None:
    answer = {"items": [SUMMARY], "next_cursor": "c"} if asked.endswith("/incidents") else INCIDENT
    answer = accepted("pending", None) if asked.startswith("POST") else answer
    gateway.answers[asked] = (200, answer)
    said = await tocsin(*arguments, "--json")
    assert json.loads(said.out) == answer


async def test_who_is_on_call_is_listed_team_by_team(gateway: FakeGateway) -> None:
    schedule = {
        "id": ID,
        "team": "Payments",
        "rotation_type": "weekly",
        "members": [{"name": "Ada", "email": "ada@example.com", "role": "primary"}],
        "services": ["checkout", "billing"],
        "anchor": "2026-01-05T09:00:00",
        "created_at": "2026-11-21T10:00:00Z",
    }
    now = {
        "team": "Payments",
        "primary": {"name": "Ada", "email": "ada@example.com"},
        "secondary": None,
        "at": "2026-11-21T10:00:00Z",
        "until": "2026-11-23T09:00:00Z",
    }
    gateway.answers["GET /api/v1/schedules"] = (200, {"items": [schedule], "next_cursor": None})
    gateway.answers["GET /api/v1/oncall/current"] = (200, now)
    said = await tocsin("oncall")
    assert gateway.asked[-1][1] == {"team": "Payments"}
    for words in ("Payments", "Ada <ada@example.com>", "checkout, billing"):
        assert words in said.out
    assert json.loads((await tocsin("oncall", "--json")).out) == {"teams": [now]}


async def test_no_team_is_a_sentence_that_says_how_to_make_one(gateway: FakeGateway) -> None:
    gateway.answers["GET /api/v1/schedules"] = (200, {"items": [], "next_cursor": None})
    assert "/api/v1/schedules" in (await tocsin("oncall")).out


@pytest.mark.parametrize("status", [404, 409])
async def test_a_refusal_is_told_in_the_apis_words(gateway: FakeGateway, status: int) -> None:
    gateway.answers[f"PATCH {ONE}"] = (status, problem(status, "The incident is resolved; nothing follows."))
    said = await tocsin("incidents", "ack", "12")
    assert (said.status, said.out) == (1, "")
    assert said.err == "tocsin: The incident is resolved; nothing follows.\n"


async def test_a_gateway_that_is_away_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_URL", "http://127.0.0.1:1")
    said = await tocsin("incidents", "list")
    assert said.status == 1
    assert "http://127.0.0.1:1: incident-management cannot be reached" in said.err
    assert "tocsin up" in said.err
    assert "Traceback" not in said.err


async def test_an_address_that_is_none_is_named_with_its_variable() -> None:
    said = await tocsin("oncall", "--url", "ftp://x")
    assert said.status == 64
    assert "'ftp://x'" in said.err
