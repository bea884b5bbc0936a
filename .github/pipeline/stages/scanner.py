"""Programs in containers of pinned images. Files are copied: a mount inside a job would expose the host's tree."""

import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def container(image: str, *command: str, options: tuple[str, ...] = (), files: Mapping[str, Path]) -> Iterator[str]:
    """Create a container with *files* (path inside: source), yield its name, and remove it.

    Raise CalledProcessError if it cannot be created; Docker's error goes to the screen.
    """
    name = f"tocsin-scanner-{uuid.uuid4().hex[:12]}"
    _docker("create", "--name", name, *options, image, *command)
    try:
        for inside, path in files.items():
            # The content of a folder, not the folder itself.
            _docker("cp", "--quiet", f"{path}/." if path.is_dir() else str(path), f"{name}:{inside}")
        yield name
    finally:
        _docker("rm", "--force", "--volumes", name)


def start(name: str) -> tuple[str, ...]:
    """Return the command that runs a container to its end, for `Stage.check`."""
    return ("docker", "start", "--attach", name)


def fetch(name: str, inside: str, folder: Path) -> None:
    """Copy the content of a container's folder into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    _docker("cp", "--quiet", f"{name}:{inside}/.", str(folder))


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL)
