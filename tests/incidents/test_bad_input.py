import asyncio
import json
from io import BytesIO
from itertools import product
from typing import Any

from tests.incidents.conftest import Query
from tests.support.incidents.api import Api, alert
from tests.support.postgres import run
from tests.support.waiting import eventually

PATH = "/api/v1/incidents"
GOOD = {"title": "Disk full", "service": "db", "severity": "low"}
UNKNOWN = "00000000-0000-7000-8000-000000000000"
WRITES = [
    ("POST", PATH),
    ("POST", f"{PATH}/correlate"),
    ("POST", f"{PATH}/states"),
    ("PATCH", f"{PATH}/1"),
    ("POST", f"{PATH}/1/timeline"),
]


async def send(api: Api, method: str, path: str, body: bytes | BytesIO) -> tuple[int, dict[str, Any]]:
    async with api.client.request(method, path, data=body) as response:
        if response.status >= 400:
            assert response.content_type == "application/problem+json"
        return response.status, await response.json(content_type=None)


async def test_a_body_that_is_not_json_is_malformed(api: Api) -> None:
    await api.open()
    bodies = [b"", b"{", b"not json", b'{"title": "\xff"}', b"\x00", b"[" * 29_000]
    for (method, path), body in product(WRITES, bodies):
        status, problem = await send(api, method, path, body)
        assert (status, problem["type"]) == (400, "urn:tocsin:problem:malformed-request"), (path, body[:20])


async def test_json_of_another_type_is_refused(api: Api) -> None:
    await api.open()
    for (method, path), body in product(WRITES, [b"[]", b"null", b'"text"', b"12"]):
        assert (await send(api, method, path, body))[0] == 422, (path, body)


INCIDENTS_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"title": None}, "#/title"),
    ({"title": ""}, "#/title"),
    ({"title": " \t "}, "#/title"),
    ({"title": "x" * 513}, "#/title"),
    ({"title": 12}, "#/title"),
    ({"service": ""}, "#/service"),
    ({"service": "x" * 257}, "#/service"),
    ({"severity": "apocalyptic"}, "#/severity"),
    ({"severity": 1}, "#/severity"),
    ({"description": "x" * 65_537}, "#/description"),
    ({"assigned_to": []}, "#/assigned_to"),
]


async def test_an_invalid_incident_is_refused_with_a_pointer(api: Api) -> None:
    for change, pointer in INCIDENTS_REFUSED:
        answer = await api.ask("POST", PATH, GOOD | change)
        assert answer.status == 422, change
        assert answer.body["errors"][0]["pointer"] == pointer
    assert (await api.get(PATH)).body["items"] == []


TEXTS = ["é 漢字 🙂", "tab\tline\nend", "\x01\x1b[31m\x7f", "'; --", "%s %(x)s", "{}", "\\", "\u202e"]


async def test_any_text_is_stored_unchanged(api: Api) -> None:
    for text in TEXTS:
        incident = await api.open(title=f"a{text}z", description=text, service=f"s{text}z")
        shown = await api.change(incident.id, notes=text)
        assert (shown.title, shown.description, shown.service) == (f"a{text}z", text, f"s{text}z")
        assert shown.notes[0].text == text
        assert (await api.get(PATH, service=f"s{text}z")).body["items"][0]["id"] == str(incident.id)


async def test_nul_becomes_a_replacement_character_in_every_field(api: Api) -> None:
    incident = await api.open(title="a\0b", service="s\0", description="\0", assigned_to="B\0b", actor="d\0")
    assert (incident.title, incident.service, incident.description) == ("a\ufffdb", "s\ufffd", "\ufffd")
    assert incident.assigned_to == "B\ufffdb"
    noted = await api.change(incident.id, notes="n\0")
    assert noted.notes[0].text == "n\ufffd"
    report = {"event_key": "k\0", "event_type": "paged", "actor": "a\0", "detail": "d\0", "data": {"\0": ["\0"]}}
    answer = await api.ask("POST", f"{PATH}/{incident.id}/timeline", report)
    assert (answer.status, answer.body["data"]) == (201, {"\ufffd": ["\ufffd"]})
    reported = alert(
        service="s\0", message="m\0", labels={"l\0": "v\0"}, source="x\0", dedup_key="k\0", remark="r\0", severity="low"
    )
    [result] = await api.correlate(reported)
    assert (await api.show(result["incident_id"])).alerts[0].labels == {"l\ufffd": "v\ufffd"}
    for name in ("service", "assigned_to", "team", "q"):
        assert (await api.get(PATH, **{name: "a\0b"})).status == 200


STATES_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"version": 0}, "/version"),
    ({"version": 2**31}, "/version"),
    ({"occurrences": 2**31}, "/occurrences"),
    ({"alert_id": "one"}, "/alert_id"),
    ({"status": "flapping"}, "/status"),
    ({"severity": "CRITICAL"}, "/severity"),
    ({"service": ""}, "/service"),
    ({"labels": {str(number): "v" for number in range(129)}}, "/labels"),
    ({"labels": {"nested": {}}}, "/labels/nested"),
    ({"last_seen_at": "never"}, "/last_seen_at"),
]


async def test_an_invalid_alert_state_is_refused_with_its_batch(api: Api) -> None:
    for change, pointer in STATES_REFUSED:
        answer = await api.ask("POST", f"{PATH}/correlate", {"alerts": [alert(), alert(**change)]})
        assert answer.status == 422, change
        assert answer.body["errors"][0]["pointer"] == f"#/alerts/1{pointer}"
    assert (await api.get(PATH)).body["items"] == []


async def test_a_batch_of_nothing_but_errors_is_refused_at_the_first(api: Api) -> None:
    answer = await api.ask("POST", f"{PATH}/correlate", {"alerts": [{}] * 4_000})
    assert answer.status == 422
    assert {error["pointer"].split("/")[2] for error in answer.body["errors"]} == {"0"}


async def test_a_body_with_too_many_values_is_refused_before_it_is_validated(api: Api) -> None:
    body = BytesIO(b'{"alerts":[%b]}' % b",".join([b"{}"] * 300_001))
    status, problem = await send(api, "POST", f"{PATH}/correlate", body)
    assert status == 413
    assert "values" in problem["detail"]


async def test_alerts_of_any_year_are_stored_unchanged(api: Api) -> None:
    for given, stored in [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30:00", "2026-10-25T02:30:00Z"),
    ]:
        [result] = await api.correlate(alert(fired_at=given, last_seen_at=given))
        shown = (await api.get(f"{PATH}/{result['incident_id']}")).body["alerts"][0]
        assert shown["last_seen_at"] == stored


async def test_an_incident_has_a_title_for_any_alert_message(api: Api) -> None:
    messages = ["", " \n ", "\n\nfirst line that says something\nsecond", "x" * 60_000]
    titles = ["Alert of 0", "Alert of 1", "first line that says something", "x" * 199 + "…"]
    for number, (message, title) in enumerate(zip(messages, titles, strict=True)):
        [result] = await api.correlate(alert(message=message, service=str(number)))
        shown = await api.show(result["incident_id"])
        assert (shown.title, shown.description) == (title, message)


async def test_numbers_and_nesting_that_cannot_be_stored_are_refused(api: Api) -> None:
    incident = await api.open()
    head = b'{"event_key": "k", "event_type": "paged", "actor": "a", "detail": "d", "data": {"n": '
    for value, refused in [(b"1e400", 422), (b"[[-1e999]]", 422), (b"9" * 5000, 400), (b"[" * 300, 400)]:
        status, _ = await send(api, "POST", f"{PATH}/{incident.id}/timeline", head + value + b"}}")
        assert status == refused, value[:20]


async def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    await api.open()
    body = json.dumps({"title": "x" * 600_000}).encode()
    for method, path in WRITES:
        if path != f"{PATH}/correlate":
            status, problem = await send(api, method, path, body)
            assert (status, problem["type"]) == (413, "urn:tocsin:problem:too-large"), path


async def test_a_batch_may_be_large_up_to_a_limit(api: Api) -> None:
    assert (await send(api, "POST", f"{PATH}/correlate", BytesIO(b" " * (8 * 1024 * 1024 + 1))))[0] == 413
    batch = {"alerts": [alert(message="m" * 3000) for _ in range(1000)]}
    status, reported = await send(api, "POST", f"{PATH}/correlate", BytesIO(json.dumps(batch).encode()))
    assert (status, len(reported["results"])) == (200, 1000)
    too_many = json.dumps({"alerts": [alert()] * 1001}).encode()
    assert (await send(api, "POST", f"{PATH}/correlate", BytesIO(too_many)))[0] == 422


async def test_a_compressed_body_is_refused(api: Api) -> None:
    async with api.client.post(PATH, data=b"x", headers={"Content-Encoding": "gzip"}) as response:
        assert response.status == 415


METHODS_REFUSED = [
    ("DELETE", PATH, {"GET", "HEAD", "POST"}),
    ("PUT", f"{PATH}/1", {"GET", "HEAD", "PATCH"}),
    ("GET", f"{PATH}/correlate", {"POST"}),
    ("GET", f"{PATH}/states", {"POST"}),
    ("HEAD", f"{PATH}/stream", {"GET"}),
    ("PATCH", f"{PATH}/stats/summary", {"GET", "HEAD"}),
    ("POST", f"{PATH}/counts", {"GET", "HEAD"}),
    ("DELETE", f"{PATH}/{UNKNOWN}/timeline", {"GET", "HEAD", "POST"}),
]


async def test_a_wrong_method_is_a_405_with_the_allowed_ones(api: Api) -> None:
    for method, path, allowed in METHODS_REFUSED:
        answer = await api.ask(method, path)
        assert answer.status == 405, path
        assert {name.strip() for name in answer.headers["Allow"].split(",")} == allowed


async def test_an_unknown_address_is_not_found(api: Api) -> None:
    for path in ("/", "/api/v1/incident", f"{PATH}/1/nothing", f"{PATH}/stats", f"{PATH}/"):
        assert (await api.ask("GET", path)).status == 404, path


async def test_an_invalid_idempotency_key_is_refused(api: Api) -> None:
    for key in ("", "x" * 256, "a\tb"):
        answer = await api.ask("POST", PATH, GOOD, Idempotency_Key=key)
        assert answer.status == 422, key
        assert answer.body["errors"][0]["pointer"] == "Idempotency-Key"


async def test_an_unavailable_database_is_a_503_and_a_later_retry_succeeds(api: Api, query: Query, db_dsn: str) -> None:
    [row] = query("SELECT current_database() AS name")
    server = db_dsn.replace(row["name"], "postgres")
    incident = await api.open()
    run(server, f"ALTER DATABASE {row['name']} ALLOW_CONNECTIONS false")
    run(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(name)s", row)
    for method, path, body in [
        ("GET", PATH, None),
        ("GET", f"{PATH}/{incident.id}", None),
        ("GET", f"{PATH}/stats/summary", None),
        ("GET", f"{PATH}/stream", None),
        ("POST", PATH, GOOD),
        ("POST", f"{PATH}/correlate", {"alerts": [alert()]}),
        ("PATCH", f"{PATH}/{incident.id}", {"status": "acknowledged"}),
    ]:
        answer = await api.ask(method, path, body)
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
    run(server, f"ALTER DATABASE {row['name']} ALLOW_CONNECTIONS true")

    async def back() -> bool:
        return (await api.ask("PATCH", f"{PATH}/{incident.id}", {"status": "acknowledged"})).status == 200

    await eventually(back)
    assert len(await api.correlate(alert())) == 1


async def test_headers_that_are_not_text_are_sanitised_or_refused(api: Api) -> None:
    incident = await api.open()
    path = f"{PATH}/{incident.id}"
    for header, value in [("X-Actor", b"d\xffle"), ("X-Request-ID", b"\xff"), ("If-Match", b"\xff")]:
        request = b"\r\n".join(
            [
                b"PATCH " + path.encode() + b" HTTP/1.1",
                b"Host: localhost",
                b"Connection: close",
                b"Content-Length: 14",
                header.encode() + b": " + value,
                b"",
                b'{"notes": "x"}',
            ]
        )
        reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
        writer.write(request)
        status = int((await reader.read()).split()[1])
        writer.close()
        await writer.wait_closed()
        assert status in {200, 422}, header
    shown = await api.show(incident.id)
    assert shown.notes[0].author == "d?le"


async def test_hostile_paths_leave_no_trace_in_the_metrics(api: Api) -> None:
    await asyncio.gather(*(api.ask("GET", f"/{number}") for number in range(50)))
    async with api.client.get("/metrics") as response:
        text = await response.text()
    assert 'route="unmatched"' in text
    assert 'route="/7"' not in text


async def test_a_url_in_the_request_line_is_its_path_if_its_host_is_ours(api: Api) -> None:
    for host, status in (("localhost:8002", 200), ("[::1]:8002", 200), ("evil.example", 421), ("a@localhost", 400)):
        reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
        writer.write(f"GET http://{host}{PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert int((await reader.read()).split()[1]) == status, host
        writer.close()
