"""The token with which the commands call a Tocsin that requires one, kept in a file that only the user can read."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tocsin.cli.console import CommandError
from tocsin.cli.private_file import write_private


def path() -> Path:
    """Return the file of the token."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "tocsin" / "token"


def token() -> str | None:
    """Return TOCSIN_TOKEN, else what is in TOCSIN_TOKEN_FILE or what `tocsin login` has kept; None without any."""
    if given := os.environ.get("TOCSIN_TOKEN", "").strip():
        return given
    with suppress(OSError, UnicodeDecodeError):
        return Path(os.environ.get("TOCSIN_TOKEN_FILE") or path()).read_text(encoding="ascii").strip() or None
    return None


def headers(chosen: str | None = None) -> Mapping[str, str]:
    """Return the headers that prove who makes a call, by the *chosen* token or the user's; none without one."""
    given = chosen or token()
    return {} if given is None else {"Authorization": f"Bearer {given}"}


def keep(new: str) -> None:
    """Keep a token in place of the one before. Raise CommandError if the file cannot be written."""
    file = path()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, f"{new}\n")
    except OSError as exc:
        msg = f"the token cannot be kept in {file}: {exc.strerror}"
        raise CommandError(msg, "Set TOCSIN_TOKEN instead.") from exc


def forget() -> bool:
    """Delete the token that is kept; return whether there was one."""
    try:
        path().unlink()
    except FileNotFoundError:
        return False
    return True
