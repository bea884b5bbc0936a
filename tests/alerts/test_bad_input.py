import asyncio
from typing import Any, Final

import pytest

from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, ALERTS, Service, alert

SMALL: Final = b'{"service":"a","severity":"low","message":"m"}'


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"service": ""}, "#/service"),
        ({"service": "   "}, "#/service"),
        ({"service": None}, "#/service"),
        ({"service": 7}, "#/service"),
        ({"service": "s" * 257}, "#/service"),
        ({"severity": "urgent"}, "#/severity"),
        ({"severity": 1}, "#/severity"),
        ({"message": ""}, "#/message"),
        ({"message": "m" * 65_537}, "#/message"),
        ({"message": ["m"]}, "#/message"),
        ({"labels": {f"l{number}": "x" for number in range(200)}}, "#/labels"),
        ({"labels": {"l": 1}}, "#/labels/l"),
        ({"labels": {"a/b~c": None}}, "#/labels/a~1b~0c"),
        ({"labels": {"l": "x" * 4_097}}, "#/labels/l"),
        ({"labels": []}, "#/labels"),
        ({"timestamp": "yesterday"}, "#/timestamp"),
        ({"timestamp": "1.2e-38"}, "#/timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+11:00"}, "#/timestamp"),
        ({"timestamp": "9999-12-31T23:59:59-11:00"}, "#/timestamp"),
        ({"timestamp": "10000-01-01T00:00:00Z"}, "#/timestamp"),
        ({"dedup_key": ""}, "#/dedup_key"),
        ({"dedup_key": "k" * 256}, "#/dedup_key"),
        ({"status": "closed"}, "#/status"),
        ({"links": [{"href": "javascript:alert(1)"}]}, "#/links/0/href"),
        ({"links": [{"href": "https://a.example"}] * 33}, "#/links"),
    ],
)
async def test_an_invalid_field_is_refused_with_a_pointer(
    service: Service, fields: dict[str, Any], pointer: str
) -> None:
    refused = await service.send(expect=422, **fields)
    assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert refused["errors"][0]["detail"]
    assert refused["status"] == 422
    assert refused["request_id"]


@pytest.mark.parametrize("name", ["service", "severity", "message"])
async def test_a_missing_field_is_named(service: Service, name: str) -> None:
    body = alert()
    del body[name]
    refused = await service.post(ALERTS, body, expect=422)
    assert [error["pointer"] for error in refused["errors"]] == [f"#/{name}"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"service=a&severity=low",
        b'{"service": "a"',
        b"\xff\xfe{\x00}\x00",
        b'{"service": "\xc3\x28", "severity": "low", "message": "m"}',
        b'{"service": "\\ud800", "severity": "low", "message": "m"}',
        b'{"service": "a", "severity": "low", "message": "m", "deep": ' + b"[" * 29_000 + b"]" * 29_000 + b"}",
        b'{"service": "a\x01", "severity": "low", "message": "m"}',
    ],
)
@pytest.mark.parametrize("path", [ALERTS, ALERTMANAGER])
async def test_a_body_that_is_not_json_is_malformed(service: Service, path: str, body: bytes) -> None:
    refused = await service.post(path, body, expect=400)
    assert refused["type"] == "urn:tocsin:problem:malformed-request"


@pytest.mark.parametrize("body", [[], 1, "text", None, True])
async def test_json_that_is_not_an_alert_is_refused(service: Service, body: Any) -> None:
    await service.post(ALERTS, body, expect=422)
    await service.post(ALERTMANAGER, body, expect=422)


@pytest.mark.parametrize(
    "number", [b"1" + b"0" * 5_000, b"1e400000", b"NaN", b"-Infinity", b'{"a": ' * 50 + b"1" + b"}" * 50]
)
async def test_extreme_numbers_break_nothing(service: Service, number: bytes) -> None:
    body = b'{"service": "a", "severity": "low", "message": "m", "extra": ' + number + b"}"
    answer = await service.post(ALERTS, body, expect=None)
    assert answer.get("status") in {400, 422, "correlated"}
    answer = await service.post(ALERTMANAGER, b'{"alerts": [{"labels": {"n": ' + number + b"}}]}", expect=None)
    assert "alerts" in answer or answer["status"] in {400, 422}


async def test_nul_is_stored_as_a_replacement_character_in_every_field(service: Service) -> None:
    answer = await service.send(service="a\0b", labels={"k\0": "v\0"}, dedup_key="\0", source="\0", message="\0m")
    stored = await service.alert(answer["alert_id"])
    assert stored["service"] == "a\N{REPLACEMENT CHARACTER}b"
    assert stored["labels"] == {"k\N{REPLACEMENT CHARACTER}": "v\N{REPLACEMENT CHARACTER}"}
    group = {"alerts": [{"labels": {"service": "c\0", "k\0": "\0"}, "annotations": {"summary": "\0"}}]}
    received = await service.post(ALERTMANAGER, group)
    assert (await service.alert(received["alerts"][0]["alert_id"]))["service"] == "c\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(("path", "limit"), [(ALERTS, 512 * 1024), (ALERTMANAGER, 8 * 1024 * 1024)])
async def test_a_body_over_the_limit_is_too_large_and_one_below_is_not(service: Service, path: str, limit: int) -> None:
    rest = b'{"service": "a", "severity": "low", "message": "m", "alerts": [], "padding": ""}'
    full = rest[:-2] + b"x" * (limit - len(rest)) + rest[-2:]
    assert len(full) == limit
    await service.post(path, full, expect=201 if path == ALERTS else 200)
    refused = await service.post(path, full[:-2] + b"x" + full[-2:], expect=413)
    assert refused["type"] == "urn:tocsin:problem:too-large"


async def test_a_compressed_body_is_refused(service: Service) -> None:
    response = await service.client.post(ALERTS, data=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert response.status == 415


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=utf-8", ""])
async def test_the_content_type_is_stored_and_otherwise_ignored(service: Service, content_type: str) -> None:
    response = await service.client.post(ALERTS, data=SMALL, headers={"Content-Type": content_type})
    assert response.status == 201
    stored = await service.alert((await response.json())["alert_id"])
    assert stored["request"]["content_type"] == content_type


async def test_invalid_bytes_in_the_content_type_are_replaced(service: Service) -> None:
    reader, writer = await asyncio.open_connection(service.client.host, service.client.port)
    head = f"POST {ALERTS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(SMALL)}\r\n"
    writer.write(head.encode() + b"Content-Type: caf\xe9\r\n\r\n" + SMALL)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 201 ")
    (row,) = service.rows("SELECT content_type FROM alerts.request")
    assert row["content_type"] == "caf?"


async def test_a_refused_alert_is_neither_stored_nor_forwarded(service: Service, incidents: FakeIncidents) -> None:
    await service.send(expect=422, severity="urgent")
    assert service.rows("SELECT count(*) FROM alerts.request") == [{"count": 0}]
    assert incidents.batches == []


async def test_an_unknown_alert_is_404_and_an_unsupported_method_405(service: Service) -> None:
    await service.get(f"{ALERTS}/01980000-0000-7000-8000-000000000000", expect=404)
    missing = await service.get(f"{ALERTS}/17", expect=404)
    assert "'17'" in missing["detail"]
    await service.get("/api/v1/nothing", expect=404)
    response = await service.client.delete(ALERTS)
    assert response.status == 405
    assert response.headers["Allow"] == "GET,HEAD,POST"
