"""What is looked at before anything is touched: a release that can be started, and a way back that is open."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rollout import release as releases
from rollout.engine import Docker
from rollout.inputs import BY_COMMIT, BY_INPUTS, build_environment
from rollout.machine import State
from rollout.mover import TroubleError
from rollout.release import Release
from rollout.store import Store

DISK_FREE_MB: Final = 1_024
TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
OURS: Final = frozenset({*BY_COMMIT, *BY_INPUTS})


class RefusedError(Exception):
    """The release is not even tried; nothing was touched. The message says what to do."""


def render(root: Path, tag: str, settings: Path) -> dict[str, Any]:
    """Return what docker compose makes of compose.yaml, the environment and the file *settings*. Raise TroubleError."""
    if not TAG.fullmatch(tag):
        message = f"{tag!r} cannot be the tag of an image"
        raise RefusedError(message)
    given = {"COMPOSE_FILE": str(root / "compose.yaml"), "DEMO": "0", **os.environ, **build_environment(root, tag)}
    env_file = settings if settings.exists() else Path(os.devnull)
    chosen = ("--project-directory", str(root), "--env-file", str(env_file))
    rendered = Docker("").run("compose", *chosen, "config", "--format", "json", environment=given)
    left_out = [name for name in os.environ.get("TOCSIN_WITHOUT", "").split(",") if name]
    return releases.without(json.loads(rendered), left_out)


def schema(root: Path) -> str:
    """Return the name of the newest migration."""
    return max(path.stem for path in (root / "sql").glob("*.sql"))


def candidate(docker: Docker, store: Store, document: dict[str, Any], tag: str, newest: str) -> Release:
    """Return the release, with the images that it is made of. Raise RefusedError where one is not what was built."""
    names = {name: service["image"] for name, service in document["services"].items()}
    found = docker.images(list(names.values()))
    for name, image in names.items():
        if image not in found and name not in OURS and not _is_built_here(image):
            docker.run("pull", "--quiet", image, timeout=600)
            found |= docker.images([image])
    if missing := sorted({image for image in names.values() if image not in found}):
        message = f"these images are not there: {', '.join(missing)}. Build them first (make pipeline, or act push)"
        raise RefusedError(message)
    sealed = store.sealed(tag) or {}
    for image, raw in found.items():
        if sealed.get(image, raw["Id"]) != raw["Id"]:
            message = f"{image} is not the image that was built and tested ({sealed[image]}). Build it anew"
            raise RefusedError(message)
    release = releases.make(tag, document, {name: found[image]["Id"] for name, image in names.items()}, newest)
    for name in sorted(release.services):
        if "Healthcheck" not in found[names[name]]["Config"]:
            message = f"{names[name]} has no health check: nobody could tell when {name} is ready"
            raise RefusedError(message)
    return release


def same_system(store: Store, state: State, project: str) -> None:
    """Raise RefusedError where the state is that of another system."""
    known = state.good or (state.attempt.release if state.attempt else None)
    if known is not None and (theirs := store.release(known).project) != project:
        message = (
            f"{store.folder} belongs to the project {theirs}, and this would deploy {project}: "
            "give each a folder of its own (TOCSIN_STATE)"
        )
        raise RefusedError(message)


def check(docker: Docker, store: Store, state: State) -> None:
    """Raise RefusedError where there would be no way back, or no room."""
    needed = int(os.environ.get("TOCSIN_DISK_FREE_MB") or DISK_FREE_MB)
    for folder in {str(store.folder), _docker_folder(docker)}:
        free = shutil.disk_usage(folder).free // 1_000_000
        if free < needed:
            message = (
                f"only {free} MB are free at {folder}, and {needed} MB must be (TOCSIN_DISK_FREE_MB): free some first"
            )
            raise RefusedError(message)
    if state.good is not None:
        _images_are_there(docker, store.release(state.good))
    elif state.attempt is None and (there := docker.containers()):
        names = ", ".join(sorted({container.service for container in there}))
        message = (
            f"the project {docker.project} runs ({names}), but was not deployed with the state in {store.folder}: "
            f"there is no way back to it. Take it down first, with docker compose --project-name {docker.project} down "
            "(the data stays in its volumes), or give this system another COMPOSE_PROJECT_NAME"
        )
        raise RefusedError(message)


def way_back(docker: Docker, release: Release) -> None:
    """Raise RefusedError where a release that was kept cannot be started any more."""
    _images_are_there(docker, release)


def _images_are_there(docker: Docker, release: Release) -> None:
    found = docker.images([release.image(name) for name in release.images])
    for name, image_id in release.images.items():
        image = release.image(name)
        if image not in found:
            message = (
                f"the image {image} of the release {release.tag} is gone: there is no way back to it. Build it again"
            )
            raise RefusedError(message)
        if found[image]["Id"] != image_id:
            message = (
                f"the image {image} of the release {release.tag} was replaced by another one: there is no way back "
                f"to it. Its id was {image_id}"
            )
            raise RefusedError(message)


def _docker_folder(docker: Docker) -> str:
    """Return a folder on Docker's disk: in a job's container its own root is."""
    folder = docker.run("info", "--format", "{{.DockerRootDir}}").strip()
    return folder if Path(folder).is_dir() else "/"


def _is_built_here(image: str) -> bool:
    return image.rpartition(":")[0].rpartition("/")[2] in OURS


def seal(docker: Docker, store: Store, environment: Mapping[str, str]) -> dict[str, str]:
    """Note the ids of all images that were just built; return them. Raise RefusedError where one is missing."""
    prefix = os.environ.get("IMAGE_PREFIX") or "tocsin"
    by_commit = [f"{prefix}/{name}:{environment['TAG']}" for name in BY_COMMIT]
    by_inputs = [f"{prefix}/{name}:{environment[f'{name.upper()}_TAG']}" for name in BY_INPUTS]
    found = docker.images(by_commit + by_inputs)
    if missing := [image for image in by_commit if image not in found]:
        message = f"these images were not built: {', '.join(missing)}"
        raise RefusedError(message)
    ids = {image: str(raw["Id"]) for image, raw in sorted(found.items())}
    store.seal(environment["TAG"], ids)
    return ids


__all__ = ["RefusedError", "TroubleError", "candidate", "check", "render", "schema", "seal", "way_back"]
