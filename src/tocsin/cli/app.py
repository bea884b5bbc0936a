"""The commands and their options."""

import asyncio
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer

from tocsin import migrate as migrations
from tocsin.cli import accounts, alerts, audit, incidents, oncall
from tocsin.cli.check import check
from tocsin.cli.console import OUT, PROGRAM, CommandError, escape_control, print_error, reporter
from tocsin.cli.database import DatabaseSettings, DataOption, data_argument, database
from tocsin.cli.demo import store
from tocsin.cli.demo.removal import remove
from tocsin.cli.demo.seed import seed
from tocsin.cli.gateway import DEFAULT_URL, URLOption
from tocsin.cli.ports import HIGHEST_OFFSET
from tocsin.cli.services import Endpoint, ServiceName
from tocsin.cli.up import Options
from tocsin.cli.up import up as run_up
from tocsin.kernel.build_info import VERSION
from tocsin.kernel.errors import DomainError
from tocsin.kernel.loopback import loopback_of
from tocsin.kernel.network_exposure import start_refusal
from tocsin.kernel.settings import load

app = typer.Typer(
    name="tocsin",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tocsin: turns alerts into incidents and pages the people on call until someone acknowledges.",
)
demo = typer.Typer(no_args_is_help=True, help="Add or remove demo data.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: *arguments*, or this process's own.

    An expected error is a message on standard error and an exit status, never a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # the terminal's encoding may lack characters of an alert
    # The commands print their own messages: the kernel's log lines would repeat them.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        app(args=arguments, prog_name="tocsin")
    except CommandError as error:
        print_error(error)
        raise SystemExit(error.status) from error
    except (DomainError, migrations.MigrationError) as error:
        print_error(CommandError(escape_control(str(error))))
        raise SystemExit(1) from error


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        OUT.print(f"tocsin {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def up(
    *,
    data: DataOption,
    port_offset: Annotated[
        int,
        typer.Option(min=0, max=HIGHEST_OFFSET, help="Added to each port, to run a second Tocsin on this machine."),
    ] = 0,
    demo: Annotated[bool, typer.Option("--demo", help="Add demo data to an empty system.")] = False,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve over TLS at port 8443, with a certificate that is made here.")
    ] = False,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(envvar="TLS_CERTIFICATE", help="Serve over TLS with this certificate: a PEM file with its chain."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(envvar="TLS_KEY", help="PEM file of its key.", show_default="in the same file"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the services' log lines as JSON, unchanged.")] = False,
) -> None:
    """Run everything on this machine until Ctrl-C: database, migrations, the five services."""
    settings = load(DatabaseSettings)
    if refusal := start_refusal(settings):
        raise CommandError(refusal, status=os.EX_CONFIG)
    if tls_key is not None and tls_certificate is None:
        msg = "--tls-key or TLS_KEY is given without its certificate"
        raise CommandError(msg, "Add --tls-certificate FILE.", status=os.EX_USAGE)
    endpoint = Endpoint(settings.bind_address, port_offset)
    if tls or tls_certificate is not None:
        endpoint = Endpoint(loopback_of(settings.bind_address), port_offset, tls_address=settings.bind_address)
    options = Options(endpoint, data, demo, reporter(raw=as_json), tls_certificate, tls_key)
    asyncio.run(run_up(options, settings))


@app.command()
def serve(service: ServiceName) -> None:
    """Run one service in the foreground, configured by environment variables."""
    os.execv(sys.executable, (sys.executable, "-m", f"tocsin.{service}"))  # noqa: S606 - the name is one of five


@app.command()
def migrate(*, data: DataOption) -> None:
    """Migrate the database (DATABASE_URL, else the embedded one) to the newest schema."""

    async def work() -> list[str]:
        async with database(data) as dsn:
            return migrations.migrate(dsn)

    applied = asyncio.run(work())
    for name in applied:
        OUT.print(f"applied {name}", markup=False)
    OUT.print(f"The schema is up to date ({len(applied)} applied).")


@demo.command("add")
def add_demo(*, data: DataOption, url: URLOption = DEFAULT_URL) -> None:
    """Add demo data to a running Tocsin that has no data of its own."""

    async def work() -> bool:
        async with database(data) as dsn:
            allows_demo_data = (await store.inspect(dsn)).allows_demo_data
            if allows_demo_data:
                await seed(url, dsn)
            return allows_demo_data

    if asyncio.run(work()):
        OUT.print(f"{store.ADDED} To remove it: {PROGRAM} demo remove")
    else:
        OUT.print(store.NOT_ADDED)


@demo.command("remove")
def remove_demo(*, data: DataOption) -> None:
    """Delete the demo data: its teams, alerts, incidents, pages and messages. Your own data stays."""

    async def work() -> int:
        async with database(data) as dsn:
            if migrations.inspect(dsn).pending:
                msg = "the database does not have the newest schema"
                raise CommandError(msg, f"Run: {PROGRAM} migrate{data_argument(data)}")
            return await remove(dsn)

    removed = asyncio.run(work())
    OUT.print(f"The demo data is removed: {removed} incidents and everything that belonged to them.")
    OUT.print(f"From now on, start without --demo: {PROGRAM} up", style="bold")


app.add_typer(alerts.app, name="alert")
app.add_typer(incidents.app, name="incidents")
app.command()(oncall.oncall)
app.command()(check)
app.add_typer(demo, name="demo")
app.command()(accounts.login)
app.command()(accounts.logout)
app.add_typer(accounts.accounts, name="accounts")
app.add_typer(accounts.tokens, name="tokens")
app.command()(audit.audit)
app.command("setup-link")(accounts.setup_link)
