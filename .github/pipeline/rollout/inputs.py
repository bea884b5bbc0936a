"""What images are called: by the commit, or by a hash of what they are made of.

A release that changes nothing of the edge, of Prometheus or of Grafana names the same image for it as the one before:
it is not restarted then.
"""

import hashlib
import re
import subprocess
from pathlib import Path
from typing import Final

BY_COMMIT: Final = (
    "alert-ingestion",
    "incident-management",
    "oncall-service",
    "notification-service",
    "web-ui",
    "migrate",
)
BY_INPUTS: Final = ("edge", "prometheus", "grafana", "alertmanager")


class InputError(Exception):
    """The checkout does not have what images are made of; the message is for people."""


def build_environment(root: Path, tag: str | None = None) -> dict[str, str]:
    """Return what `docker buildx bake` and `docker compose` must be told in a checkout; by default for HEAD."""
    head = _git(root, "rev-parse", "HEAD")
    named = {f"{stage.upper()}_TAG": input_tag(root, stage) for stage in BY_INPUTS}
    version = tag or head
    # The commit's own time: the same commit gives the same image, whenever it is built.
    created = _git(root, "show", "--no-patch", "--format=%cI", "HEAD")
    return {"TAG": version, "VERSION": version, "REVISION": head, "CREATED": created, **named}


def input_tag(root: Path, stage: str) -> str:
    """Return twelve hexadecimal digits: others when a stage of docker/Dockerfile changes, or a file that it copies."""
    dockerfile = (root / "docker" / "Dockerfile").read_text(encoding="utf-8")
    found = re.search(rf"^FROM \S+ AS {re.escape(stage)}\n(?:(?!FROM ).*\n?)*", dockerfile, re.MULTILINE)
    if found is None:
        message = f"docker/Dockerfile has no stage {stage}"
        raise InputError(message)
    digest = hashlib.sha256(found.group().encode())
    for source in re.findall(r"^COPY (?!--)(.+) \S+$", found.group(), re.MULTILINE):
        for path in source.split():
            for file in sorted(_files(root / path)):
                digest.update(f"\0{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        message = f"{path} is copied into an image, and is not there"
        raise InputError(message)
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"git {' '.join(arguments)}: {done.stderr.strip()}"
        raise InputError(message)
    return done.stdout.strip()
