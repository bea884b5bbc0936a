"""Settings of the log-in by an OpenID provider: a part of them, or wrong ones, stop the start with a clear line."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tocsin.kernel.settings import load
from tocsin.web.settings import Settings

Load = Callable[..., Settings]
WHOLE = {
    "ACCESS": "closed",
    "PUBLIC_URL": "https://tocsin.example",
    "OIDC_ISSUER": "https://id.example/realms/x/",
    "OIDC_CLIENT_ID": "tocsin",
    "OIDC_CLIENT_SECRET": "hush-hush",
}


@pytest.fixture
def load_with(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Read settings from an environment of this test's own."""

    def read(**environment: str) -> Settings:
        for name in [name for name in os.environ if name.removesuffix("_FILE").lower() in Settings.model_fields]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load(Settings)

    return read


def test_an_issuer_stays_exactly_as_it_is_given_and_the_secret_can_be_in_a_file(
    load_with: Load, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    given = {name: value for name, value in WHOLE.items() if name != "OIDC_CLIENT_SECRET"}
    settings = load_with(**given, OIDC_CLIENT_SECRET_FILE=str(secret))
    assert settings.oidc_issuer == "https://id.example/realms/x/"
    assert settings.oidc_client_secret
    assert settings.oidc_client_secret.get_secret_value() == "from a file"
    assert "from a file" not in repr(settings)


@pytest.mark.parametrize("missing", ["PUBLIC_URL", "OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"])
def test_a_part_of_the_settings_stops_the_start_and_says_what_to_set(
    load_with: Load, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        load_with(**{name: value for name, value in WHOLE.items() if name != missing})
    assert caught.value.code == 78
    line = capsys.readouterr().err
    assert line.startswith(f"{missing} must be set, too")
    assert "hush-hush" not in line


def test_a_provider_without_log_ins_stops_the_start(load_with: Load, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_with(**{**WHOLE, "ACCESS": "open", "PUBLIC_URL": "http://127.0.0.1"})
    assert "unless ACCESS is closed" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        load_with(ACCESS="closed", OIDC_ROLES="sre=viewer")
    assert "OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, PUBLIC_URL must be set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("OIDC_ISSUER", "http://id.example", "not an https URL"),
        ("OIDC_ISSUER", "id.example", "not an https URL"),
        ("OIDC_ISSUER", "https://id.example?x=y", "no query"),
        ("OIDC_SCOPES", "email profile", "pattern"),
        ("OIDC_SCOPES", 'openid "email"', "pattern"),
        ("OIDC_ROLES", "sre", "use group=role, separated by commas; the roles are admin, responder, viewer"),
        ("OIDC_ROLES", "robots=sender", "the roles are"),
        ("OIDC_CREATE_ACCOUNTS_FROM", "@example.org", "pattern"),
        ("OIDC_CREATE_ACCOUNTS_FROM", "example.org, example.com", "pattern"),
    ],
)
def test_a_wrong_value_is_named(
    load_with: Load, capsys: pytest.CaptureFixture[str], name: str, value: str, says: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        load_with(**{**WHOLE, name: value})
    assert caught.value.code == 78
    line = capsys.readouterr().err
    assert line.startswith(f"{name} is {value!r}")
    assert says in line


def test_a_provider_on_this_machine_needs_no_certificate(load_with: Load) -> None:
    for issuer in ("http://127.0.0.1:8180/realms/x", "http://localhost:8180", "http://[::1]:8180"):
        assert load_with(**{**WHOLE, "OIDC_ISSUER": issuer}).oidc_issuer == issuer
