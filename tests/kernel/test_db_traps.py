"""The driver's traps, each walked into on purpose."""

import asyncio
import socket
import ssl
import struct
import threading
from contextlib import suppress
from typing import Any

import psycopg2
import pytest
import trustme
from psycopg2.extensions import make_dsn, parse_dsn
from pydantic import TypeAdapter

from tests.kernel.conftest import OpenDatabase
from tests.support.postgres import Server, run
from tests.support.tcp_proxy import Way, proxied_database
from tests.support.waiting import AN_HOUR, eventually
from tocsin.contracts.model import Text
from tocsin.kernel import tasks
from tocsin.kernel.db import Cursor, Database, execute, fetch_all, fetch_one, required, transaction
from tocsin.kernel.errors import CommitLostError, DatabaseUnavailableError
from tocsin.kernel.tasks import create_task

SSL_REQUEST = 80877103


async def names(db: Database) -> list[str]:
    async with transaction(db) as cur:
        return [row["name"] for row in await fetch_all(cur, "SELECT name FROM thing ORDER BY id")]


async def insert(db: Database, number: int, name: str) -> None:
    async with transaction(db) as cur:
        await execute(cur, "INSERT INTO thing VALUES (%(id)s, %(name)s) ON CONFLICT DO NOTHING", id=number, name=name)


async def test_an_error_swallowed_inside_a_transaction_is_raised_at_its_end(things: Database) -> None:
    async def swallow() -> None:
        async with transaction(things) as cur:
            await execute(cur, "INSERT INTO thing VALUES (1, 'one')")
            with suppress(psycopg2.errors.UniqueViolation):
                await execute(cur, "INSERT INTO thing VALUES (1, 'again')")

    with pytest.raises(CommitLostError):
        await swallow()
    assert await names(things) == []


@pytest.mark.slow
@pytest.mark.parametrize("way", [Way.DOWN, Way.UP])
async def test_a_commit_whose_response_is_lost_has_an_unknown_outcome_and_a_repeat_changes_nothing(
    things_dsn: str, open_database: OpenDatabase, way: Way
) -> None:
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn, db_statement_timeout_seconds=0.3)

        async def insert_and_be_cut_off() -> None:
            async with transaction(db) as cur:
                await execute(cur, "INSERT INTO thing VALUES (7, 'once')")
                proxy.drop(way)

        with pytest.raises(DatabaseUnavailableError):
            await insert_and_be_cut_off()
        there = run(things_dsn, "SELECT id FROM things.thing")
        assert there == ([{"id": 7}] if way is Way.DOWN else [])
        proxy.heal()
        await insert(db, 7, "once")
        await insert(db, 7, "twice")
        assert await names(db) == ["once"]


async def test_a_commit_that_is_cancelled_has_an_unknown_outcome_too(
    things_dsn: str, open_database: OpenDatabase
) -> None:
    async with proxied_database(things_dsn) as (proxy, dsn):
        db = open_database(dsn, db_statement_timeout_seconds=AN_HOUR)

        async def insert_without_a_response() -> None:
            async with transaction(db) as cur:
                await execute(cur, "INSERT INTO thing VALUES (1, 'once')")
                proxy.drop(Way.DOWN)

        committing = create_task(insert_without_a_response(), name="committing")
        await eventually(lambda: run(things_dsn, "SELECT id FROM things.thing") == [{"id": 1}])
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        proxy.heal()
        await insert(db, 1, "once")
        assert await names(db) == ["once"]


async def test_a_silent_name_server_does_not_block_the_loop(
    things_dsn: str, open_database: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = threading.Event(), threading.Event()

    def never(*_: Any, **__: Any) -> Any:
        asked.set()
        answers.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    async def silent(*args: Any, **given: Any) -> Any:
        return await asyncio.to_thread(never, *args, **given)

    db = open_database(make_dsn(things_dsn, host="database.test"), db_connect_timeout_seconds=0.5)
    # uvloop's own class takes no attributes.
    monkeypatch.setattr("tocsin.kernel.dns.resolve", silent)
    try:
        asking = create_task(names(db), name="asking")
        await eventually(asked.is_set)  # a loop that the name server blocks does not come back here
        with pytest.raises(DatabaseUnavailableError):
            await asking
    finally:
        answers.set()


async def test_the_driver_never_resolves_a_name_itself(
    things_dsn: str, open_database: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []
    connect = psycopg2.connect

    def watched(dsn: str, *args: Any, **kwargs: Any) -> Any:
        given.append(parse_dsn(dsn))
        return connect(dsn, *args, **kwargs)

    monkeypatch.setattr(psycopg2, "connect", watched)
    async with proxied_database(things_dsn) as (_, dsn):
        assert await names(open_database(make_dsn(dsn, host="localhost"))) == []
    assert given
    assert all(parts["hostaddr"] in {"127.0.0.1", "::1"} and parts["host"] == "localhost" for parts in given)


async def test_a_name_whose_first_address_refuses_connects_at_once(
    things_dsn: str, open_database: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two(*_: Any, **__: Any) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    monkeypatch.setattr("tocsin.kernel.dns.resolve", two)
    async with proxied_database(things_dsn) as (_, dsn):
        db = open_database(make_dsn(dsn, host="database.test"), db_connect_timeout_seconds=AN_HOUR)
        assert await names(db) == []


async def test_of_several_hosts_the_first_that_accepts_is_used(things_dsn: str, open_database: OpenDatabase) -> None:
    async with proxied_database(things_dsn) as (_, dsn):
        port = parse_dsn(dsn)["port"]
        with socket.socket() as taken:  # bound, and not listening: it refuses
            taken.bind(("127.0.0.1", 0))
            ports = f"{taken.getsockname()[1]},{port}"
            both = make_dsn(dsn, host="127.0.0.1,localhost", port=ports, target_session_attrs="read-write")
            db = open_database(both, db_connect_timeout_seconds=AN_HOUR)
            assert await names(db) == []


async def test_no_nul_of_a_sender_reaches_a_statement(things: Database) -> None:
    text = TypeAdapter(Text).validate_json('"a\\u0000b"')
    await insert(things, 1, text)
    assert await names(things) == ["a\N{REPLACEMENT CHARACTER}b"]


async def test_the_driver_refuses_a_nul_before_it_sends_anything(things: Database) -> None:
    with pytest.raises(ValueError, match="NUL"):
        await insert(things, 1, "a\0b")
    assert await names(things) == []


async def test_accents_pass_through_a_database_that_knows_no_encoding(
    postgres: Server, open_database: OpenDatabase
) -> None:
    name = postgres.create(template="template0", encoding="SQL_ASCII")
    dsn = postgres.dsn(name)
    try:
        run(dsn, "CREATE SCHEMA things CREATE TABLE thing (id integer PRIMARY KEY, name text)")
        db = open_database(dsn)
        await insert(db, 1, "é, 電話, 🚨")
        assert await names(db) == ["é, 電話, 🚨"]
        await db.close()
    finally:
        postgres.drop(name)


async def test_a_cancellation_that_arrives_together_with_the_result_is_not_lost(things: Database) -> None:
    async def work() -> None:
        async with transaction(things) as cur:
            asyncio.get_running_loop().call_soon(cancel_with_the_answer, cur)
            await execute(cur, "SELECT pg_sleep(0.05)")  # long enough to be waited for on any loop
        await asyncio.Event().wait()  # as a loop would go on for ever, had it not heard

    def cancel_with_the_answer(cur: Cursor) -> None:
        waiter = cur.connection._waiter  # noqa: SLF001 - nothing else tells the very moment
        assert waiter is not None
        waiter.add_done_callback(lambda _: task.cancel())

    task = create_task(work(), name="work")
    await tasks.wait({task})
    assert task.cancelled()


async def test_a_connection_that_libpq_restarts_on_another_socket_is_followed(
    things_dsn: str, open_database: OpenDatabase
) -> None:
    """As when the server takes this user without TLS only: libpq asks for TLS first, is refused, and tries again."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    refused: list[bytes] = []

    async def refuse_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        first = await reader.readexactly(8)
        if struct.unpack("!ii", first) != (8, SSL_REQUEST):
            return first
        writer.write(b"S")
        await writer.start_tls(tls)
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        refused.append(await reader.readexactly(length - 4))
        fatal = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry, SSL on\0\0"
        writer.write(b"E" + struct.pack("!i", len(fatal) + 4) + fatal)
        await reader.read()
        return None

    async with proxied_database(things_dsn) as (proxy, dsn):
        proxy.greet = refuse_tls
        assert await names(open_database(make_dsn(dsn, sslmode="prefer"))) == []
        assert len(refused) == 1


async def test_the_session_is_set_up_as_statements_expect(things: Database) -> None:
    async with transaction(things) as cur:
        row = required(
            await fetch_one(
                cur,
                """
                SELECT current_setting('search_path') AS path, current_setting('TimeZone') AS zone,
                       current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
                       current_setting('client_encoding') AS encoding, current_setting('application_name') AS name
                """,
            )
        )
    assert row == {
        "path": "things",
        "zone": "UTC",
        "statement": "1s",
        "lock": "500ms",
        "encoding": "UTF8",
        "name": "tocsin-things",
    }


async def test_options_of_the_address_are_kept(things_dsn: str, open_database: OpenDatabase) -> None:
    db = open_database(make_dsn(things_dsn, options="-c work_mem=7MB"))
    async with transaction(db) as cur:
        assert await fetch_one(cur, "SELECT current_setting('work_mem') AS mem") == {"mem": "7MB"}
