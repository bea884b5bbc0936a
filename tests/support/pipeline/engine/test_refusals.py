"""What is refused before anything is touched, with a line that says what to do."""

import fcntl
import json

import pytest

from tests.support.containers.stack import beside, docker, inspect
from tests.support.pipeline.engine.deployed import Deployed, layer

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def untouched(system: Deployed) -> object:
    """See that the test leaves the containers and the files as they were."""
    before = (system.replicas(), (system.state / "good.json").read_text())
    yield None
    assert (system.replicas(), (system.state / "good.json").read_text()) == before
    assert not (system.state / "attempt.json").exists()


pytestmark.append(pytest.mark.usefixtures("untouched"))


async def refused(system: Deployed, *arguments: str, says: str, code: int = 1, **environment: str) -> None:
    done = await beside(system.deploy, *arguments, **environment)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert says in done.stderr


async def test_without_docker_nothing_is_tried(system: Deployed) -> None:
    await refused(system, "up", "pipeline-second", says="Cannot connect", DOCKER_HOST="unix:///nowhere.sock")


async def test_images_that_were_never_built_are_named(system: Deployed) -> None:
    await refused(system, "up", "pipeline-nobodys", says="tocsin/web-ui:pipeline-nobodys")


async def test_images_other_than_those_that_were_tested_are_not_deployed(system: Deployed) -> None:
    tag = await beside(layer, "pipeline-sealed")
    assert (await beside(system.deploy, "seal", tag)).returncode == 0
    await beside(layer, tag, {"web-ui": "LABEL changed=since"})
    await refused(system, "up", tag, says=f"tocsin/web-ui:{tag} is not the image that was built and tested")


async def test_a_full_disk_is_met_before_anything_is_touched(system: Deployed) -> None:
    tag = await beside(layer, "pipeline-second")
    await refused(system, "up", tag, says="free some first", TOCSIN_DISK_FREE_MB=str(10**9))


async def test_without_the_images_of_the_present_release_there_is_no_next_one(system: Deployed) -> None:
    tag = await beside(layer, "pipeline-second")
    good = json.loads((system.state / "good.json").read_text())["tag"]
    image = f"tocsin/alert-ingestion:{good}"
    (there,) = inspect(image)
    docker("image", "rm", "--force", image)
    try:
        await refused(system, "up", tag, says=f"the image {image} of the release {good} is gone")
    finally:
        docker("tag", there["Id"], image)


async def test_a_system_that_somebody_else_started_is_left_alone(system: Deployed) -> None:
    tag = await beside(layer, "pipeline-second")
    elsewhere = system.state.with_name("another-state")
    await refused(system, "up", tag, says="was not deployed with the state", TOCSIN_STATE=str(elsewhere))


async def test_the_state_of_one_system_is_not_taken_for_that_of_another(system: Deployed) -> None:
    tag = await beside(layer, "pipeline-second")
    await refused(system, "up", tag, says=f"belongs to the project {system.project}", COMPOSE_PROJECT_NAME="another")


async def test_a_second_run_is_told_who_is_at_work(system: Deployed) -> None:
    first = system.begin("verify", "pipeline-nobodys")
    with first:
        first.communicate()
    with (system.state / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await refused(system, "--no-wait", "settle", says="another run is at work: verify pipeline-nobodys", code=75)
