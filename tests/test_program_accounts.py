"""The accounts of the programs of an installation, which the migrator creates in closed mode."""

import hashlib
from pathlib import Path

import pytest

from tests.support.postgres import run
from tests.test_migrate import run_migrator
from tocsin.program_accounts import PROGRAMS

ACCOUNTS = "SELECT name, role, kind, disabled_at IS NOT NULL AS disabled FROM access.account ORDER BY name"
TOKEN = "tocsin_sat_" + 43 * "x"
OTHER = "tocsin_sat_" + 43 * "y"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "tokens"
    made.mkdir()
    monkeypatch.setenv("PROGRAM_TOKENS", str(made))
    monkeypatch.setenv("ACCESS", "closed")
    return made


def hashes(dsn: str) -> list[bytes]:
    return [bytes(row["secret_hash"]) for row in run(dsn, "SELECT secret_hash FROM access.token")]


@pytest.mark.slow
def test_each_program_with_a_token_gets_an_account_and_a_new_token_replaces_the_one_before(
    db_dsn: str, folder: Path
) -> None:
    (folder / "alertmanager").write_text(f"{TOKEN}\n")
    status, out, _ = run_migrator(db_dsn)
    assert status == 0
    assert "programs with an account: Alertmanager" in out
    assert TOKEN not in out
    expected = {"name": "Alertmanager", "role": "sender", "kind": "service", "disabled": False}
    assert run(db_dsn, ACCOUNTS) == [expected]
    assert hashes(db_dsn) == [hashlib.sha256(TOKEN.encode()).digest()]

    (folder / "alertmanager").write_text(OTHER)
    assert run_migrator(db_dsn)[0] == 0
    assert hashes(db_dsn) == [hashlib.sha256(OTHER.encode()).digest()]


@pytest.mark.slow
def test_what_an_admin_changed_of_such_an_account_stays(db_dsn: str, folder: Path) -> None:
    for name in PROGRAMS:
        (folder / name).write_text(f"tocsin_sat_{name:x<43}")
    run_migrator(db_dsn)
    run(db_dsn, "UPDATE access.account SET role = 'viewer', disabled_at = now() WHERE role = 'admin' RETURNING id")
    run(db_dsn, "DELETE FROM access.token WHERE id = %(id)s", {"id": str(PROGRAMS["alertmanager"].id)})
    before = run(db_dsn, ACCOUNTS)
    assert [row["disabled"] for row in before] == [False, True, True]
    run_migrator(db_dsn)
    assert run(db_dsn, ACCOUNTS) == before
    assert len(hashes(db_dsn)) == 2, "a token that was revoked stays so"


@pytest.mark.slow
def test_in_open_mode_there_are_none(db_dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "demo").write_text(TOKEN)
    monkeypatch.setenv("ACCESS", "open")
    status, out, _ = run_migrator(db_dsn)
    assert (status, "programs" in out) == (0, False)
    assert run(db_dsn, ACCOUNTS) == []
