"""kill -9 of act, and of its parent, at any moment of a whole run; PIPELINE_ACT_KILLS says how often."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from typing import Final

import pytest

from stages.quality import FLOOR
from tests.pipeline.commits.conftest import ACT_KILLS
from tests.support.containers.stack import docker
from tests.support.pipeline.checkout import Checkout
from tests.support.sampling import commit
from tocsin.kernel import randomness

SEED: Final = int(os.environ.get("FAULT_SEED") or commit() or "0", 16)
LATEST: Final = 220.0
"""Seconds; longer than these runs take."""
DEPLOYING: Final = 40.0
"""Seconds from the start of Deploy to the end of the run; half of the kills fall into this time."""

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(12_000)]


def services(checkout: Checkout) -> list[str]:
    """Return the service of each running container."""
    mine = f"label=com.docker.compose.project={checkout.project}"
    return docker("ps", "--filter", mine, "--format", '{{.Label "com.docker.compose.service"}}').split()


def next_commit(checkout: Checkout, number: int) -> str:
    """Change a line of an input of every image."""
    checkout.delete_most_tests()
    checkout.change(".github/pipeline/stages/quality.py", f"FLOOR: Final = {FLOOR}", "FLOOR: Final = 1")
    checkout.change("src/tocsin/kernel/ids.py", "identifiers, ", f"identifiers ({number}), ")
    return checkout.commit(f"tests: Be commit {number}.")


def kill_at_random(checkout: Checkout, *, deploying: bool, with_parent: bool) -> str | None:
    """Start a run and kill act; return the run's output, or None if the run passed before the kill."""
    run = checkout.begin_pipeline()
    while deploying and "deploy" not in checkout.rows():
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it exited before it deployed: {run.wait(timeout=0.5)}")
    try:
        output, _ = run.communicate(timeout=randomness.uniform(0.5, DEPLOYING if deploying else LATEST))
    except subprocess.TimeoutExpired:
        if with_parent:
            run.send_signal(signal.SIGSTOP)  # otherwise it would settle after act's exit
        subprocess.run(["pkill", "-KILL", "-P", str(run.pid), "-x", "act"], check=False)  # noqa: S603, S607 - procps
        if with_parent:
            run.kill()
        output, _ = run.communicate()
        return output
    assert run.returncode == 0, output
    return None


def test_a_run_whose_act_is_killed_is_settled(checkout: Checkout) -> None:
    good = next_commit(checkout, 0)
    done = checkout.pipeline()
    assert done.code == 0, done.text
    randomness.seed(SEED)
    for number in range(1, ACT_KILLS + 1):
        checkout.reset()
        commit = next_commit(checkout, number)
        output = kill_at_random(checkout, deploying=number % 2 == 1, with_parent=number % 4 >= 2)
        reached = {name: row.outcome.value for name, row in checkout.rows().items()}
        print(number, "killed" if output is not None else "in time", reached)  # noqa: T201 - the record of a long test
        settled = checkout.run(str(checkout.folder / ".github/pipeline/deploy"), "settle")
        assert settled.code in {0, 10}, settled.text
        running = services(checkout)
        assert len(set(running)) == len(running), "each is running once"
        kept = json.loads((checkout.state / "good.json").read_text())["tag"]
        assert kept in {good, commit}, output
        assert checkout.versions() == {kept}, (output, settled.text)
        good = kept
    checkout.reset()
    last = next_commit(checkout, ACT_KILLS + 1)
    done = checkout.pipeline()
    assert done.code == 0, done.text
    assert checkout.versions() == {last}
