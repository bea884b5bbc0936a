"""kill -9 of act, and of what started it, at any moment of a whole run. Minutes each: only as many as asked for."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from typing import Final

import pytest

from stages.quality import FLOOR
from tests.pipeline.commits.checkout import Checkout
from tests.pipeline.commits.conftest import ACT_KILLS
from tests.support.containers.stack import docker
from tocsin.kernel import randomness

SEED: Final = int(os.environ.get("FAULT_SEED", "5"))
LATEST: Final = 220.0
"""Seconds: longer than these runs take."""
DEPLOYING: Final = 40.0
"""Seconds from the begin of Deploy to the end: the time in which most can go wrong, and half of the kills."""

pytestmark = pytest.mark.pipeline


def services(checkout: Checkout) -> list[str]:
    """Return the service of each container that runs."""
    mine = f"label=com.docker.compose.project={checkout.project}"
    return docker("ps", "--filter", mine, "--format", '{{.Label "com.docker.compose.service"}}').split()


def next_commit(checkout: Checkout, number: int) -> str:
    """Change one line of what every image is made of."""
    checkout.leave_few_tests()
    checkout.change(".github/pipeline/stages/quality.py", f"FLOOR: Final = {FLOOR}", "FLOOR: Final = 1")
    checkout.change("src/tocsin/kernel/ids.py", '"""Identifiers, ', f'"""Identifiers ({number}), ')
    return checkout.commit(f"tests: Be commit {number}.")


def kill_at_some_moment(checkout: Checkout, *, deploying: bool, with_what_started_it: bool) -> str | None:
    """Begin a run and kill act in it; return what the run said until its own end, or None where that was in time."""
    run = checkout.begin_pipeline()
    while deploying and "deploy" not in checkout.rows():
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"it ended before it deployed: {run.wait(timeout=0.5)}")
    try:
        said, _ = run.communicate(timeout=randomness.uniform(0.5, DEPLOYING if deploying else LATEST))
    except subprocess.TimeoutExpired:
        if with_what_started_it:
            run.send_signal(signal.SIGSTOP)  # or it would see act's end and settle
        subprocess.run(["pkill", "-KILL", "-P", str(run.pid), "-x", "act"], check=False)  # noqa: S603, S607 - procps
        if with_what_started_it:
            run.kill()
        said, _ = run.communicate()
        return said
    assert run.returncode == 0, said
    return None


def test_a_run_whose_act_is_killed_is_settled(checkout: Checkout) -> None:
    good = next_commit(checkout, 0)
    done = checkout.pipeline()
    assert done.code == 0, done.text
    randomness.seed(SEED)
    for number in range(1, ACT_KILLS + 1):
        checkout.begin_again()
        commit = next_commit(checkout, number)
        said = kill_at_some_moment(checkout, deploying=number % 2 == 1, with_what_started_it=number % 4 >= 2)
        reached = {name: row.outcome.value for name, row in checkout.rows().items()}
        print(number, "killed" if said is not None else "in time", reached)  # noqa: T201 - the record of a long test
        settled = checkout.run(str(checkout.folder / ".github/pipeline/deploy"), "settle")
        assert settled.code in {0, 10}, settled.text
        running = services(checkout)
        assert len(set(running)) == len(running), "each runs once"
        kept = json.loads((checkout.state / "good.json").read_text())["tag"]
        assert kept in {good, commit}, said
        assert checkout.versions() == {kept}, (said, settled.text)
        good = kept
    checkout.begin_again()
    last = next_commit(checkout, ACT_KILLS + 1)
    done = checkout.pipeline()
    assert done.code == 0, done.text
    assert checkout.versions() == {last}
