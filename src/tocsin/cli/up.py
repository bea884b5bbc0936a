"""`tocsin up`: run the database and the five services, and stop them all together."""

import asyncio
import os
import shlex
import signal
from asyncio import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tocsin.cli import ports, postgres
from tocsin.cli.console import PROGRAM, CommandError, Reporter
from tocsin.cli.database import DatabaseSettings
from tocsin.cli.demo import store
from tocsin.cli.demo.seed import seed
from tocsin.cli.service_keys import KeyFolder
from tocsin.cli.services import SERVICES, WEB, Endpoint
from tocsin.cli.supervisor import ServiceProcess, launch_command
from tocsin.kernel import clock, tasks
from tocsin.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from tocsin.cli.certificates import LocalCertificate

DATABASE_POLL_SECONDS: Final = 0.25
"""How often the server's process is checked."""
DATABASE_BACKOFF_SECONDS: Final = 2.0
"""The delay before the next start of a server that does not start, for example on a full disk."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's options."""

    endpoint: Endpoint
    data: Path
    demo: bool
    reporter: Reporter
    certificate: Path | None = None
    """The TLS certificate; without one, it is made if the endpoint has TLS."""
    key: Path | None = None
    """Its key, if that is in another file."""


async def up(options: Options, settings: DatabaseSettings) -> None:
    """Run Tocsin until SIGINT, SIGTERM or SIGHUP. Raise CommandError when it cannot start."""
    ports.require_free(options.endpoint)
    # Messages link to their incident.
    public_url = settings.public_url or options.endpoint.public_url
    _check_tls(options, public_url)
    stop = _Stop(options.reporter)
    try:
        async with _database(options, settings, stop) as (dsn, server):
            keys = KeyFolder(options.data)
            keys.create_missing()
            token = _demo_token(options, settings, keys)
            await _migrate(dsn, options.reporter, keys.tokens if token else None)
            existing = await store.inspect(dsn) if options.demo else None
            tls = _tls_settings(options, public_url)
            environment = {"DATABASE_URL": dsn, "PUBLIC_URL": public_url}
            if server is not None and "DISK_PATH" not in os.environ:
                environment["DISK_PATH"] = str(options.data)
            processes = [
                ServiceProcess(
                    service,
                    options.endpoint,
                    options.reporter,
                    environment | keys.environment(service) | (tls if service is WEB else {}),
                )
                for service in SERVICES
            ]
            stop.kills = [process.kill for process in processes]
            async with tasks.task_group() as group:
                if server is not None:
                    group.create_task(_keep_running(server, options.reporter))
                for process in processes:
                    group.create_task(process.supervise())
                options.reporter.info("Waiting until all services are ready …")
                await asyncio.gather(*(process.wait_ready() for process in processes))
                if existing is not None and existing.allows_demo_data:
                    options.reporter.info("Adding the demo data …")
                    await seed(options.endpoint.url(WEB), dsn, token)
                _announce(options, public_url, existing, embedded=server is not None)
                await _print_setup_link(options, settings)
    except asyncio.CancelledError:
        if not stop.signals:
            raise
    except BaseExceptionGroup as errors:
        expected = errors.subgroup(CommandError)
        if expected is None:
            raise
        raise _first(expected) from None
    options.reporter.info("Stopped.")


def _demo_token(options: Options, settings: DatabaseSettings, keys: KeyFolder) -> str | None:
    """Return the token with which the demo data is added, if log-ins are required."""
    return keys.create_token("demo") if options.demo and settings.access == "closed" else None


def _check_tls(options: Options, public_url: str) -> None:
    """Raise CommandError if TLS is wanted with a certificate that cannot be used, or without a URL that uses it."""
    if not options.endpoint.tls_address:
        return
    if not public_url.startswith("https://"):
        msg = f"PUBLIC_URL is {public_url}, which people cannot use if Tocsin is served over TLS"
        raise CommandError(msg, "Let it begin with https://, or unset it.", status=os.EX_CONFIG)
    if options.certificate is not None:
        from tocsin.kernel.tls import server_context  # noqa: PLC0415 - it would delay every command

        try:
            server_context(options.certificate, options.key)
        except ConfigurationError as exc:
            raise CommandError(str(exc), status=os.EX_CONFIG) from exc


def _tls_settings(options: Options, public_url: str) -> dict[str, str]:
    """Return the settings of the web service for TLS. A certificate that was not given is made, or renewed."""
    if not options.endpoint.tls_address:
        return {}
    certificate, key = options.certificate, options.key
    if certificate is None:
        local = _local_certificate(options)
        local.renew(filter(None, (urlsplit(public_url).hostname, options.endpoint.tls_host)))
        certificate = local.certificate
    return {"TLS_CERTIFICATE": str(certificate.resolve()), "TLS_KEY": str(key.resolve()) if key else ""}


def _local_certificate(options: Options) -> "LocalCertificate":
    from tocsin.cli.certificates import LocalCertificate  # noqa: PLC0415 - it would delay every command

    return LocalCertificate(options.data)


class _Stop:
    """Signal handlers: the first cancels this task, which stops everything in order; the second kills the services."""

    def __init__(self, reporter: Reporter) -> None:
        self.signals = 0
        self.kills: list[Callable[[], None]] = []
        self._reporter = reporter
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        self.signals += 1
        if self.signals == 1 and self._task is not None:
            self._task.cancel()
            self._reporter.info("Stopping … (press Ctrl-C again to kill)")
        else:
            for kill in self.kills:
                kill()


@asynccontextmanager
async def _database(
    options: Options, settings: DatabaseSettings, stop: _Stop
) -> AsyncIterator[tuple[str, postgres.EmbeddedPostgres | None]]:
    """Yield the database's DSN and, if it is used, the embedded server, which stops at the end of the block."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value(), None
        return
    with ExitStack() as stack:
        stack.enter_context(postgres.exclusive(options.data))
        server = postgres.EmbeddedPostgres(options.data)
        try:
            options.reporter.info("Starting PostgreSQL …")
            if not await server.start():
                options.reporter.info("PostgreSQL was already running and is reused.")
            yield server.dsn, server
        finally:
            if not await server.stop(at_once=stop.signals > 1):
                options.reporter.info("PostgreSQL is still writing and will stop by itself.")


async def _migrate(dsn: str, reporter: Reporter, tokens: Path | None) -> None:
    """Migrate in a separate process, which can be stopped while it waits for another migration's lock.

    *tokens* is the folder with those of programs.
    """
    process = await asyncio.create_subprocess_exec(
        *launch_command("tocsin.migrate"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "DATABASE_URL": dsn, "PROGRAM_TOKENS": str(tokens or "")},
    )
    try:
        reporter.info("Migrating the database …")
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise CommandError(output.decode(errors="replace").strip())


async def _print_setup_link(options: Options, settings: DatabaseSettings) -> None:
    """Print the link with which the first admin's account is created, if log-ins are required and there is none."""
    if settings.access == "open":
        return
    process = await asyncio.create_subprocess_exec(
        *launch_command("tocsin.cli.setup_link"),
        options.endpoint.url(WEB),
        str(options.data),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode == 0:
        options.reporter.info(output.decode(errors="replace"))


async def _keep_running(server: postgres.EmbeddedPostgres, reporter: Reporter) -> None:
    while True:
        await clock.sleep(DATABASE_POLL_SECONDS)
        if server.pid() is None:
            reporter.warn("PostgreSQL died; restarting it")
            try:
                await server.start()
            except CommandError as exc:
                reporter.warn(f"{exc}; the next attempt is in {DATABASE_BACKOFF_SECONDS:g} s")
                await clock.sleep(DATABASE_BACKOFF_SECONDS)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a nested group: it caused the others."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _announce(options: Options, public_url: str, existing: store.ExistingData | None, *, embedded: bool) -> None:
    endpoint = options.endpoint
    gateway = public_url if endpoint.tls_address else endpoint.url(WEB)
    trust = ""
    where = f"embedded PostgreSQL, data in {options.data.resolve()}" if embedded else "DATABASE_URL"
    lines = ["", f"Tocsin is up: {gateway}", ""]
    lines += [f"  {'API':<14} {gateway}/docs"]
    lines += [f"  {service.name:<14} {endpoint.url(service)}/docs" for service in SERVICES if service is not WEB]
    lines += [f"  {'database':<14} {where}", ""]
    if endpoint.tls_address:
        lines += [f"Without TLS, from this machine only: {endpoint.url(WEB)} and the services above.", ""]
        if options.certificate is None:
            authority = _local_certificate(options).authority
            trust = f"--cacert {shlex.quote(str(authority))} "
            lines += [f"Browsers and programs that use {gateway} have to trust {authority}", ""]
    lines += ["Send the first alert:", ""]
    lines += [
        f"  curl {trust}{gateway}/api/v1/alerts -H 'Content-Type: application/json' \\",
        """    -d '{"service": "checkout", "severity": "critical", "message": "p95 latency above 2 s"}'""",
        "",
    ]
    if existing is not None and not existing.allows_demo_data:
        lines += [store.NOT_ADDED, ""]
    elif existing is not None:
        lines += [f"{store.ADDED} To remove it: {PROGRAM} demo remove", ""]
    lines += ["Ctrl-C stops everything.", ""]
    options.reporter.info("\n".join(lines))
