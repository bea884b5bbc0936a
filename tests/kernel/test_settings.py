"""Settings that are wrong stop the start with a clear line each, and no secret is shown."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr

from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import HTTPURL, ProcessSettings, load

Load = Callable[..., ServiceSettings]


class ExampleSettings(ServiceSettings):
    peer_url: HTTPURL = "http://127.0.0.1:1"
    api_token: SecretStr = SecretStr("")
    pin: Annotated[SecretStr, Field(min_length=4)] = SecretStr("0000")
    origins: list[str] = Field(default_factory=list)


@pytest.fixture
def load_with(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Read settings from an environment of this test's own."""

    def read(**environment: str) -> ExampleSettings:
        for name in [name for name in os.environ if name.removesuffix("_FILE").lower() in ExampleSettings.model_fields]:
            monkeypatch.delenv(name)
        for name, value in {"DATABASE_URL": "host=/run/db", **environment}.items():
            monkeypatch.setenv(name, value)
        return load(ExampleSettings)

    return read


def refused(capsys: pytest.CaptureFixture[str], load_with: Load, **environment: str) -> list[str]:
    with pytest.raises(SystemExit) as caught:
        load_with(**environment)
    assert caught.value.code == 78
    return capsys.readouterr().err.splitlines()


def test_set_variables_are_read_and_the_others_have_defaults(load_with: Load) -> None:
    settings = load_with(PORT="8001", LEASE_SECONDS="0.5", LOG_LEVEL="DEBUG")
    assert (settings.port, settings.lease_seconds, settings.log_level) == (8001, 0.5, "DEBUG")
    assert settings.bind_address == "127.0.0.1"
    assert settings.database_url.get_secret_value() == "host=/run/db"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "http", "PORT is 'http', which is not allowed: Input should be a valid integer"),
        ("PORT", "65536", "PORT is '65536', which is not allowed: Input should be less than or equal to 65535"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud', which is not allowed: String should match pattern"),
        ("LEASE_SECONDS", "0", "LEASE_SECONDS is '0', which is not allowed: Input should be greater than 0"),
        ("POLL_SECONDS", "1e9", "POLL_SECONDS is '1e9', which is not allowed: Input should be less than"),
        ("POLL_SECONDS", "nan", "POLL_SECONDS is 'nan', which is not allowed: "),
        ("DB_POOL_SIZE", "1", "DB_POOL_SIZE is '1', which is not allowed: Input should be greater than or equal to 2"),
        ("CORS_ORIGINS", "*", "CORS_ORIGINS is '*', which is not allowed: String should match pattern"),
        ("FAILPOINT", "outbox.deliver:explode", "FAILPOINT is 'outbox.deliver:explode', which is not allowed: "),
        ("PEER_URL", "alerts:8001", "PEER_URL is 'alerts:8001', which is not allowed: not a URL such as http://"),
        ("PEER_URL", "http://[", "PEER_URL is 'http://[', which is not allowed: "),
        ("ORIGINS", "not json", "ORIGINS: not a JSON document"),
    ],
)
def test_an_invalid_value_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str], load_with: Load, name: str, value: str, says: str
) -> None:
    (line,) = refused(capsys, load_with, **{name: value})
    assert line.startswith(says)


def test_several_invalid_values_are_reported_together(capsys: pytest.CaptureFixture[str], load_with: Load) -> None:
    lines = refused(capsys, load_with, PORT="x", LEASE_SECONDS="-1")
    assert [line.split()[0] for line in lines] == ["PORT", "LEASE_SECONDS"]


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": "postgresql:/user:hunter2@host/name"},
        {"DATABASE_URL": "postgresql://user:hunter2@host:port/name"},
        {"PIN": "h2"},
    ],
)
def test_a_secret_is_never_shown(
    capsys: pytest.CaptureFixture[str], load_with: Load, environment: dict[str, str]
) -> None:
    ((name, value),) = environment.items()
    (line,) = refused(capsys, load_with, **environment)
    assert line.startswith(f"{name}: ")
    assert value not in line
    assert "hunter2" not in line


def test_the_repr_of_settings_does_not_show_a_secret(load_with: Load) -> None:
    settings = load_with(DATABASE_URL="postgresql://user:hunter2@host/name")
    assert "hunter2" not in f"{settings!r} {settings}"


def test_a_missing_variable_is_reported_with_its_purpose(capsys: pytest.CaptureFixture[str], load_with: Load) -> None:
    (line,) = refused(capsys, load_with, DATABASE_URL="")
    assert line.startswith("DATABASE_URL is not set. A libpq connection string, such as postgresql://")


def test_an_empty_variable_counts_as_not_set(load_with: Load) -> None:
    assert load_with(PORT="", LOG_LEVEL="").port == ProcessSettings.model_fields["port"].default


@pytest.mark.parametrize("name", ["API_TOKEN", "DATABASE_URL"])
def test_a_secret_is_read_from_the_file_that_its_variable_names(load_with: Load, tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text("host=from-the-file\n")
    environment = {f"{name}_FILE": str(file), **({"DATABASE_URL": ""} if name == "DATABASE_URL" else {})}
    secret: SecretStr = getattr(load_with(**environment), name.lower())
    assert secret.get_secret_value() == "host=from-the-file"


def test_a_variable_takes_precedence_over_its_file(load_with: Load, tmp_path: Path) -> None:
    file = tmp_path / "port"
    file.write_text("1")
    assert load_with(PORT="2", PORT_FILE=str(file)).port == 2


def test_an_empty_file_counts_as_not_set(load_with: Load, tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_text("\n")
    pin: SecretStr = getattr(load_with(PIN_FILE=str(file)), "pin")  # noqa: B009 - only the example has it
    assert pin.get_secret_value() == "0000"


def test_an_unreadable_file_is_reported(capsys: pytest.CaptureFixture[str], load_with: Load, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    (line,) = refused(capsys, load_with, API_TOKEN_FILE=str(missing))
    assert line == f"API_TOKEN_FILE names {missing}, which cannot be read: No such file or directory"


def test_a_file_that_is_not_text_is_reported(
    capsys: pytest.CaptureFixture[str], load_with: Load, tmp_path: Path
) -> None:
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfehunter2")
    (line,) = refused(capsys, load_with, API_TOKEN_FILE=str(file))
    assert line == f"API_TOKEN_FILE names {file}, which cannot be read: it is not UTF-8"


@pytest.mark.parametrize("url", ["http://a", "https://a.example:8443/x", "http://[::1]:80"])
def test_a_url_loses_its_trailing_slash(load_with: Load, url: str) -> None:
    settings = load_with(PEER_URL=url + "/")
    assert isinstance(settings, ExampleSettings)
    assert settings.peer_url == url
