"""`docs/settings.md`, written from the settings classes: `python -m tests.support.settings_page` writes it anew."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import ProcessSettings

PAGE: Final = Path(__file__).parents[2] / "docs" / "settings.md"
SERVICES: Final = {
    "alerts": "alert-ingestion",
    "incidents": "incident-management",
    "oncall": "oncall-service",
    "notifications": "notification-service",
    "web": "web-ui",
}
INTRODUCTION: Final = """\
# Settings

Every process reads its settings from the environment once, at start-up. With an invalid setting it exits with status 78
and a message with the name, the value and the allowed values. `make run` needs no settings.

Names of durations include the unit. For secrets, `<NAME>_FILE` can name a file with the value of `<NAME>`; secrets are
never logged or shown in errors. `tocsin up` passes its environment on to the services, and sets the addresses of the
other services. `tocsin check` checks all settings and tries each connection.

The command also reads `TOCSIN_DATA` (its data folder) and `TOCSIN_URL` (the address of a running Tocsin). For
`python -m tocsin.migrate`, `ROLE_PASSWORDS` names a folder with one file per role that may log in: the name
is the role, the content its password. OpenTelemetry's own variables enable [traces](operations.md#traces).

`make docs` generates this page from the settings classes.
"""


def settings_of(service: str) -> type[BaseSettings]:
    """Return the settings class that *service*'s own module defines."""
    module = importlib.import_module(f"tocsin.{service}.settings")
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ProcessSettings) and value.__module__ == module.__name__
    )
    return found


def render() -> str:
    """Return the whole page."""
    shared = [
        _section("Every process", ProcessSettings, beyond=BaseSettings),
        _section("Every process with a database", ServiceSettings, beyond=ProcessSettings),
    ]
    own = [_section(title, settings_of(service), beyond=ServiceSettings) for service, title in SERVICES.items()]
    return "\n".join([INTRODUCTION, *shared, *own])


def _section(title: str, settings: type[BaseSettings], *, beyond: type[BaseSettings]) -> str:
    lines = [f"## {title}", "", "| Variable | Default | Allowed | Meaning |", "| --- | --- | --- | --- |"]
    for name, field in settings.model_fields.items():
        known = beyond.model_fields.get(name)
        if known is None or known.default != field.default:
            meaning = " ".join((field.description or (known and known.description) or "").split())
            lines.append(f"| `{name.upper()}` | {_default(field)} | {', '.join(_allowed(field))} | {meaning} |")
    return "\n".join([*lines, ""])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.default
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _allowed(field: FieldInfo) -> Iterator[str]:
    annotation = str(field.annotation)
    if SecretStr.__name__ in annotation:
        yield "secret"
    if field.annotation is bool:
        yield "`true`, `false`"
    for rule in field.metadata:
        for rule_name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
            limit = getattr(rule, rule_name, None)
            if limit is not None:
                yield f"{sign} {limit:g}"
        pattern = getattr(rule, "pattern", None)
        if pattern and set(pattern) <= set("^$()|ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
            yield pattern.strip("^$()").replace("|", ", ")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
