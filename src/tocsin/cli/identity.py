"""The name under which the commands act: chosen once on a terminal, and kept in a file of the user."""

import getpass
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import typer

from tocsin.cli.console import ERR, CommandError, escape_control
from tocsin.cli.gateway import call
from tocsin.contracts.people import Person
from tocsin.kernel.auth import MAX_ACTOR
from tocsin.kernel.pagination import MAX_LIMIT

OFFERED: Final = 30
"""The maximum number of people that are listed; any other name can be typed."""


def chosen_name(url: str) -> str:
    """Return the name that the user chose; on a terminal, ask for it once, offering the people of the Tocsin at *url*.

    Without a choice and a terminal, as in a script, this is the name of the user of this machine.
    """
    path = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "tocsin" / "actor"
    with suppress(OSError, UnicodeDecodeError):
        if name := path.read_text(encoding="utf-8").strip()[:MAX_ACTOR]:
            return name
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return _user_name()
    name = _ask(_people(url))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n", encoding="utf-8")
    except OSError as exc:
        ERR.print(f"The name cannot be kept in {path} ({exc.strerror}); set TOCSIN_ACTOR instead.", markup=False)
    else:
        ERR.print(f"Kept in {path}. --actor and TOCSIN_ACTOR override it.", markup=False)
    return name


def _people(url: str) -> Sequence[Person]:
    try:
        return call(url, lambda gateway: gateway.oncall.people(limit=MAX_LIMIT)).items
    except CommandError:
        return []  # an incident can be acknowledged while the on-call service is unavailable


def _ask(people: Sequence[Person]) -> str:
    names = sorted({person.name for person in people}, key=str.casefold)[:OFFERED]
    ERR.print("Who are you? Your name is shown beside what you do.")
    for number, name in enumerate(names, 1):
        ERR.print(f"{number:>4}  {escape_control(name)}", markup=False)
    given = str(typer.prompt("Number or name" if names else "Name", default=_user_name(), err=True)).strip()
    if given.isascii() and given.isdecimal() and 1 <= int(given) <= len(names):
        return names[int(given) - 1]
    return given[:MAX_ACTOR] or _user_name()


def _user_name() -> str:
    """Return the name of the user at the terminal."""
    with suppress(OSError, KeyError):  # a container's user id may have no name
        return getpass.getuser()
    return f"user {os.getuid()}"
