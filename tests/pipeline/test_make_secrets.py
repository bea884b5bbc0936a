"""docker/make_secrets.py: each container gets the secrets that it needs, and no others."""

import base64
import os
import runpy
from pathlib import Path

import pytest

from tocsin.program_accounts import PROGRAMS
from tocsin.web.access.domain.bearer_secrets import TOKENS, digest_of_given

SCRIPT = Path(__file__).parents[2] / "docker" / "make_secrets.py"
URL = "smtp://tocsin:hunter2@mail.example.net:587"


def secrets_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, str]:
    """Run the script; return the text of each file by its path."""
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr("socket.getaddrinfo", _unknown)
    monkeypatch.setattr("sys.argv", [str(SCRIPT)])
    for name, value in {"SECRETS_FOLDER": str(folder), **environment}.items():
        monkeypatch.setenv(name, value)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def _unknown(*_: object) -> None:
    raise OSError


def test_only_notification_service_gets_the_mail_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = secrets_of(tmp_path, monkeypatch, SMTP_URL=URL, SMTP_FROM="tocsin@example.net")
    assert {name for name, text in found.items() if "hunter2" in text} == {"notification-service/smtp_url"}
    assert found["oncall-service/email_enabled"] == "yes"
    assert found["oncall-service/smtp_url"], "the release before checks whether it is empty"


def test_without_a_mail_server_on_call_does_not_page_by_email(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets_of(tmp_path, monkeypatch, SMTP_URL=URL)
    monkeypatch.delenv("SMTP_URL")
    found = secrets_of(tmp_path, monkeypatch)
    assert found["oncall-service/email_enabled"] == found["oncall-service/smtp_url"] == ""


def test_programs_have_tokens_which_the_migration_reads_and_only_alertmanager_gets_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = secrets_of(tmp_path, monkeypatch)
    tokens = {name: found[f"migrate/tokens/{name}"] for name in PROGRAMS}
    assert len(set(tokens.values())) == len(tokens) == 3
    assert all(digest_of_given(token, TOKENS) for token in tokens.values())
    elsewhere = {name for name, text in found.items() if text in tokens.values() and not name.startswith("made/")}
    assert elsewhere == {"alertmanager/token", *(f"migrate/tokens/{name}" for name in PROGRAMS)}
    assert found["alertmanager/token"] == tokens["alertmanager"]
    assert secrets_of(tmp_path, monkeypatch) == found


def test_metrics_require_a_token_in_closed_mode_or_if_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert secrets_of(tmp_path, monkeypatch)["prometheus/metrics_token"] == ""
    created = secrets_of(tmp_path, monkeypatch, ACCESS="closed")
    assert len(created["prometheus/metrics_token"]) > 40
    assert created["prometheus/metrics_token"] == created["web-ui/metrics_token"]
    given = secrets_of(tmp_path, monkeypatch, METRICS_TOKEN="given")  # noqa: S106
    assert {given["prometheus/metrics_token"], given["alert-ingestion/metrics_token"]} == {"given"}


def test_the_edge_and_every_service_get_the_key_by_which_they_believe_the_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = secrets_of(tmp_path, monkeypatch)
    key = found["edge/edge_key"]
    assert len(base64.b64decode(key, validate=True)) == 32
    assert {name for name, text in found.items() if key in text} == {
        "made/edge_key",
        "edge/edge_key",
        "alert-ingestion/edge_key",
        "incident-management/edge_key",
        "oncall-service/edge_key",
        "notification-service/edge_key",
        "web-ui/edge_key",
    }
    assert secrets_of(tmp_path, monkeypatch)["web-ui/edge_key"] == key, "it is kept"
