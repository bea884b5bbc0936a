"""Read the audit over HTTP: filters, pages, the file, and how long entries are kept."""

import csv
import io
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
import pytest_asyncio

from tests.support.observability.files import ROOT
from tests.support.postgres import run
from tests.support.web.audit import AUDIT, app_of, call, entries, given_entry, store
from tests.support.web.closed import closed_settings, set_up
from tests.web.conftest import Client, StartWeb
from tests.web.test_account_api import admin_of
from tocsin.contracts.audit import AuditAction
from tocsin.kernel.audit_refusals import REFUSALS
from tocsin.kernel.ids import new_id
from tocsin.web.access.service import DEPS, housekeeping
from tocsin.web.pages.audit.view import COLUMNS, LABELS

NEW = "quartz ferry lemon eleven"


@pytest_asyncio.fixture(loop_scope="session")
async def client(start_web: StartWeb, db_dsn: str, tmp_path: Path) -> Client:
    started = await start_web(**closed_settings(tmp_path, db_dsn))
    await set_up(started)
    return started


@pytest_asyncio.fixture(loop_scope="session")
async def admin(client: Client) -> Mapping[str, str]:
    return await admin_of(client)


async def test_entries_are_filtered_and_paged_newest_first(
    client: Client, admin: Mapping[str, str], tmp_path: Path
) -> None:
    mine = [given_entry(at=f"2025-01-0{day}T12:00:00Z", action="incident.note") for day in range(1, 8)]
    other = given_entry(at="2025-01-04T12:00:00Z", object={"kind": "schedule", "id": "s-1", "name": "100% Payments_"})
    await store(client, tmp_path, *mine, other)
    days = "&since=2025-01-02T00:00:00Z&until=2025-01-06T00:00:00Z"
    found = await entries(client, admin, days)
    assert [entry["at"][:10] for entry in found] == [
        "2025-01-05", "2025-01-04", "2025-01-04", "2025-01-03", "2025-01-02",
    ]  # fmt: skip
    for query, expected in (
        ("&kind=schedule", [other]),
        ("&object=s-1", [other]),
        ("&object=100%25 pay", [other]),
        ("&object=1__%25", []),
        (f"&account_id={other['principal']['account_id']}", [other]),
        (f"&object={mine[2]['object']['id']}", [mine[2]]),
        ("&action=incident.note&object=%2312 check", [*reversed(mine)]),
    ):
        ids = [entry["id"] for entry in await entries(client, admin, query)]
        assert ids == [entry["id"] for entry in expected], query
    page = await call(client, "GET", f"{AUDIT}?limit=3&action=incident.note", headers=admin)
    assert [entry["id"] for entry in page["items"]] == [entry["id"] for entry in reversed(mine[4:])]
    rest = await call(
        client, "GET", f"{AUDIT}?limit=50&action=incident.note&cursor={page['next_cursor']}", headers=admin
    )
    assert [entry["id"] for entry in rest["items"]] == [entry["id"] for entry in reversed(mine[:4])]
    await call(client, "GET", f"{AUDIT}?since=yesterday", status=422, headers=admin)


async def test_the_page_shows_the_entries_and_the_file_has_them_with_formulas_escaped(
    client: Client, tmp_path: Path
) -> None:
    evil = given_entry(object={"kind": "incident", "id": str(new_id()), "name": "=cmd|' /C calc'!A0"})
    evil["principal"] = {"kind": "person", "name": "@SUM(1)<script>", "account_id": None}
    await store(client, tmp_path, evil, *(given_entry() for _ in range(250)))
    async with client.get("/audit") as response:
        assert response.status == 200
        page = await response.text()
    assert "Acknowledged" in page
    assert "#12 Checkout is down" in page
    assert '<del dir="auto">open</del>' in page
    assert "<script>" not in page.partition("<main")[2]
    async with client.get("/audit?q=%3Dcmd&since=2026-11-02&until=2026-11-02") as response:
        page = await response.text()
        assert "calc" in page
        assert "#12 Checkout" not in page
    async with client.get("/audit?since=soon") as response:
        assert response.status == 422
    async with client.get("/audit/audit.csv?since=2026-11-02&until=2026-11-02") as response:
        assert response.content_type == "text/csv"
        rows = list(csv.reader(io.StringIO(await response.text())))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 252
    [row] = [row for row in rows if "calc" in row[9]]
    assert (row[1], row[9]) == ("'@SUM(1)<script>", "'=cmd|' /C calc'!A0")
    assert not [cell for row in rows[1:] for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


async def test_entries_past_the_retention_are_deleted_and_no_others(
    client: Client, admin: Mapping[str, str], tmp_path: Path, db_dsn: str
) -> None:
    await store(client, tmp_path, *(given_entry(at="2020-01-01T00:00:00Z") for _ in range(500)))
    await store(client, tmp_path, *(given_entry(at="2020-01-01T00:00:00Z") for _ in range(501)))
    deps = app_of(client)[DEPS]
    recent = len(run(db_dsn, "SELECT id FROM access.audit WHERE created_at > '2026-01-01'"))
    while await housekeeping.delete_old_entries(deps):
        pass
    assert len(run(db_dsn, "SELECT id FROM access.audit")) == recent
    async with client.get("/metrics", headers=dict(admin)) as response:
        assert 'tocsin_retention_deleted_rows_total{table="audit"} 1001.0' in await response.text()
    deps.db.set_clock_offset(timedelta(days=401))  # as whoever breaks into the web service could
    await housekeeping.delete_old_entries(deps)
    deps.db.set_clock_offset(timedelta())
    assert len(run(db_dsn, "SELECT id FROM access.audit")) == recent


def test_nobody_changes_an_entry_and_the_web_services_role_deletes_none(db_dsn: str) -> None:
    run(
        db_dsn,
        """
        INSERT INTO access.audit (id, service, action, principal_kind, address, object_kind, object_id, object_name,
                                  request_id)
        VALUES (gen_random_uuid(), 's', 'a', 'person', '', 'k', 'i', 'n', 'r')
        """,
    )
    for statement in ("UPDATE access.audit SET action = 'x'", "DELETE FROM access.audit"):
        with pytest.raises(psycopg2.errors.RaiseException, match="audit"):
            run(db_dsn, statement)
    for right, expected in (("INSERT", True), ("SELECT", True), ("UPDATE", False), ("DELETE", False)):
        [row] = run(db_dsn, f"SELECT has_table_privilege('tocsin_access', 'access.audit', '{right}') AS may")
        assert row["may"] is expected, right


def test_every_action_has_words_on_the_page() -> None:
    assert set(LABELS) == set(AuditAction)


def test_the_documents_list_the_actions_of_the_code() -> None:
    section = (ROOT / "docs" / "access.md").read_text().partition("## What is audited")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z.-]+)`", " ".join(rows))) == sorted(AuditAction)


async def test_the_open_mode_has_no_audit(start_web: StartWeb) -> None:
    client = await start_web()
    for path in (AUDIT, "/audit"):
        async with client.get(path) as response:
            assert response.status == 404
    assert REFUSALS not in app_of(client)


async def test_the_api_description_has_the_audit_but_no_internal_operation(
    client: Client, admin: Mapping[str, str]
) -> None:
    found = await call(client, "GET", "/openapi.json", headers=admin)
    assert found["paths"][AUDIT]["get"]["tags"] == ["web-ui"]
    assert "AuditEntry" in found["components"]["schemas"]
    assert "/api/v1/access/audit" not in found["paths"]
