"""Programs in containers of pinned images. Files are copied in: in a job, a mount would bring the host's tree along."""

import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def container(image: str, *command: str, options: tuple[str, ...] = (), files: Mapping[str, Path]) -> Iterator[str]:
    """Make a container that has *files* (path inside: what is copied there); yield its name, and remove it.

    Raise CalledProcessError, with what Docker says on the screen, where it cannot be made.
    """
    name = f"tocsin-scanner-{uuid.uuid4().hex[:12]}"
    _docker("create", "--name", name, *options, image, *command)
    try:
        for inside, path in files.items():
            # A folder's content, not the folder.
            _docker("cp", "--quiet", f"{path}/." if path.is_dir() else str(path), f"{name}:{inside}")
        yield name
    finally:
        _docker("rm", "--force", "--volumes", name)


def start(name: str) -> tuple[str, ...]:
    """Return the command that runs a container to its end, for `Stage.check`."""
    return ("docker", "start", "--attach", name)


def fetch(name: str, inside: str, folder: Path) -> None:
    """Copy what a folder in a container holds, into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    _docker("cp", "--quiet", f"{name}:{inside}/.", str(folder))


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL)
