"""The third-party images that Tocsin is built on or runs, and the digests that pin them.

A tag can move. docker/base-images has a digest for each image, written by docker/watch-bases. `docker compose build`
without the pipeline uses the tags, which are the defaults of the build arguments in docker/Dockerfile.
"""

import os
import re
from pathlib import Path
from typing import Final

from rollout.docker import Docker
from rollout.errors import RefusedError

VARIABLES: Final = re.compile(r"(?:^ARG |\$\{)(\w+_IMAGE)(?:=|:-)([^\s}]+)", re.MULTILINE)
"""An argument of the Dockerfile, or a variable of compose.yaml, with its default."""


def environment(root: Path) -> dict[str, str]:
    """Return the variables that pin the base images, for `docker buildx bake` and `docker compose`."""
    names = _defaults(root)
    return {variable: image for variable, name in names.items() if (image := pinned(root, name)) != name}


def pinned(root: Path, name: str) -> str:
    """Return an image's name with its digest, or the name alone if no digest is known.

    An image of that name that was built on this machine has no digest and is used unpinned.
    """
    digest = digests(root).get(name)
    if digest is None:
        return name
    local = Docker("").images([name]).get(name)
    return f"{name}@{digest}" if local is None or local["RepoDigests"] else name


def digests(root: Path) -> dict[str, str]:
    """Return the known digests, by name and tag."""
    lines = (root / "docker" / "base-images").read_text(encoding="utf-8").splitlines()
    return {name: digest for name, _, digest in (line.partition(" ") for line in lines) if digest}


def base_of(root: Path, stage: str) -> str:
    """Return the name of the image that a stage of docker/Dockerfile starts from. Raise RefusedError."""
    dockerfile = (root / "docker" / "Dockerfile").read_text(encoding="utf-8")
    found = re.search(rf"^FROM (\S+) AS {re.escape(stage)}$", dockerfile, re.MULTILINE)
    if found is None:
        message = f"docker/Dockerfile has no stage {stage}"
        raise RefusedError(message)
    variable = found[1].removeprefix("${").removesuffix("}")
    return _defaults(root).get(variable, found[1])


def _defaults(root: Path) -> dict[str, str]:
    text = "\n".join((root / path).read_text(encoding="utf-8") for path in ("docker/Dockerfile", "compose.yaml"))
    return {variable: os.environ.get(variable) or default for variable, default in VARIABLES.findall(text)}
