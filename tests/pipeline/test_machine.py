"""Whatever fails, is killed and begun anew: at the end one release runs, the last good one if there is any."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout import machine, mover
from rollout.machine import Attempt, Phase, Replica, Seen, Start, State
from rollout.mover import Ending
from tests.support.pipeline.checkout import SERVICES, Container, Engine, KilledError, Run

KINDS = st.sampled_from(["good", "good", "never", "crash", "migration", "unverified"])


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a person, the pipeline or fate does."""

    name: str
    kind: str = "good"
    fault_at: int | None = None
    kill: bool = False
    victim: int = 0


FAULT_AT = st.one_of(st.none(), st.integers(1, 40))
COMMANDS = st.one_of(
    st.builds(Command, st.just("up"), KINDS, FAULT_AT, st.booleans()),
    st.builds(Command, st.sampled_from(["rollback", "settle", "promote"]), fault_at=FAULT_AT, kill=st.booleans()),
    st.builds(Command, st.sampled_from(["lose", "stop", "add", "flood"]), victim=st.integers(0, 9)),
)


def run(engine: Engine, work: Callable[[Run], object], command: Command | None = None) -> Run:
    """Let a run do its work, until its end or its death."""
    deploy = Run(engine, command.fault_at if command else None, kill=bool(command and command.kill))
    try:
        work(deploy)
    except KilledError:
        engine.tick()
    return deploy


def alone(release: str | None) -> dict[str, set[str]]:
    """Return what `versions` says where nothing but *release* runs."""
    return {service: {release} if release else set() for service in SERVICES}


def up(engine: Engine, release: str, command: Command | None = None) -> list[Ending]:
    endings = []

    def work(deploy: Run) -> None:
        settled, _ = mover.settle(engine.files, deploy)
        engine.files, ending = mover.up(settled, release, deploy)
        endings.append(ending)

    run(engine, work, command)
    return endings


def obey(engine: Engine, command: Command, number: int) -> None:
    match command.name:
        case "up":
            release = f"{command.kind}-{number}"
            if command.kind in {"never", "crash", "migration"}:
                engine.bad[release] = command.kind
            up(engine, release, command)
        case "rollback":
            run(engine, lambda deploy: mover.roll_back(engine.files, None, deploy), command)
        case "settle":
            run(engine, lambda deploy: mover.settle(engine.files, deploy), command)
        case "promote":
            attempt = engine.files.attempt
            if attempt and attempt.phase is Phase.DEPLOYED and not attempt.release.startswith("unverified"):
                engine.files = machine.promoted(engine.files)
        case "flood":
            engine.below, engine.before = False, None
        case _ if engine.containers:
            meddle(engine, command)


def meddle(engine: Engine, command: Command) -> None:
    victim = engine.containers[sorted(engine.containers)[command.victim % len(engine.containers)]]
    if command.name == "lose":
        del engine.containers[victim.id]
    elif command.name == "stop":
        victim.running = False
    else:
        name = f"{victim.service}-{engine.ids()}"
        engine.containers[name] = Container(name, victim.service, victim.release)


@given(st.lists(COMMANDS, max_size=12))
def test_at_the_end_the_last_good_release_runs_alone(commands: list[Command]) -> None:
    engine = Engine()
    for number, command in enumerate(commands):
        obey(engine, command, number)
    before = engine.files.good
    for _ in range(2):
        run(engine, lambda deploy: mover.settle(engine.files, deploy))
    assert engine.files.good == before
    assert engine.files.attempt is None
    assert engine.versions() == alone(before)
    assert engine.serving() == (set(SERVICES) if before else set())


@given(st.lists(COMMANDS, max_size=12))
def test_no_step_leaves_a_service_without_a_ready_replica(commands: list[Command]) -> None:
    engine = Engine()
    up(engine, "first")
    engine.files = machine.promoted(engine.files)
    for number, command in enumerate(commands):
        obey(engine, command, number)
    assert engine.outages == []


@given(KINDS, st.integers(1, 60), st.booleans())
def test_a_way_that_does_not_end_at_the_new_release_leaves_the_old_one_good(kind: str, at: int, kill: bool) -> None:  # noqa: FBT001
    engine = Engine(bad={"second": kind} if kind in {"never", "crash", "migration"} else {})
    up(engine, "first")
    engine.files = machine.promoted(engine.files)
    endings = up(engine, "second", Command("up", fault_at=at, kill=kill))
    if endings != [Ending.DONE]:
        run(engine, lambda deploy: mover.settle(engine.files, deploy))
        assert engine.versions() == alone("first")
    assert engine.files.good == "first"


@pytest.mark.parametrize("kind", ["never", "crash", "migration"])
def test_a_bad_release_ends_on_the_one_before_and_says_why(kind: str) -> None:
    engine = Engine(bad={"second": kind})
    up(engine, "first")
    engine.files = machine.promoted(engine.files)
    deploy = Run(engine)
    engine.files, ending = mover.up(engine.files, "second", deploy)
    assert (ending, engine.files) == (Ending.BACK, State(good="first"))
    (trouble,) = deploy.troubles
    assert {"never": "not ready", "crash": "again and again", "migration": "migration failed"}[kind] in trouble
    assert engine.outages == []


def test_a_first_release_that_fails_leaves_nothing_and_asks_for_a_person() -> None:
    engine = Engine(bad={"first": "never"})
    assert up(engine, "first") == [Ending.STUCK]
    assert (engine.files, engine.containers) == (State(), {})


def test_where_the_way_back_fails_too_what_serves_goes_on_and_a_repair_can_be_tried() -> None:
    engine = Engine()
    up(engine, "first")
    engine.files = machine.promoted(engine.files)
    up(engine, "second")
    engine.bad["first"] = "never"  # say, its certificate has run out
    assert mover.settle(engine.files, Run(engine))[1] is Ending.STUCK
    assert "second" in set.union(*engine.versions().values())
    assert engine.serving() == set(SERVICES)
    assert up(engine, "third") == [Ending.DONE]
    assert engine.versions() == alone("third")


def test_asking_twice_to_go_back_goes_back_once() -> None:
    engine = Engine()
    for release in ("first", "second", "third"):
        up(engine, release)
        engine.files = machine.promoted(engine.files)
    for _ in range(2):
        engine.files, ending = mover.roll_back(engine.files, None, Run(engine))
        assert (ending, engine.files) == (Ending.BACK, State(good="second"))
    assert mover.roll_back(engine.files, "first", Run(engine)) == (State(good="first"), Ending.BACK)


def test_a_way_back_to_a_release_that_no_longer_works_leaves_the_present_one() -> None:
    engine = Engine()
    for release in ("first", "second"):
        up(engine, release)
        engine.files = machine.promoted(engine.files)
    engine.bad["first"] = "crash"
    assert mover.roll_back(engine.files, None, Run(engine)) == (State("second", "first"), Ending.STUCK)
    assert engine.serving() == set(SERVICES)
    assert engine.outages == []


def test_what_a_person_added_stays_added_through_a_deploy() -> None:
    replicas = [Replica(f"web-{n}", "web", "old", ready=True, reached=True) for n in range(3)]
    seen = Seen(frozenset(replicas), machine.Around.THERE, machine.Around.THERE)
    assert machine.next_step("new", frozenset({"web"}), seen) == Start({"web": 3})


def test_an_attempt_does_not_begin_within_another_and_nothing_undeployed_is_promoted() -> None:
    under_way = State(good="first", attempt=Attempt("second"))
    with pytest.raises(ValueError, match="not ended"):
        machine.begun(under_way, "third")
    with pytest.raises(ValueError, match="nothing is deployed"):
        machine.promoted(under_way)
