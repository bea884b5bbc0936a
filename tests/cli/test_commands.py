"""The commands that call a running Tocsin, each against a scripted gateway."""

import json
import os
from typing import Any

import pytest

from tests.cli.conftest import FakeGateway, problem
from tests.support.cli.processes import tocsin
from tocsin.contracts.incidents import IncidentSummary
from tocsin.kernel.build_info import VERSION
from tocsin.kernel.problems import DETAIL_OF

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
    "moved_alerts": [],
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
SCHEDULE: dict[str, Any] = {
    "id": ID,
    "team": "Payments",
    "rotation_type": "weekly",
    "members": [{"name": "Ada", "email": "ada@example.com", "role": "primary"}],
    "services": ["checkout", "billing"],
    "anchor": "2026-01-05T09:00:00",
    "created_at": "2026-11-21T10:00:00Z",
}


def accepted(action: str, incident_id: str | None = ID) -> dict[str, Any]:
    return {"alert_id": ALERT_ID, "incident_id": incident_id, "status": "correlated", "action": action}


async def test_a_sent_alert_carries_its_options_and_names_the_incident_that_it_opened(gateway: FakeGateway) -> None:
    gateway.responses["POST /api/v1/alerts"] = (201, accepted("new_incident"))
    gateway.responses[f"GET /api/v1/incidents/{ID}"] = (200, INCIDENT)
    result = await tocsin(
        *("alert", "send", "checkout", "CRITICAL", "p95 latency above 2 s"),
        *("--label", "region=eu", "--label", "url=http://x/?a=b", "--dedup-key", "latency"),
    )
    assert result.status == 0, result.err
    assert "It opened incident #12" in result.out
    assert f"{gateway.url}incidents/12" in result.out
    _, _, body = gateway.requests[0]
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
        ("repeated", "repeats an alert that is firing, in incident #12"),
        ("resolved", "It is resolved, in incident #12"),
    ],
)
async def test_a_sent_alert_reports_its_result(gateway: FakeGateway, action: str, words: str) -> None:
    gateway.responses["POST /api/v1/alerts"] = (201, accepted(action))
    gateway.responses[f"GET /api/v1/incidents/{ID}"] = (200, INCIDENT)
    result = await tocsin("alert", "send", "checkout", "critical", "slow", "--dedup-key", "k", "--resolved")
    assert words in result.out
    assert gateway.requests[0][2]["status"] == "resolved"


@pytest.mark.parametrize(("action", "words"), [("pending", "as soon as"), ("ignored", "opens no incident")])
async def test_an_alert_without_an_incident_is_reported_as_such(gateway: FakeGateway, action: str, words: str) -> None:
    gateway.responses["POST /api/v1/alerts"] = (202, accepted(action, None))
    result = await tocsin("alert", "send", "checkout", "critical", "slow")
    assert words in result.out
    assert len(gateway.requests) == 1


async def test_an_invalid_alert_is_refused_before_it_is_sent(gateway: FakeGateway) -> None:
    result = await tocsin("alert", "send", "checkout", "critical", "")
    assert result.status == 64
    assert "message: " in result.err
    result = await tocsin("alert", "send", "checkout", "critical", "slow", "--label", "region")
    assert "--label 'region' is not of the form NAME=VALUE" in result.err
    assert gateway.requests == []


async def test_incidents_are_listed_with_the_given_filters(gateway: FakeGateway) -> None:
    gateway.responses["GET /api/v1/incidents"] = (200, {"items": [INCIDENT], "next_cursor": None})
    result = await tocsin("incidents", "list", "--status", "open", "--service", "checkout", "--search", "latency")
    assert result.status == 0, result.err
    assert gateway.requests[0][1] == {"status": "open", "service": "checkout", "q": "latency", "limit": "50"}
    header, row = result.out.splitlines()
    assert header.split()[:4] == ["#", "severity", "status", "service"]
    assert "p95 latency [bold]above 2 s" in row
    assert row.split()[:4] == ["12", "critical", "open", "checkout"]


async def test_an_empty_list_of_incidents_is_a_sentence(gateway: FakeGateway) -> None:
    gateway.responses["GET /api/v1/incidents"] = (200, {"items": [], "next_cursor": None})
    assert (await tocsin("incidents", "list")).out == "No incident matches.\n"


async def test_an_incident_is_shown_with_its_timeline(gateway: FakeGateway) -> None:
    gateway.responses[f"GET {ONE}"] = (200, INCIDENT)
    result = await tocsin("incidents", "show", "#12")
    for words in ("#12 p95 latency [bold]above 2 s", "Since the deploy.", "Paged Ada by console.", "2 (1 firing)"):
        assert words in result.out


@pytest.mark.parametrize(("command", "status"), [("ack", "acknowledged"), ("resolve", "resolved")])
async def test_an_incident_is_changed_in_the_name_of_the_given_actor(
    gateway: FakeGateway, command: str, status: str
) -> None:
    changed = {**INCIDENT, "status": status, "mtta_seconds": 130.4}
    gateway.responses[f"PATCH {ONE}"] = (200, changed)
    result = await tocsin("incidents", command, "12", "--actor", "Ada", "--note", "On it.")
    assert gateway.requests[0][2] == {"status": status, "actor": "Ada", "notes": "On it."}
    assert result.out == f"#12 p95 latency [bold]above 2 s: {status} (acknowledged after 2 min 10 s)\n"


async def test_in_a_script_the_actor_is_the_user_of_the_machine(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.responses[f"PATCH {ONE}"] = (200, INCIDENT)
    monkeypatch.setenv("LOGNAME", "grace")
    await tocsin("incidents", "ack", "12")
    assert gateway.requests[0][2] == {"status": "acknowledged", "actor": "grace"}


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (("incidents", "list"), "GET /api/v1/incidents"),
        (("incidents", "show", "12"), f"GET {ONE}"),
        (("incidents", "ack", "12"), f"PATCH {ONE}"),
        (("incidents", "resolve", ID), f"PATCH /api/v1/incidents/{ID}"),
        (("alert", "send", "checkout", "low", "slow"), "POST /api/v1/alerts"),
    ],
)
async def test_json_is_the_response_of_the_api(gateway: FakeGateway, arguments: tuple[str, ...], target: str) -> None:
    response = {"items": [SUMMARY], "next_cursor": "c"} if target.endswith("/incidents") else INCIDENT
    response = accepted("pending", None) if target.startswith("POST") else response
    gateway.responses[target] = (200, response)
    result = await tocsin(*arguments, "--json")
    assert json.loads(result.out) == response


async def test_control_and_format_characters_of_an_alert_are_escaped(gateway: FakeGateway) -> None:
    forged = {
        **INCIDENT,
        "title": "\u202eslow\n#13 fine :kiss_man_man:",
        "description": "first\n#13 fine\x1b[2J",
        "service": "a\u200bb",
    }
    gateway.responses[f"GET {ONE}"] = (200, forged)
    shown = (await tocsin("incidents", "show", "12")).out
    assert r"#12 \u202eslow\n#13 fine :kiss_man_man:" in shown.splitlines()
    assert r"    #13 fine\x1b[2J" in shown.splitlines()
    assert r"a\u200bb" in shown
    as_json = (await tocsin("incidents", "show", "12", "--json")).out
    assert json.loads(as_json) == forged
    assert not {"\u202e", "\x1b", "\u200b"} & set(as_json)


async def test_people_on_call_are_listed_by_team(gateway: FakeGateway) -> None:
    now = {
        "team": "Payments",
        "primary": {"name": "Ada", "email": "ada@example.com"},
        "secondary": None,
        "at": "2026-11-21T10:00:00Z",
        "until": "2026-11-23T09:00:00Z",
        "time_zone": "Europe/Berlin",
    }
    gateway.responses["GET /api/v1/schedules"] = (200, {"items": [SCHEDULE], "next_cursor": None})
    gateway.responses["GET /api/v1/oncall/current"] = (200, now)
    result = await tocsin("oncall")
    assert gateway.requests[-1][1] == {"team": "Payments"}
    for words in ("Payments", "Ada <ada@example.com>", "checkout, billing"):
        assert words in result.out
    assert json.loads((await tocsin("oncall", "--json")).out) == {"teams": [now]}


async def test_without_a_team_the_page_and_the_command_that_create_one_are_named(gateway: FakeGateway) -> None:
    gateway.responses["GET /api/v1/schedules"] = (200, {"items": [], "next_cursor": None})
    shown = (await tocsin("oncall")).out
    assert f"{gateway.url}oncall/new" in shown
    assert "tocsin up --demo" in shown


async def test_an_unknown_team_is_refused_with_the_teams_that_exist(gateway: FakeGateway) -> None:
    gateway.responses["GET /api/v1/incidents"] = (200, {"items": [], "next_cursor": None})
    gateway.responses["GET /api/v1/schedules"] = (200, {"items": [SCHEDULE], "next_cursor": None})
    result = await tocsin("incidents", "list", "--team", "Nonsense")
    assert (result.status, result.out) == (1, "")
    assert result.err == "tocsin: there is no team 'Nonsense'\nTeams: Payments\n"
    assert (await tocsin("incidents", "list", "--team", "Payments")).out == "No incident matches.\n"
    gateway.responses["GET /api/v1/schedules"] = (200, {"items": [], "next_cursor": None})
    assert f"{gateway.url}oncall/new" in (await tocsin("incidents", "list", "--team", "Nonsense")).err


async def test_a_team_cannot_be_checked_without_the_on_call_service(gateway: FakeGateway) -> None:
    gateway.responses["GET /api/v1/incidents"] = (200, {"items": [], "next_cursor": None})
    gateway.responses["GET /api/v1/schedules"] = (503, problem(503, "oncall-service cannot be reached."))
    result = await tocsin("incidents", "list", "--team", "Payments")
    assert (result.status, result.out) == (0, "No incident matches.\n")


@pytest.mark.parametrize("command", ["show", "ack", "resolve"])
async def test_an_invalid_incident_reference_is_refused_before_a_request(gateway: FakeGateway, command: str) -> None:
    for wrong in ("foo", "12a", "#", "\N{SUPERSCRIPT TWO}"):
        result = await tocsin("incidents", command, wrong)
        assert result.status == os.EX_USAGE
        assert result.err.startswith(f"tocsin: {wrong!r} is neither an incident's number, such as 12, nor its id\n")
        assert "incidents list" in result.err
    assert gateway.requests == []


@pytest.mark.parametrize("status", [404, 409])
async def test_a_refusal_is_printed_in_the_words_of_the_api(gateway: FakeGateway, status: int) -> None:
    gateway.responses[f"PATCH {ONE}"] = (status, problem(status, "The incident is resolved; nothing follows."))
    result = await tocsin("incidents", "ack", "12")
    assert (result.status, result.out) == (1, "")
    assert result.err == "tocsin: The incident is resolved; nothing follows.\n"


async def test_an_address_at_which_nothing_responds_is_named_with_what_to_set() -> None:
    result = await tocsin("incidents", "list", "--url", "http://127.0.0.1:1")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("tocsin: nothing responds at http://127.0.0.1:1 (Connection refused)\n")
    assert "Set --url or TOCSIN_URL to Tocsin's address. To start Tocsin: " in result.err
    assert "incident-management" not in result.err


@pytest.mark.parametrize(
    ("status", "response"),
    [(200, "<html>"), (302, "Found"), (404, "Not found"), (404, problem(404, DETAIL_OF[404]))],
)
async def test_a_server_that_is_not_tocsin_is_named_with_what_to_set(
    gateway: FakeGateway, status: int, response: Any
) -> None:
    gateway.responses["GET /api/v1/incidents"] = (status, response)
    result = await tocsin("incidents", "list")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"tocsin: the server at {gateway.url} does not respond as Tocsin {VERSION} does\n")
    assert "Set --url or TOCSIN_URL" in result.err


async def test_a_service_that_is_down_behind_the_gateway_is_named(gateway: FakeGateway) -> None:
    gateway.responses["GET /api/v1/incidents"] = (503, problem(503, "incident-management cannot be reached."))
    result = await tocsin("incidents", "list")
    assert result.status == 1
    assert f"{gateway.url}: incident-management returns 503" in result.err
    assert "tocsin check" in result.err


async def test_an_invalid_address_is_refused() -> None:
    result = await tocsin("oncall", "--url", "ftp://x")
    assert result.status == os.EX_USAGE
    assert result.err.startswith("tocsin: --url or TOCSIN_URL is 'ftp://x', which is not a URL")
