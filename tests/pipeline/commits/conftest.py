"""One clone for all tests of this folder; each starts from the commit that was cloned."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from stages.packages import cache_folder
from tests.support.containers.stack import docker
from tests.support.pipeline.checkout import Checkout
from tocsin.kernel.ids import new_id

ACT_KILLS: Final = int(os.environ.get("PIPELINE_ACT_KILLS", "0"))
"""How often act is killed during a whole run; three minutes each, hence none by default."""
collect_ignore = [] if ACT_KILLS else ["test_whole_runs_killed.py"]


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path_factory.mktemp("pipeline"), f"tocsin-commits-{new_id().hex[-8:]}")
    yield checkout
    own = f"label=com.docker.compose.project={checkout.project}"
    for built in (checkout.state / "builds").glob("*.json"):
        docker("image", "rm", "--force", *(name for name in json.loads(built.read_text()) if name.endswith(built.stem)))
    kept = cache_folder(checkout.folder, Path("/cache"))
    docker("run", "--rm", "--volume", "act-toolcache:/cache", "python:3.13-slim-trixie", "rm", "-rf", str(kept))
    for kind, every in (("container", ["--all"]), ("volume", []), ("network", [])):
        for found in docker(kind, "ls", *every, "--quiet", "--filter", own).split():
            docker(kind, "rm", "--force", found)


@pytest.fixture
def checkout(clone: Checkout) -> Checkout:
    clone.reset()
    return clone
