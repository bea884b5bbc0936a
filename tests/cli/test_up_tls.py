"""`tocsin up --tls`: what it serves over TLS and what not, and with which certificate."""

import asyncio
import os
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from aiohttp import ClientSession, ServerDisconnectedError, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from time_machine import travel

from tests.support.cli.processes import TOCSIN, free_endpoint, tocsin, tocsin_up
from tests.support.e2e.closed import ADMIN, PASSWORD
from tocsin.cli.certificates import LocalCertificate
from tocsin.cli.console import CommandError
from tocsin.cli.services import SERVICES, WEB
from tocsin.kernel import clock
from tocsin.kernel.errors import ConfigurationError
from tocsin.kernel.tls import server_context

PAGE = {"Accept": "text/html"}


def trusting(authority: Path) -> ClientSession:
    """Return a client that trusts *authority* only."""
    return ClientSession(connector=TCPConnector(ssl=ssl.create_default_context(cafile=authority)))


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TOCSIN_TOKEN", raising=False)


@pytest.mark.slow
async def test_pages_and_api_are_served_over_tls_and_without_it_on_this_machine_only(
    db_dsn: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    endpoint, everywhere = free_endpoint(), "0.0.0.0"  # noqa: S104 - of which 127.0.0.2 is one that others may reach
    async with tocsin_up(
        *("--tls", "--data", str(data)),
        endpoint=endpoint,
        BIND_ADDRESS=everywhere,
        DATABASE_URL=db_dsn,
        ACCESS="closed",
        PUBLIC_URL="https://localhost:8443",
    ) as up:
        await up.wait_for_output("/setup?key=")
        local = LocalCertificate(data)
        url = f"https://localhost:{up.endpoint.tls_port}"
        assert f"have to trust {local.authority}" in up.output
        async with trusting(local.authority) as session:
            for host in ("localhost", "127.0.0.1"):
                async with session.get(f"https://{host}:{up.endpoint.tls_port}/health/ready") as response:
                    assert response.status == 200
                    assert "Strict-Transport-Security" not in response.headers
            await _log_in(session, url, up.output)
            await _plain(session, up.endpoint.url(WEB), up.endpoint.tls_port)
        for service in SERVICES:
            with pytest.raises(OSError, match="onnect"):
                async with ClientSession() as stranger, stranger.get(f"http://127.0.0.2:{up.endpoint.port(service)}"):
                    pass
        await _commands(url, local.authority)


async def _log_in(session: ClientSession, url: str, output: str) -> None:
    key = output.partition("https://localhost:8443/setup?key=")[2].split()[0]
    form = {"key": key, "password": PASSWORD, **ADMIN}
    async with session.post(f"{url}/setup", data=form, allow_redirects=False) as response:
        assert response.status == 303
        assert response.cookies["__Host-tocsin_session"]["secure"]
    async with session.get(f"{url}/api/v1/alerts") as response:
        assert response.status == 200, "through the gateway, and the service that asks the web service for the account"
    async with session.get(f"{url}/account", headers=PAGE) as response:
        assert "logged in on one device" in await response.text()


async def _plain(session: ClientSession, plain: str, tls_port: int) -> None:
    async with session.get(f"{plain}/login?return_to=/account", headers=PAGE, allow_redirects=False) as response:
        assert response.status == 308
        assert response.headers["Location"] == "https://localhost:8443/login?return_to=/account"
    async with session.get(f"{plain}/api/v1/alerts") as response:
        assert response.status == 401, "programs of this machine are not redirected"
    with pytest.raises((ServerDisconnectedError, ConnectionResetError)):
        await session.get(f"http://127.0.0.1:{tls_port}/health")


async def _commands(url: str, authority: Path) -> None:
    """The commands are processes of their own here: the trusted authorities are read at their start."""
    untrusted = await tocsin("incidents", "list", "--url", url)
    assert untrusted.status == 1
    assert "SSL_CERT_FILE" in untrusted.err
    mistaken = await tocsin("incidents", "list", "--url", url.replace("https", "http"))
    assert (mistaken.status, "begins with https://" in mistaken.err) == (1, True)
    run = await asyncio.create_subprocess_exec(
        *(str(TOCSIN), "incidents", "list", "--url", url),
        env={**os.environ, "SSL_CERT_FILE": str(authority)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await run.communicate()
    assert "tocsin login" in errors.decode(), "it is Tocsin that asks for a token"


@pytest.mark.slow
async def test_an_own_certificate_is_used_and_remembered_by_browsers(db_dsn: str, tmp_path: Path) -> None:
    authority, files = trustme.CA(), tmp_path / "own"
    files.mkdir()
    issued = authority.issue_cert("pager.example")
    (files / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(files / "key.pem"))
    authority.cert_pem.write_to_path(str(files / "ca.pem"))
    given = ("--tls-certificate", str(files / "chain.pem"), "--tls-key", str(files / "key.pem"))
    data = tmp_path / "data"
    async with tocsin_up(
        *given, "--data", str(data), DATABASE_URL=db_dsn, ACCESS="closed", PUBLIC_URL="https://pager.example"
    ) as up:
        await up.wait_for_output("Tocsin is up: https://pager.example")
        assert not (data / "tls").exists()
        address = f"https://127.0.0.1:{up.endpoint.tls_port}/health"
        async with (
            trusting(files / "ca.pem") as session,
            session.get(address, server_hostname="pager.example", headers={"Host": "pager.example"}) as response,
        ):
            assert (response.status, response.headers["Strict-Transport-Security"]) == (200, "max-age=31536000")


def write(folder: Path, **issued: trustme.LeafCert) -> dict[str, Path]:
    """Write certificates and their keys; return the files."""
    files = {}
    for name, leaf in issued.items():
        files[name], files[f"{name}_key"] = folder / f"{name}.pem", folder / f"{name}-key.pem"
        leaf.cert_chain_pems[0].write_to_path(str(files[name]))
        leaf.private_key_pem.write_to_path(str(files[f"{name}_key"]))
    return files


async def test_a_certificate_that_cannot_be_used_stops_the_start_with_the_reason(tmp_path: Path) -> None:
    authority, now = trustme.CA(), clock.now()
    old, new = now - timedelta(days=9), now + timedelta(days=9)
    files = write(
        tmp_path,
        good=authority.issue_cert("localhost"),
        other=authority.issue_cert("localhost"),
        expired=authority.issue_cert("localhost", not_before=old - timedelta(days=9), not_after=old),
        early=authority.issue_cert("localhost", not_before=new, not_after=new + timedelta(days=9)),
    )
    files["nowhere"] = tmp_path / "nowhere.pem"
    for certificate, key, reason in (
        ("nowhere", "good_key", "nowhere.pem cannot be read (No such file or directory)"),
        ("good", "nowhere", "nowhere.pem cannot be read (No such file or directory)"),
        ("good", None, "good.pem has no key in PEM"),
        ("good_key", None, "good-key.pem has none in PEM"),
        ("good", "other_key", f"other-key.pem is not the key of {files['good']}"),
        ("expired", "expired_key", "expired at"),
        ("early", "early_key", "is not valid before"),
    ):
        arguments = ["up", "--data", str(tmp_path / "data"), "--tls-certificate", str(files[certificate])]
        result = await tocsin(*arguments, *(["--tls-key", str(files[key])] if key else []))
        assert (result.status, reason in result.err.replace("\n", "")) == (os.EX_CONFIG, True), result.err
    assert not (tmp_path / "data").exists(), "nothing was started"
    assert server_context(files["good"], files["good_key"]).minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    files = write(tmp_path, good=trustme.CA().issue_cert("localhost"))
    key = load_pem_private_key(files["good_key"].read_bytes(), None)
    encryption = BestAvailableEncryption(b"password")
    files["good_key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    with pytest.raises(ConfigurationError, match="or only one with a password"):
        server_context(files["good"], files["good_key"])


async def test_wrong_options_are_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    result = await tocsin("up", *data, "--tls-key", "key.pem")
    assert (result.status, "--tls-certificate" in result.err) == (os.EX_USAGE, True)
    monkeypatch.setenv("PUBLIC_URL", "http://localhost:8080")
    result = await tocsin("up", *data, "--tls")
    assert (result.status, "begin with https://" in result.err) == (os.EX_CONFIG, True)


def names(path: Path) -> list[str]:
    """Return the names in a certificate."""
    found = x509.load_pem_x509_certificate(path.read_bytes()).extensions
    subject = found.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*subject.get_values_for_type(x509.DNSName), *map(str, subject.get_values_for_type(x509.IPAddress))]


def test_a_certificate_is_made_for_this_machine_and_the_public_name_and_is_private(tmp_path: Path) -> None:
    local = LocalCertificate(tmp_path)
    local.renew(["pager.example", "127.0.0.1"])
    assert names(local.certificate) == ["localhost", "pager.example", "127.0.0.1", "::1"]
    for path in (local.certificate, local.certificate.with_name("authority-key.pem")):
        assert path.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in local.authority.read_bytes()
    made = x509.load_pem_x509_certificate(local.certificate.read_bytes())
    assert made.not_valid_after_utc - made.not_valid_before_utc <= timedelta(days=397)
    limits = x509.load_pem_x509_certificate(local.authority.read_bytes()).extensions
    assert limits.get_extension_for_class(x509.NameConstraints).critical


def test_it_is_kept_until_it_expires_soon_or_has_another_name(tmp_path: Path) -> None:
    local = LocalCertificate(tmp_path)

    def after(days: int, *hosts: str) -> tuple[bytes, bytes]:
        with travel(clock.now() + timedelta(days=days), tick=False):
            local.renew(hosts)
        return local.authority.read_bytes(), local.certificate.read_bytes()

    authority, certificate = after(0, "pager.example")
    assert after(366, "pager.example") == (authority, certificate)
    same, renewed = after(367, "pager.example")
    assert (same, renewed != certificate) == (authority, True)
    other, _ = after(367, "pager.example", "other.example")
    assert other != authority, "an authority can sign for the names that it was made for only"
    local.certificate.write_bytes(renewed)
    assert after(367, "pager.example", "other.example")[1] != renewed, "another authority has signed it"
    assert after(3_700, "pager.example", "other.example")[0] != other, "before the authority expires"


@pytest.mark.parametrize("name", ["authority-key.pem", "certificate.pem"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    local = LocalCertificate(tmp_path)
    local.renew([])
    (tmp_path / "tls" / name).write_text("damaged")
    with pytest.raises(CommandError, match=r"cannot be written to .* or read there") as raised:
        local.renew([])
    assert f"Delete {tmp_path / 'tls'}" in raised.value.advice
