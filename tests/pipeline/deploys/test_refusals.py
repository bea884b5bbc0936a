"""Deploys that are refused before anything changes, with a message that says what to do."""

import fcntl
import json

import pytest

from tests.support.containers.stack import beside, docker, inspect
from tests.support.pipeline.deployed_system import DeployedSystem, layer

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sample("refused deploys", 4),
]


@pytest.fixture
def untouched(system: DeployedSystem) -> object:
    """Assert that the test changes neither the containers nor the stored state."""
    before = (system.replicas(), (system.state / "good.json").read_text())
    yield None
    assert (system.replicas(), (system.state / "good.json").read_text()) == before
    assert not (system.state / "attempt.json").exists()


pytestmark.append(pytest.mark.usefixtures("untouched"))


async def refused(system: DeployedSystem, *arguments: str, message: str, code: int = 1, **environment: str) -> None:
    done = await beside(system.deploy, *arguments, **environment)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr


async def test_a_deploy_without_docker_is_refused(system: DeployedSystem) -> None:
    await refused(system, "up", "pipeline-second", message="Cannot connect", DOCKER_HOST="unix:///nowhere.sock")


async def test_missing_images_are_named(system: DeployedSystem) -> None:
    await refused(system, "up", "pipeline-unknown", message="tocsin/web-ui:pipeline-unknown")


async def test_only_the_tested_images_are_deployed(system: DeployedSystem) -> None:
    tag = await beside(layer, "pipeline-pinned")
    assert (await beside(system.deploy, "pin", tag)).returncode == 0
    await beside(layer, tag, {"web-ui": "LABEL changed=since"})
    await refused(system, "up", tag, message=f"tocsin/web-ui:{tag} is not the image that was built and tested")


async def test_a_deploy_with_a_full_disk_is_refused(system: DeployedSystem) -> None:
    tag = await beside(layer, "pipeline-second")
    await refused(system, "up", tag, message="free some first", TOCSIN_DISK_FREE_MB=str(10**9))


async def test_a_deploy_is_refused_if_the_running_release_has_lost_its_images(system: DeployedSystem) -> None:
    tag = await beside(layer, "pipeline-second")
    good = json.loads((system.state / "good.json").read_text())["tag"]
    image = f"tocsin/alert-ingestion:{good}"
    (found,) = inspect(image)
    docker("image", "rm", "--force", image)
    try:
        await refused(system, "up", tag, message=f"the image {image} of the release {good} is gone")
    finally:
        docker("tag", found["Id"], image)


async def test_a_system_without_stored_state_is_not_replaced(system: DeployedSystem) -> None:
    tag = await beside(layer, "pipeline-second")
    elsewhere = system.state.with_name("another-state")
    await refused(system, "up", tag, message="was not deployed with the state", TOCSIN_STATE=str(elsewhere))


async def test_the_stored_state_of_another_system_is_refused(system: DeployedSystem) -> None:
    tag = await beside(layer, "pipeline-second")
    await refused(system, "up", tag, message=f"belongs to the project {system.project}", COMPOSE_PROJECT_NAME="another")


async def test_a_second_run_reports_the_holder_of_the_lock(system: DeployedSystem) -> None:
    first = system.begin("verify", "pipeline-unknown")
    with first:
        first.communicate()
    with (system.state / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await refused(
            system, "--no-wait", "settle", message="another run is in progress: verify pipeline-unknown", code=75
        )


async def test_a_release_of_another_schema_line_is_refused_with_instructions(system: DeployedSystem) -> None:
    tag = await beside(layer, "pipeline-other-line", {"migrate": "LABEL tocsin.schema-line=2"})
    good = json.loads((system.state / "good.json").read_text())["tag"]
    message = (
        f"{tag} has schema line 2, and the good release {good} has schema line 1. There is no upgrade between lines"
    )
    await refused(system, "up", tag, message=message)
    old = await beside(layer, "pipeline-no-line", {"migrate": 'LABEL tocsin.schema-line=""'})
    await refused(system, "up", old, message=f"the data of {system.project} remains readable with {good}")
