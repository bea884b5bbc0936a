"""`tocsin check`: is everything configured and connected, and what to do where it is not."""

import asyncio
import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import ValidationError
from rich.text import Text

from tocsin.channels import CHANNELS
from tocsin.channels.channel import ChannelSettings
from tocsin.cli.console import OUT, PROGRAM, CommandError, show_table, table
from tocsin.cli.database import DatabaseSettings, DataOption
from tocsin.cli.gateway import checked
from tocsin.cli.ports import HIGHEST_OFFSET
from tocsin.cli.postgres import Embedded
from tocsin.cli.services import SERVICES, WEB, Place, Service
from tocsin.kernel.settings import ProcessSettings, describe
from tocsin.migrate import MigrationError, inspect

ANSWER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    found: str
    advice: str = ""
    """What to do; empty where all is well."""


def check(
    *,
    data: DataOption,
    port_offset: Annotated[
        int, typer.Option(min=0, max=HIGHEST_OFFSET, help="The one that `tocsin up` was given.")
    ] = 0,
) -> None:
    """Check the settings of each service, the database, and whether each service answers."""
    try:
        settings = DatabaseSettings()
    except ValidationError as exc:
        raise CommandError(describe(exc, DatabaseSettings), status=os.EX_CONFIG) from exc
    dsn = settings.database_url.get_secret_value() if settings.database_url else _embedded_dsn(data)
    findings = [_settings_of(service, dsn) for service in SERVICES]
    findings.append(_database(dsn, data))
    findings += asyncio.run(_services(Place(settings.bind_address, port_offset)))
    show_table(table(("", "what", "found", "what to do"), [_row(finding) for finding in findings]))
    failures = sum(bool(finding.advice) for finding in findings)
    if failures:
        msg = f"{failures} of {len(findings)} checks failed"
        raise CommandError(msg)
    OUT.print("All is well.", style="bold green")


def _row(finding: Finding) -> tuple[Text, str, str, str]:
    mark = Text("✗", "bold red") if finding.advice else Text("✓", "green")
    return mark, finding.what, finding.found, finding.advice or " "


def _embedded_dsn(folder: Path) -> str | None:
    server = Embedded(folder)
    return server.dsn if server.pid() is not None else None


def _settings_of(service: Service, dsn: str | None) -> Finding:
    what = f"settings of {service.name}"
    settings = _settings_type(service)
    given: dict[str, Any] = {"database_url": dsn or "postgresql://"} if "database_url" in settings.model_fields else {}
    try:
        read = settings(**given)
    except ValidationError as exc:
        return Finding(what, describe(exc, settings), "Set the variable right, or unset it for its default.")
    return Finding(what, f"valid{_channels_of(read)}")


def _channels_of(settings: ProcessSettings) -> str:
    """Return which channels *settings* set up, and how to set up the others; empty for a service without channels."""
    if not isinstance(settings, ChannelSettings):
        return ""
    ready = [channel.label_in_text for channel in CHANNELS if channel.is_set_up(settings)]
    missing = [f"{channel.label_in_text}: {channel.set_up}" for channel in CHANNELS if not channel.is_set_up(settings)]
    return "; ".join(["", f"sends by {', '.join(ready)}", *(f"not by {text}" for text in missing)])


def _settings_type(service: Service) -> type[ProcessSettings]:
    """Return the service's own settings class. Found by name of the module, for the command imports no service."""
    module = importlib.import_module(f"{service.module}.settings")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ProcessSettings) and value.__module__ == module.__name__
    )


def _database(dsn: str | None, folder: Path) -> Finding:
    if dsn is None:
        advice = f"Start it: {PROGRAM} up. Or name another: DATABASE_URL, or --data FOLDER."
        return Finding("database", f"the embedded one in {folder} does not run", advice)
    try:
        state = inspect(dsn)
    except MigrationError as exc:
        return Finding("database", str(exc), "Start PostgreSQL 17 or newer, or set DATABASE_URL right.")
    found = f"PostgreSQL {state.version}, {state.encoding}"
    if state.pending:
        return Finding("database", f"{found}, not applied: {', '.join(state.pending)}", f"Run: {PROGRAM} migrate")
    return Finding("database", f"{found}, schema up to date")


async def _services(place: Place) -> list[Finding]:
    async with ClientSession(timeout=ClientTimeout(total=ANSWER_SECONDS)) as session:
        return list(await asyncio.gather(*(_service(session, service, _url(service, place)) for service in SERVICES)))


def _url(service: Service, place: Place) -> str:
    variable = "TOCSIN_URL" if service is WEB else service.url_variable
    return checked(os.environ.get(variable) or place.url(service))


async def _service(session: ClientSession, service: Service, url: str) -> Finding:
    try:
        async with session.get(f"{url}/health/ready") as response:
            if response.ok:
                return Finding(service.name, f"ready at {url}")
            said = " ".join((await response.text()).split())
            return Finding(
                service.name, f"{url} answers {response.status}: {said}", "Look after what it names as away."
            )
    except (ClientError, TimeoutError):
        advice = f"Start all: {PROGRAM} up. Or this one: {PROGRAM} serve {service.name}"
        return Finding(service.name, f"no answer from {url}", advice)
