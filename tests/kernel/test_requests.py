"""What comes in at the edge is valid, or refused with a pointer; nothing hostile is more than text."""

import asyncio
import gzip
import json
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.kernel.conftest import EdgeClient
from tests.support.loop_cpu import loop_cpu
from tocsin.kernel.validation import BODY_LIMIT

THINGS = "/api/v1/things"


async def post(client: EdgeClient, body: bytes | Any, **headers: str) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(THINGS, data=data, headers={"Content-Type": "application/json", **sent}) as response:
        return response.status, await response.json(content_type=None)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/name"),
        ({"name": ""}, "#/name"),
        ({"name": "x" * 21}, "#/name"),
        ({"name": None}, "#/name"),
        ({"name": 1}, "#/name"),
        ({"name": "x", "size": "many"}, "#/size"),
        ({"name": "x", "size": 1.5}, "#/size"),
        ({"name": "x", "at": "yesterday"}, "#/at"),
        ({"name": "x", "inner": [{"count": 1}, {"count": "x"}]}, "#/inner/1/count"),
        ({"name": "x", "inner": {}}, "#/inner"),
        ({"name": "x", "labels": {"a/b~c": 1}}, "#/labels/a~1b~0c"),
        ({"name": "x", "labels": {str(number): "" for number in range(200)}}, "#/labels"),
        ({"name": "x", "at": "0001-01-01T00:00:00+23:00"}, "#/at"),
        ({"name": "x", "at": "9999-12-31T23:59:59-23:00"}, "#/at"),
        ([], "#"),
        ("x", "#"),
        (None, "#"),
    ],
)
async def test_an_invalid_field_is_refused_with_a_pointer(edge: EdgeClient, body: Any, pointer: str) -> None:
    status, problem = await post(edge, body)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert all(error["detail"] for error in problem["errors"])


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2030-01-01T00:00:00"])
async def test_the_ends_of_the_calendar_are_instants(edge: EdgeClient, at: str) -> None:
    status, _ = await post(edge, {"name": "x", "at": at})
    assert status == HTTPStatus.CREATED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"name=x",
        b"<xml/>",
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "\\ud800"}',
        b'{"name": "x"} {"name": "y"}',
        b"\xef\xbb\xbf{}",
        b"[" * 29_000,
        b'{"a":' * 29_000,
        b'{"name": "x", "size": ' + b"1" * 500_000 + b"}",
    ],
)
async def test_a_body_that_is_not_json_is_malformed(edge: EdgeClient, body: bytes) -> None:
    status, problem = await post(edge, body)
    assert status == HTTPStatus.BAD_REQUEST
    assert problem["type"] == "urn:tocsin:problem:malformed-request"


async def test_a_thousand_errors_are_truncated_to_a_few_without_blocking_the_loop(edge: EdgeClient) -> None:
    async with loop_cpu() as cpu:
        status, problem = await post(edge, {"name": "x", "labels": {str(number): 1 for number in range(1_000)}})
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert 1 <= len(problem["errors"]) <= 20
    assert cpu.longest < 0.5


async def test_an_error_does_not_contain_the_value_that_was_sent(edge: EdgeClient) -> None:
    _, problem = await post(edge, {"name": "hunter2" * 10})
    assert "hunter2" not in json.dumps(problem)


async def test_a_nul_becomes_a_character_that_can_be_stored(edge: EdgeClient) -> None:
    status, thing = await post(edge, b'{"name": "a\\u0000b"}')
    assert status == HTTPStatus.CREATED
    assert thing["name"] == "a\N{REPLACEMENT CHARACTER}b"


async def test_unknown_fields_are_ignored(edge: EdgeClient) -> None:
    assert (await post(edge, {"name": "x", "from_a_newer_version": 1}))[0] == HTTPStatus.CREATED


async def test_a_body_at_the_limit_is_accepted_and_one_above_it_is_refused(edge: EdgeClient) -> None:
    padding = BODY_LIMIT - len('{"name": "x"}')
    assert (await post(edge, b'{"name": "x"}' + b" " * padding))[0] == HTTPStatus.CREATED
    status, problem = await post(edge, b'{"name": "x"}' + b" " * (padding + 1))
    assert status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert problem["type"] == "urn:tocsin:problem:too-large"
    assert "512 KiB" in problem["detail"]


async def test_a_body_without_a_content_length_is_measured_while_it_is_read(edge: EdgeClient) -> None:
    async def chunks(total: int) -> Any:
        yield b'{"name": "x"}'
        for _ in range(total):
            yield b" " * 8_192

    async with edge.post(THINGS, data=chunks(10)) as response:
        assert response.status == HTTPStatus.CREATED
    async with edge.post(THINGS, data=chunks(100)) as response:
        assert response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "nonsense"])
async def test_a_compressed_body_is_refused(edge: EdgeClient, encoding: str) -> None:
    async with ClientSession() as session:
        url = edge.make_url(THINGS)
        headers = {"Content-Encoding": encoding}
        async with session.post(url, data=b'{"name": "x"}', headers=headers, compress=None) as response:
            assert response.status in {HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.BAD_REQUEST}
    async with edge.get("/health") as response:
        assert response.status == HTTPStatus.OK


async def test_a_small_body_that_unpacks_to_a_large_one_is_refused_unread(edge: EdgeClient) -> None:
    bomb = gzip.compress(bytes(50 * 1024 * 1024))
    async with ClientSession() as session, loop_cpu() as cpu:
        headers = {"Content-Encoding": "gzip"}
        async with session.post(edge.make_url(THINGS), data=bomb, headers=headers, compress=None) as response:
            assert response.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert cpu.longest < 0.3


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "?limit"),
        ("limit=1000000000", "?limit"),
        ("limit=x", "?limit"),
        ("limit=", "?limit"),
        ("cursor=x", "?cursor"),
        ("nonsense=1", "?nonsense"),
        ("limit=1&limit=2", "?limit"),
        ("name=a&name=b", "?name"),
        ("%00=1", "?\0"),
    ],
)
async def test_an_invalid_query_is_refused_with_the_name_of_the_parameter(
    edge: EdgeClient, query: str, pointer: str
) -> None:
    async with edge.get(f"{THINGS}?{query}") as response:
        assert response.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert [error["pointer"] for error in (await response.json())["errors"]] == [pointer]


async def test_a_repeated_query_parameter_is_a_list(edge: EdgeClient) -> None:
    async with edge.get(f"{THINGS}?tag=a&tag=b&limit=3") as response:
        assert await response.json() == {"limit": 3, "cursor": None, "name": None, "tag": ["a", "b"]}


@pytest.mark.parametrize("thing", ["1", "%00", "..%2f..", "%ff", "x" * 200, "00000000-0000-0000-0000-00000000000g"])
async def test_an_invalid_id_is_not_found(edge: EdgeClient, thing: str) -> None:
    async with edge.get(f"{THINGS}/{thing}") as response:
        assert response.status == HTTPStatus.NOT_FOUND
        assert len((await response.json())["detail"]) < 400


async def test_the_actor_is_taken_from_the_header(edge: EdgeClient) -> None:
    assert (await post(edge, {"name": "x"}, X_Actor="  Ada  "))[1]["actor"] == "Ada"
    assert (await post(edge, {"name": "x"}, X_Actor="A" * 1_000))[1]["actor"] == "A" * 256
    assert (await post(edge, {"name": "x"}))[1]["actor"] == "api"


async def raw(client: EdgeClient, head: bytes, body: bytes = b"") -> bytes:
    """Send what no client library would."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(head + body)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


async def test_an_actor_that_is_not_valid_text_is_made_storable(edge: EdgeClient) -> None:
    body = b'{"name": "x"}'
    head = (
        f"POST {THINGS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n".encode()
        + b"X-Actor: A\xffda\r\n\r\n"
    )
    answer = await raw(edge, head, body)
    actor = json.loads(answer.partition(b"\r\n\r\n")[2])["actor"]
    actor.encode()
    assert actor == "A?da"


@pytest.mark.parametrize("key", ["k", "x" * 255, "Ü"])
async def test_an_idempotency_key_of_printable_characters_is_accepted(edge: EdgeClient, key: str) -> None:
    assert (await post(edge, {"name": "x"}, Idempotency_Key=key))[1]["key"] == key


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_any_other_idempotency_key_is_refused(edge: EdgeClient, key: str) -> None:
    status, problem = await post(edge, {"name": "x"}, Idempotency_Key=key)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert problem["errors"][0]["pointer"] == "Idempotency-Key"


@pytest.mark.parametrize(("given", "version"), [('"3"', 3), ('W/"3"', 3), ("3", 3), ("*", None), (' "12" ', 12)])
async def test_if_match_names_a_version(edge: EdgeClient, given: str, version: int | None) -> None:
    assert (await post(edge, {"name": "x"}, If_Match=given))[1]["version"] == version


@pytest.mark.parametrize("given", ['""', '"x"', '"-1"', '"99999999999999999999"', '"1", "2"', '"1_0"', ""])
async def test_any_other_if_match_is_refused(edge: EdgeClient, given: str) -> None:
    status, problem = await post(edge, {"name": "x"}, If_Match=given)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert problem["errors"][0]["pointer"] == "If-Match"
