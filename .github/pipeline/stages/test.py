"""Test: the commit's images work as a whole system, and the previous release's work with this schema."""

from typing import Final

from rollout.docker import Docker
from rollout.store import Store, default_folder
from stages import images, packages
from stages.checks import Stage

STORY: Final = ("tests/containers/test_story.py", "tests/containers/test_restarts.py")
PREVIOUS: Final = "tests/containers/test_previous_release.py"


def run(stage: Stage) -> None:
    """Run the tests on a throw-away compose project."""
    tag = images.obtain(stage)
    packages.install(stage)
    stage.environment |= {"TOCSIN_TEST_TAG": tag, "TEST_SAMPLE": "all"}
    selected = list(STORY)
    if previous := previous_release(images.schema_line(images.image_name(stage, "migrate"))):
        stage.environment |= {"TOCSIN_TEST_PREVIOUS": previous}
        selected.append(PREVIOUS)
        stage.result.figures.append(f"also {previous[:12]} with this schema")
    else:
        stage.result.figures.append("no previous release")
    stage.require("system", "pytest", "-q", *selected, figure=r"(\d+ passed)")


def previous_release(line: str | None) -> str | None:
    """Return the good release's tag; None if it has another schema line. Raise LookupError if its images are gone.

    A release of another line never runs with this schema: Deploy refuses to replace it.
    """
    store = Store(default_folder())
    good = store.read().good
    if good is None or (release := store.release(good)).line != line:
        return None
    wanted = sorted({release.image(service) for service in release.services})
    found = Docker("").images(wanted)
    if missing := [image for image in wanted if image not in found]:
        message = f"the good release's images are gone: {', '.join(missing)}"
        raise LookupError(message)
    return release.tag
