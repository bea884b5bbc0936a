"""The release before runs on the schema of this one: that is what a roll-back leaves, and a deploy half-way.

Which one that is, the delivery pipeline says; by itself it is this one, and all must hold as well.
"""

import os

from tests.containers.test_story import story
from tests.support.containers.stack import SERVICES, TAG, Stack, beside, inspect
from tests.support.e2e.system import World

PREVIOUS = os.environ.get("TOCSIN_TEST_PREVIOUS", TAG)


async def test_the_services_of_the_release_before_do_their_work_on_this_schema(stack: Stack, world: World) -> None:
    up = ("up", "--detach", "--wait", "--no-build", "--no-deps", *SERVICES.values())
    await beside(stack.compose, *up, TAG=PREVIOUS)
    try:
        await stack.ready()
        for service, image in SERVICES.items():
            (found,) = inspect(f"{stack.prefix}/{image}:{PREVIOUS}")
            version = found["Config"]["Labels"]["org.opencontainers.image.version"]
            assert (await stack.get(service, "/health"))["version"] == version
        await story(stack, world, "cart")  # what nobody sent is looked for, too
    finally:
        await beside(stack.compose, *up)
        await stack.ready()
