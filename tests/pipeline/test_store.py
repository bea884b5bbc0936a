"""The stored state of deploys: atomic files, the lock, and the retention of releases."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollout import plan
from rollout.errors import BusyError
from rollout.plan import Attempt, Phase, State
from rollout.release import Release
from rollout.store import KEPT, Store
from tests.support.waiting import eventually


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A folder that does not exist yet, as before the first deploy."""
    return Store(tmp_path / "state")


def release(name: str) -> Release:
    service = {"image": f"tocsin/web-ui:{name}", "restart": "unless-stopped", "labels": {}}
    return Release(
        name, name, {"name": "tocsin", "services": {"web-ui": service}}, {"web-ui": "sha256:1"}, "0001_x", "1"
    )


def test_each_state_is_read_as_it_was_written(store: Store) -> None:
    for name in ("first", "second"):
        store.add(release(name))
    moving = plan.begin(State(), "first")
    states = [moving, plan.complete(moving), good := plan.promote(plan.complete(moving))]
    states += [plan.begin(good, "second"), plan.reverse(plan.begin(good, "second")), good]
    for state in states:
        store.write(state)
        assert Store(store.folder).read() == state
    assert [line["event"] for line in store.history()] == [
        "moving", "deployed", "good", "ended", "moving", "returning", "ended",
    ]  # fmt: skip
    assert store.release("first") == release("first")


@pytest.mark.parametrize("broken_at", range(1, 9))
def test_a_crash_between_two_files_leaves_a_consistent_state(
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
        store.write(plan.promote(deployed))
    except SystemExit:
        assert broken_at < 8
    left = Store(store.folder).read()
    assert left in {deployed, State(good="first", attempt=deployed.attempt), State(good="first")}
    assert left.target == "first"


def test_a_truncated_line_of_the_history_is_skipped(store: Store) -> None:
    store.append_event("good", "first")
    with (store.folder / "history.jsonl").open("a") as file:
        file.write('{"at": "20')
    assert [line["event"] for line in store.history()] == ["good"]


def test_only_the_owner_can_read_the_stored_files(store: Store) -> None:
    store.add(release("first"))
    modes = {path.stat().st_mode & 0o077 for path in [store.folder, *store.folder.rglob("*")]}
    assert modes == {0}


def test_the_last_releases_are_kept_and_those_in_use_always(store: Store) -> None:
    names = [f"release-{number}" for number in range(KEPT + 4)]
    for number, name in enumerate(names):
        store.add(release(name))
        os.utime(store.folder / "releases" / name / "release.json", (number, number))
    pruned = store.prune(State(good=names[0], previous=names[2]))
    assert [old.id for old in pruned] == [names[1], names[3]]
    assert store.releases() == [name for name in names if name not in {names[1], names[3]}]
    with pytest.raises(LookupError, match="a rollback to that release is impossible"):
        store.release(names[1])


def test_the_lock_names_its_holder_and_is_inherited_by_its_children(store: Store) -> None:
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


async def test_a_killed_run_releases_the_lock(store: Store) -> None:
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


def test_the_stored_state_is_readable_json(store: Store) -> None:
    store.add(release("first"))
    store.write(State(attempt=Attempt("first")))
    stored = json.loads((store.folder / "attempt.json").read_text())
    assert (stored["release"], stored["phase"], stored["from"]) == ("first", "moving", None)
