"""docker/make_secrets.py: each container gets the secrets that it needs, and no others."""

import os
import runpy
from pathlib import Path

import pytest

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
