"""The images of the commit do what they should, as a whole system; and those of the release before, on this schema."""

from typing import Final

from rollout.engine import Docker
from rollout.store import Store, default_folder
from stages import images, packages
from stages.checks import Stage

STORY: Final = ("tests/containers/test_story.py", "tests/containers/test_restarts.py")
BEFORE: Final = "tests/containers/test_release_before.py"


def run(stage: Stage) -> None:
    """Run the system in a compose project of its own that nothing is left of."""
    tag = images.bring(stage)
    packages.install(stage)
    stage.environment |= {"TOCSIN_TEST_TAG": tag}
    chosen = list(STORY)
    if before := release_before():
        stage.environment |= {"TOCSIN_TEST_BEFORE": before}
        chosen.append(BEFORE)
        stage.row.figures.append(f"also {before[:12]} on this schema")
    else:
        stage.row.figures.append("no release before")
    stage.need("system", "pytest", "-q", *chosen, figure=r"(\d+ passed)")


def release_before() -> str | None:
    """Return the tag of the last good release. Raise LookupError where its images are gone."""
    store = Store(default_folder())
    good = store.read().good
    if good is None:
        return None
    release = store.release(good)
    wanted = sorted({release.image(service) for service in release.services})
    missing = [image for image in wanted if image not in Docker("").images(wanted)]
    if missing:
        message = f"the last good release has no images any more: {', '.join(missing)}"
        raise LookupError(message)
    return release.tag
