"""Operations: backup, restore, rotation of the secrets, given secrets, a port in use."""

import subprocess
from pathlib import Path

import psycopg2
import pytest

from tests.support.containers.stack import ADDRESS, ROOT, SERVICES, TAG, DockerError, Stack, beside, docker
from tests.support.postgres import run
from tocsin.kernel.ids import new_id

ALERT = {"service": "backup", "severity": "high", "message": "before the backup"}

pytestmark = pytest.mark.sample("operations", 2)


def script(stack: Stack, name: str, *arguments: str) -> str:
    """Run a script of docker/ on the system."""
    done = subprocess.run(  # noqa: S603
        [ROOT / "docker" / name, *arguments],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_a_restore_brings_back_exactly_the_state_of_the_backup(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "tocsin.dump"
    alert = await stack.send_alert(ALERT)
    assert (await beside(script, stack, "backup", str(file))).strip() == str(file)
    assert file.stat().st_mode & 0o077 == 0
    lost = await stack.post("alerts", "/api/v1/alerts", {**ALERT, "service": "after-the-backup"})
    run(stack.dsn(), "CREATE TABLE alerts.of_a_later_version (id int)")

    await beside(script, stack, "restore", str(file))
    await stack.ready()
    assert await stack.get("alerts", f"/api/v1/alerts/{alert['id']}") == alert
    assert (await stack.get("incidents", f"/api/v1/incidents/{alert['incident_id']}"))["service"] == "backup"
    async with stack.session.get(f"{stack.url('alerts')}/api/v1/alerts/{lost['alert_id']}") as response:
        assert response.status == 404
    # Privileges are restored too: the services continue.
    assert (await stack.send_alert(ALERT))["incident_id"] == alert["incident_id"]
    await stack.resolve(alert["incident_id"])


async def test_restoring_a_truncated_backup_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    alert = await stack.send_alert(ALERT)
    file = tmp_path / "tocsin.dump"
    await beside(script, stack, "backup", str(file))
    whole = file.read_bytes()
    for half in (whole[: len(whole) // 2], b"no backup"):
        file.write_bytes(half)
        with pytest.raises(AssertionError):
            await beside(script, stack, "restore", str(file))
    await stack.ready()
    assert await stack.get("alerts", f"/api/v1/alerts/{alert['id']}") == alert
    await stack.resolve(alert["incident_id"])


async def test_after_a_rotation_only_the_new_passwords_open_the_database(stack: Stack) -> None:
    roles = ["tocsin", *(f"tocsin_{name}" for name in SERVICES if name != "web")]
    old = {role: stack.dsn(role) for role in roles}
    await beside(script, stack, "rotate-secrets")
    await stack.ready()
    for role in roles:
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(old[role]).close()
        psycopg2.connect(stack.dsn(role)).close()
    alert = await stack.send_alert(ALERT)
    await stack.resolve(alert["incident_id"])


async def test_a_port_in_use_is_named(stack: Stack) -> None:
    other, taken = Stack(f"tocsin-test-{new_id().hex[-8:]}", {}), stack.ports["web-ui"]
    try:
        with pytest.raises(DockerError, match=rf"{ADDRESS}:{taken}.*already"):
            await beside(other.compose, "up", "--detach", "--no-build", "--no-deps", "edge", WEB_UI_PORT=str(taken))
    finally:
        await beside(other.down)


async def test_given_secrets_win_over_created_ones_and_lost_secrets_are_named(images: list[str]) -> None:
    assert "migrate" in images
    given = {"DATABASE_PASSWORD": "the owner's / own", "TOCSIN_ALERTS_PASSWORD": "p@ss:word%"}
    other = Stack(f"tocsin-test-{new_id().hex[-8:]}", given)
    try:
        await beside(other.compose, "up", "--detach", "--no-build", "--wait", "database")
        await beside(other.compose, "run", "--rm", "-T", "migrate")
        assert other.secret("database/password") == given["DATABASE_PASSWORD"]
        assert other.secret("alert-ingestion/database_url").startswith("postgresql://tocsin_alerts:p%40ss%3Aword%25@")
        psycopg2.connect(other.dsn("tocsin_alerts")).close()
        # The database volume remains, and the secrets volume is lost or the given password is wrong.
        with pytest.raises(DockerError, match="DATABASE_PASSWORD"):
            await beside(other.compose, "run", "--rm", "-T", "migrate", DATABASE_PASSWORD="another")  # noqa: S106
    finally:
        await beside(other.down)


def test_an_unreadable_secrets_file_is_named(images: list[str]) -> None:
    assert "migrate" in images
    arguments = ("--rm", "--user", "0:0", "--tmpfs", "/run/secrets", "--env", "SMTP_URL_FILE=/nowhere")
    with pytest.raises(DockerError, match="SMTP_URL_FILE names /nowhere, which cannot be read"):
        docker("run", *arguments, "--entrypoint", "python", f"tocsin/migrate:{TAG}", "/opt/make_secrets.py")
