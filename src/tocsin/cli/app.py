"""The commands and their options; what they do is in the modules beside this one."""

import asyncio
import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import structlog
import typer

from tocsin import migrate as migrations
from tocsin.cli import alerts, incidents, oncall
from tocsin.cli.check import check
from tocsin.cli.console import OUT, PROGRAM, CommandError, Voice, report
from tocsin.cli.database import DatabaseSettings, DataOption, database
from tocsin.cli.demo import store
from tocsin.cli.demo.seed import seed
from tocsin.cli.gateway import DEFAULT_URL, URLOption
from tocsin.cli.ports import HIGHEST_OFFSET
from tocsin.cli.services import Place, ServiceName
from tocsin.cli.up import Options
from tocsin.cli.up import up as run_up
from tocsin.kernel.build_info import VERSION
from tocsin.kernel.errors import DomainError
from tocsin.kernel.settings import load

app = typer.Typer(
    name="tocsin",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tocsin: alerts become incidents, and pages until somebody answers.",
)
demo = typer.Typer(no_args_is_help=True, help="A made-up world, so that the first start is not an empty screen.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (by default this process's own).

    An expected error is a sentence on standard error and a status, never a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what senders wrote may not exist in a terminal's encoding
    # The kernel logs what the commands say in their own words.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        app(args=arguments, prog_name="tocsin")
    except CommandError as error:
        report(error)
        raise SystemExit(error.status) from error
    except (DomainError, migrations.MigrationError) as error:
        report(CommandError(str(error)))
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
        typer.Option(min=0, max=HIGHEST_OFFSET, help="Add this to each port, to run a second Tocsin beside the first."),
    ] = 0,
    demo: Annotated[bool, typer.Option("--demo", help="Fill an empty system with a made-up world.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the services' log lines as they are: JSON.")] = False,
) -> None:
    """Run everything on this machine until Ctrl-C: database, migrations, the five services."""
    settings = load(DatabaseSettings)
    options = Options(Place(settings.bind_address, port_offset), data, demo, Voice(raw=as_json))
    asyncio.run(run_up(options, settings))


@app.command()
def serve(service: ServiceName) -> None:
    """Run one service in the foreground, with the settings of the environment."""
    os.execv(sys.executable, (sys.executable, "-m", f"tocsin.{service}"))  # noqa: S606 - one of five


@app.command()
def migrate(*, data: DataOption) -> None:
    """Bring the database to the newest schema: that of DATABASE_URL, else the embedded one."""

    async def work() -> list[str]:
        async with database(data) as dsn:
            return migrations.migrate(dsn)

    applied = asyncio.run(work())
    for name in applied:
        OUT.print(f"applied {name}", markup=False)
    OUT.print(f"The schema is up to date ({len(applied)} applied).")


@demo.command("add")
def add_demo(*, data: DataOption, url: URLOption = DEFAULT_URL) -> None:
    """Fill a running Tocsin with the demo world, unless somebody works with it already."""

    async def work() -> bool:
        async with database(data) as dsn:
            is_free = (await store.look(dsn)).is_free
            if is_free:
                await seed(url, dsn)
            return is_free

    if asyncio.run(work()):
        OUT.print(f"The demo world is there. What is called Demo is made up, and goes away with: {PROGRAM} demo remove")
    else:
        OUT.print("There is data already: no demo world was added.")


@demo.command("remove")
def remove_demo(*, data: DataOption) -> None:
    """Delete the demo world: its teams, alerts, incidents, pages and messages, and nothing else."""

    async def work() -> int:
        async with database(data) as dsn:
            if migrations.inspect(dsn).pending:
                msg = "the database has not the newest schema"
                raise CommandError(msg, f"Bring it there: {PROGRAM} migrate")
            return await store.remove(dsn)

    removed = asyncio.run(work())
    OUT.print(f"The demo world is gone: {removed} incidents and all that belonged to them.")
    OUT.print(f"Start without it from now on: {PROGRAM} up", style="bold")


app.add_typer(alerts.app, name="alert")
app.add_typer(incidents.app, name="incidents")
app.command()(oncall.oncall)
app.command()(check)
app.add_typer(demo, name="demo")
