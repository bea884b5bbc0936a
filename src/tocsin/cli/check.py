"""`tocsin check`: check settings, database and services, and print what to do about each fault."""

import asyncio
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from aiohttp import ClientError, ClientSession, ClientTimeout
from pydantic import ValidationError
from rich.text import Text

from tocsin.channels import CHANNELS
from tocsin.channels.channel import ChannelSettings
from tocsin.cli.console import OUT, PROGRAM, CommandError, print_table, table
from tocsin.cli.database import DatabaseSettings, DataOption, data_argument
from tocsin.cli.gateway import check_url
from tocsin.cli.ports import HIGHEST_OFFSET
from tocsin.cli.postgres import EmbeddedPostgres
from tocsin.cli.services import SERVICES, WEB, Endpoint, Service
from tocsin.kernel.network_exposure import start_refusal
from tocsin.kernel.settings import ProcessSettings, describe
from tocsin.migrate import MigrationError, inspect

TIMEOUT_SECONDS: Final = 3.0
"""How long a service may take to respond."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    subject: str
    result: str
    advice: str = ""
    """What to do; empty if the check passed."""


def check(
    *,
    data: DataOption,
    port_offset: Annotated[
        int, typer.Option(min=0, max=HIGHEST_OFFSET, help="The port offset given to `tocsin up`.")
    ] = 0,
) -> None:
    """Check the settings of each service, the database, and the readiness of each service."""
    try:
        settings = DatabaseSettings()
    except ValidationError as exc:
        raise CommandError(describe(exc, DatabaseSettings), status=os.EX_CONFIG) from exc
    dsn = settings.database_url.get_secret_value() if settings.database_url else _embedded_dsn(data)
    endpoint = Endpoint(settings.bind_address, port_offset)
    urls = {service: _url(service, endpoint) for service in SERVICES}
    findings = [_check_settings(service, dsn) for service in SERVICES]
    findings.append(_check_database(dsn, data))
    findings += asyncio.run(_check_services(urls, data))
    print_table(table(("", "what", "found", "what to do"), [_row(finding) for finding in findings]))
    failures = sum(bool(finding.advice) for finding in findings)
    if failures:
        msg = f"{failures} of {len(findings)} checks failed"
        raise CommandError(msg)
    OUT.print("All checks passed.", style="bold green")


def _row(finding: Finding) -> tuple[Text, str, str, str]:
    mark = Text("✗", "bold red") if finding.advice else Text("✓", "green")
    return mark, finding.subject, finding.result, finding.advice or " "


def _embedded_dsn(folder: Path) -> str | None:
    server = EmbeddedPostgres(folder)
    return server.dsn if server.pid() is not None else None


def _check_settings(service: Service, dsn: str | None) -> Finding:
    subject = f"settings of {service.name}"
    settings = _settings_type(service)
    given: dict[str, Any] = {"database_url": dsn or "postgresql://"} if "database_url" in settings.model_fields else {}
    try:
        read = settings(**given)
    except ValidationError as exc:
        return Finding(subject, describe(exc, settings), "Correct the variable, or unset it for its default.")
    if refusal := start_refusal(read):
        return Finding(subject, "valid, but the service refuses to start", refusal)
    return Finding(subject, f"valid{_channels_of(read)}")


def _channels_of(settings: ProcessSettings) -> str:
    """Return the channels that *settings* configure, and how to configure the others; empty without channels."""
    if not isinstance(settings, ChannelSettings):
        return ""
    ready = [channel.label_in_text for channel in CHANNELS if channel.is_set_up(settings)]
    missing = [f"{channel.label_in_text}: {channel.set_up}" for channel in CHANNELS if not channel.is_set_up(settings)]
    return "; ".join(["", f"sends by {', '.join(ready)}", *(f"not by {text}" for text in missing)])


def _settings_type(service: Service) -> type[ProcessSettings]:
    """Return the service's settings class. Imported by name, because the command line imports no service."""
    module = importlib.import_module(f"{service.module}.settings")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ProcessSettings) and value.__module__ == module.__name__
    )


def _check_database(dsn: str | None, folder: Path) -> Finding:
    if dsn is None:
        advice = f"Start it: {PROGRAM} up{data_argument(folder)}. Or use another: DATABASE_URL, or --data FOLDER."
        return Finding("database", f"the embedded one in {folder} is not running", advice)
    try:
        state = inspect(dsn)
    except MigrationError as exc:
        return Finding("database", str(exc), "Start PostgreSQL 17 or newer, or correct DATABASE_URL.")
    result = f"PostgreSQL {state.version}, {state.encoding}"
    if state.pending:
        advice = f"Run: {PROGRAM} migrate{data_argument(folder)}"
        return Finding("database", f"{result}, not applied: {', '.join(state.pending)}", advice)
    return Finding("database", f"{result}, schema up to date")


async def _check_services(urls: Mapping[Service, str], folder: Path) -> list[Finding]:
    async with ClientSession(timeout=ClientTimeout(total=TIMEOUT_SECONDS)) as session:
        return list(await asyncio.gather(*(_check_service(session, *item, folder) for item in urls.items())))


def _url(service: Service, endpoint: Endpoint) -> str:
    variable = "TOCSIN_URL" if service is WEB else service.url_variable
    return check_url(os.environ.get(variable) or endpoint.url(service), variable)


async def _check_service(session: ClientSession, service: Service, url: str, folder: Path) -> Finding:
    try:
        async with session.get(f"{url}/health/ready") as response:
            if response.ok:
                return Finding(service.name, f"ready at {url}")
            body = " ".join((await response.text()).split())
            return Finding(
                service.name, f"{url} responds {response.status}: {body}", "Restore the dependencies that it names."
            )
    except (ClientError, TimeoutError):
        advice = f"Start all: {PROGRAM} up{data_argument(folder)}. Or this one: {PROGRAM} serve {service.name}"
        return Finding(service.name, f"no response from {url}", advice)
