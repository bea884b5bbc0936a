"""The checks before a deploy changes anything: the release can be started, and a rollback is possible."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rollout import release as releases
from rollout.docker import Docker
from rollout.errors import RefusedError
from rollout.image_tags import BY_COMMIT, BY_INPUTS, build_environment
from rollout.plan import State
from rollout.release import Release
from rollout.store import Store

DISK_FREE_MB: Final = 1_024
"""The free disk space that a deploy requires; TOCSIN_DISK_FREE_MB changes it."""
TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
OWN_IMAGES: Final = frozenset({*BY_COMMIT, *BY_INPUTS})


def render(root: Path, tag: str, settings: Path) -> dict[str, Any]:
    """Return compose.yaml, rendered with the environment and *settings*. Raise RolloutError or RefusedError."""
    if not TAG.fullmatch(tag):
        message = f"{tag!r} is not a valid image tag"
        raise RefusedError(message)
    given = {"COMPOSE_FILE": str(root / "compose.yaml"), "DEMO": "0", **os.environ, **build_environment(root, tag)}
    env_file = settings if settings.exists() else Path(os.devnull)
    selected = ("--project-directory", str(root), "--env-file", str(env_file))
    rendered = Docker("").run("compose", *selected, "config", "--format", "json", environment=given)
    excluded = [name for name in os.environ.get("TOCSIN_WITHOUT", "").split(",") if name]
    return releases.deployable(json.loads(rendered), excluded)


def newest_migration(root: Path) -> str:
    """Return the name of the newest migration."""
    return max(path.stem for path in (root / "sql").glob("*.sql"))


def candidate(docker: Docker, store: Store, document: dict[str, Any], tag: str, schema: str) -> Release:
    """Return the release with its image IDs. Raise RefusedError if an image is missing or is not the pinned one."""
    names = {name: service["image"] for name, service in document["services"].items()}
    found = docker.images(names.values())
    for name, image in names.items():
        if image not in found and name not in OWN_IMAGES and not _is_own(image):
            docker.run("pull", "--quiet", image, timeout=600)
            found |= docker.images([image])
    if missing := sorted({image for image in names.values() if image not in found}):
        message = f"these images do not exist: {', '.join(missing)}. Build them first (make pipeline, or act push)"
        raise RefusedError(message)
    pinned = store.pinned(tag) or {}
    for image, raw in found.items():
        if pinned.get(image, raw["Id"]) != raw["Id"]:
            message = f"{image} is not the image that was built and tested ({pinned[image]}). Build it again"
            raise RefusedError(message)
    ids = {name: found[image]["Id"] for name, image in names.items()}
    line = releases.line_of(found[names["migrate"]])
    release = releases.create(tag, document, ids, schema=schema, line=line)
    for name in sorted(release.services):
        if "Healthcheck" not in found[names[name]]["Config"]:
            message = f"{names[name]} has no health check, so that readiness of {name} cannot be determined"
            raise RefusedError(message)
    return release


def check_project(store: Store, state: State, project: str) -> None:
    """Raise RefusedError if the stored state belongs to another project."""
    known = state.good or (state.attempt.release if state.attempt else None)
    if known is not None and (other := store.release(known).project) != project:
        message = (
            f"{store.folder} belongs to the project {other}, and this command would deploy {project}: "
            "use a state folder for each (TOCSIN_STATE)"
        )
        raise RefusedError(message)


def check_schema_line(good: Release, release: Release) -> None:
    """Raise RefusedError if the schema lines differ: neither release can read the other's database."""
    if good.line != release.line:
        message = (
            f"{release.tag} has {_line_name(release)}, and the good release {good.tag} has {_line_name(good)}. "
            f"There is no upgrade between lines; the data of {good.project} remains readable with {good.tag}. "
            "Deploy the new line as another system, with a COMPOSE_PROJECT_NAME and a TOCSIN_STATE of its own, after "
            f"`docker compose --project-name {good.project} down`, which keeps the data, or on other ports"
        )
        raise RefusedError(message)


def check_resources(docker: Docker, store: Store, state: State) -> None:
    """Raise RefusedError if a rollback would be impossible or the disk is full."""
    needed = int(os.environ.get("TOCSIN_DISK_FREE_MB") or DISK_FREE_MB)
    for folder in {str(store.folder), _docker_folder(docker)}:
        free = shutil.disk_usage(folder).free // 1_000_000
        if free < needed:
            message = (
                f"{folder} has {free} MB free, and {needed} MB are required (TOCSIN_DISK_FREE_MB): free some first"
            )
            raise RefusedError(message)
    if state.good is not None:
        check_images(docker, store.release(state.good))
    elif state.attempt is None and (running := docker.containers()):
        names = ", ".join(sorted({container.service for container in running}))
        message = (
            f"the project {docker.project} is running ({names}), but was not deployed with the state in "
            f"{store.folder}: a rollback to it is impossible. Stop it first, with "
            f"docker compose --project-name {docker.project} down (the volumes keep the data), or set another "
            "COMPOSE_PROJECT_NAME"
        )
        raise RefusedError(message)


def check_images(docker: Docker, release: Release) -> None:
    """Raise RefusedError if a stored release cannot be started any more."""
    found = docker.images([release.image(name) for name in release.images])
    for name, image_id in release.images.items():
        image = release.image(name)
        if image not in found:
            message = (
                f"the image {image} of the release {release.tag} is gone: a rollback is impossible. Build it again"
            )
            raise RefusedError(message)
        if found[image]["Id"] != image_id:
            message = (
                f"the image {image} of the release {release.tag} was replaced: a rollback is impossible. "
                f"The ID of the original is {image_id}"
            )
            raise RefusedError(message)


def pin(docker: Docker, store: Store, environment: Mapping[str, str]) -> dict[str, str]:
    """Store the IDs of all images that were just built and return them. Raise RefusedError if one is missing."""
    prefix = os.environ.get("IMAGE_PREFIX") or "tocsin"
    by_commit = [f"{prefix}/{name}:{environment['TAG']}" for name in BY_COMMIT]
    by_inputs = [f"{prefix}/{name}:{environment[f'{name.upper()}_TAG']}" for name in BY_INPUTS]
    found = docker.images(by_commit + by_inputs)
    if missing := [image for image in by_commit if image not in found]:
        message = f"these images were not built: {', '.join(missing)}"
        raise RefusedError(message)
    ids = {image: str(raw["Id"]) for image, raw in sorted(found.items())}
    store.pin(environment["TAG"], ids)
    return ids


def _line_name(release: Release) -> str:
    return f"schema line {release.line}" if release.line else "no schema line"


def _docker_folder(docker: Docker) -> str:
    """Return a folder on Docker's disk; in a job's container, the root folder is on it."""
    folder = docker.run("info", "--format", "{{.DockerRootDir}}").strip()
    return folder if Path(folder).is_dir() else "/"


def _is_own(image: str) -> bool:
    return image.rpartition(":")[0].rpartition("/")[2] in OWN_IMAGES
