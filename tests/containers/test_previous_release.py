"""The previous release works with this schema, as after a rollback and during a deploy.

The delivery pipeline names it in TOCSIN_TEST_PREVIOUS; by default it is this release.
"""

import os

import pytest

from tests.containers.test_story import story
from tests.support.containers.stack import SERVICES, TAG, Stack, beside, inspect
from tests.support.e2e.system import World

PREVIOUS = os.environ.get("TOCSIN_TEST_PREVIOUS", TAG)


@pytest.mark.sample("long container tests", 1)
async def test_the_previous_release_works_with_this_schema(stack: Stack, world: World) -> None:
    up = ("up", "--detach", "--wait", "--no-build", "--no-deps", *SERVICES.values())
    await beside(stack.compose, *up, TAG=PREVIOUS)
    try:
        await stack.ready()
        for service, image in SERVICES.items():
            (found,) = inspect(f"{stack.prefix}/{image}:{PREVIOUS}")
            version = found["Config"]["Labels"]["org.opencontainers.image.version"]
            assert (await stack.get(service, "/health"))["version"] == version
        await story(stack, world, "cart")  # includes alerts that the old release stores
    finally:
        await beside(stack.compose, *up)
        await stack.ready()
