"""The files of a deploy: whole or not there, the lock, and what is remembered for how long."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollout import machine
from rollout.machine import Attempt, Phase, State
from rollout.release import Release
from rollout.store import KEPT, BusyError, Store
from tests.support.waiting import eventually


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A folder that is not there yet, as at the first deploy."""
    return Store(tmp_path / "state")


def release(name: str) -> Release:
    service = {"image": f"tocsin/web-ui:{name}", "restart": "unless-stopped", "labels": {}}
    return Release(name, name, {"name": "tocsin", "services": {"web-ui": service}}, {"web-ui": "sha256:1"}, "0001_x")


def test_what_was_written_is_read_again_after_each_change(store: Store) -> None:
    for name in ("first", "second"):
        store.add(release(name))
    moving = machine.begun(State(), "first")
    states = [moving, machine.arrived(moving), good := machine.promoted(machine.arrived(moving))]
    states += [machine.begun(good, "second"), machine.failed(machine.begun(good, "second")), good]
    for state in states:
        store.write(state)
        assert Store(store.folder).read() == state
    assert [line["event"] for line in store.history()] == [
        "moving", "deployed", "good", "ended", "moving", "returning", "ended",
    ]  # fmt: skip
    assert store.release("first") == release("first")


@pytest.mark.parametrize("broken_at", range(1, 9))
def test_a_crash_between_two_files_leaves_a_state_that_ends_well(
    store: Store, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    store.add(release("first"))
    deployed = State(attempt=Attempt("first", Phase.DEPLOYED))
    store.write(deployed)
    real, calls = os.fsync, iter(range(1, 99))

    def fsync(descriptor: int) -> None:
        if next(calls) == broken_at:
            raise SystemExit
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    try:
        store.write(machine.promoted(deployed))
    except SystemExit:
        assert broken_at < 8
    left = Store(store.folder).read()
    assert left in {deployed, State(good="first", attempt=deployed.attempt), State(good="first")}
    assert left.goal == "first"


def test_a_line_of_the_history_that_was_cut_short_is_left_out(store: Store) -> None:
    store.note("good", "first")
    with (store.folder / "history.jsonl").open("a") as file:
        file.write('{"at": "20')
    assert [line["event"] for line in store.history()] == ["good"]


def test_nobody_else_can_read_what_was_rendered(store: Store) -> None:
    store.add(release("first"))
    modes = {path.stat().st_mode & 0o077 for path in [store.folder, *store.folder.rglob("*")]}
    assert modes == {0}


def test_the_last_releases_are_kept_and_those_in_use_for_ever(store: Store) -> None:
    names = [f"release-{number}" for number in range(KEPT + 4)]
    for number, name in enumerate(names):
        store.add(release(name))
        os.utime(store.folder / "releases" / name / "release.json", (number, number))
    forgotten = store.forget(State(good=names[0], previous=names[2]))
    assert [old.id for old in forgotten] == [names[1], names[3]]
    assert store.releases() == [name for name in names if name not in {names[1], names[3]}]
    with pytest.raises(LookupError, match="cannot be gone back to"):
        store.release(names[1])


def test_the_lock_names_its_holder_and_outlives_it_in_its_children(store: Store) -> None:
    with store.lock("up second", wait=True):
        assert store.lock_file is not None
        with (
            pytest.raises(BusyError, match=f"up second, process {os.getpid()} "),
            Store(store.folder).lock("settle", wait=False),
        ):
            pass
        wait = [sys.executable, "-c", "input()"]
        child = subprocess.Popen(wait, stdin=subprocess.PIPE, pass_fds=(store.lock_file,))  # noqa: S603
    with child:
        with pytest.raises(BusyError), store.lock("settle", wait=False):
            pass
        child.communicate(b"\n")
    with store.lock("settle", wait=False):
        assert (store.folder / "lock").read_text().startswith("settle, process")


async def test_a_run_that_is_killed_lets_go_of_the_lock(store: Store) -> None:
    hold = (
        "import sys; from pathlib import Path; from rollout.store import Store\n"
        "with Store(Path(sys.argv[1])).lock('up', wait=True): print('held', flush=True); input()"
    )
    command = [sys.executable, "-c", hold, str(store.folder)]
    path = Path(__file__).parents[2] / ".github" / "pipeline"
    environment = {**os.environ, "PYTHONPATH": str(path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as holder:  # type: ignore[call-overload] # noqa: S603, ASYNC220
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), store.lock("settle", wait=False):
            pass
        holder.kill()
    with (store.folder / "lock").open() as lock:

        def free() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        await eventually(free)


def test_the_state_is_readable_by_people(store: Store) -> None:
    store.add(release("first"))
    store.write(State(attempt=Attempt("first")))
    said = json.loads((store.folder / "attempt.json").read_text())
    assert (said["release"], said["phase"], said["from"]) == ("first", "moving", None)
