"""The tags of images: the commit, or a hash of an image's inputs.

A release that changes no input of the edge, Prometheus or Grafana uses the same image as the release before, so that a
deploy does not restart it.
"""

import hashlib
import re
import subprocess
from pathlib import Path
from typing import Final

from rollout import base_images
from rollout.errors import RefusedError

BY_COMMIT: Final = (
    "alert-ingestion",
    "incident-management",
    "oncall-service",
    "notification-service",
    "web-ui",
    "migrate",
)
BY_INPUTS: Final = ("edge", "prometheus", "grafana", "alertmanager")


def build_environment(root: Path, tag: str | None = None) -> dict[str, str]:
    """Return the variables that `docker buildx bake` and `docker compose` need in a checkout. The tag defaults to HEAD.

    Raise RefusedError if the checkout has no commit, or lacks a file that an image copies.
    """
    head = _git(root, "rev-parse", "HEAD")
    tags = {f"{stage.upper()}_TAG": input_tag(root, stage) for stage in BY_INPUTS}
    version = tag or head
    # The commit's time, so that building a commit again gives the same image.
    created = _git(root, "show", "--no-patch", "--format=%cI", "HEAD")
    named = {"TAG": version, "VERSION": version, "REVISION": head, "CREATED": created}
    return {**named, **tags, **base_images.environment(root)}


def input_tag(root: Path, stage: str) -> str:
    """Return twelve hexadecimal digits that change with a stage of docker/Dockerfile, its base and the copied files."""
    dockerfile = (root / "docker" / "Dockerfile").read_text(encoding="utf-8")
    base = base_images.base_of(root, stage)
    found = re.search(rf"^FROM \S+ AS {re.escape(stage)}\n(?:(?!FROM ).*\n?)*", dockerfile, re.MULTILINE)
    text = found.group() if found else ""
    digest = hashlib.sha256(f"{base} {base_images.digests(root).get(base)}\n{text}".encode())
    for source in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE):
        for path in source.split():
            for file in sorted(_files(root / path)):
                digest.update(f"\0{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        message = f"an image copies {path}, which does not exist"
        raise RefusedError(message)
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"git {' '.join(arguments)}: {done.stderr.strip()}"
        raise RefusedError(message)
    return done.stdout.strip()
