"""Whatever fails or is killed: in the end one release is running, the last good one if there is any."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout import executor, plan
from rollout.exit_codes import ExitCode
from rollout.plan import Attempt, Observation, Phase, Replica, Start, State
from tests.support.pipeline.simulated_engine import SERVICES, Container, Engine, KilledError, Run

KINDS = st.sampled_from(["good", "good", "never", "crash", "migration", "unverified"])


@dataclass(frozen=True, slots=True)
class Command:
    """A command of an operator or the pipeline, or an accident."""

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
    """Execute a run until it ends or is killed."""
    deploy = Run(engine, command.fault_at if command else None, kill=bool(command and command.kill))
    try:
        work(deploy)
    except KilledError:
        engine.tick()
    return deploy


def only(release: str | None) -> dict[str, set[str]]:
    """Return the value of `versions` if nothing but *release* is running."""
    return {service: {release} if release else set() for service in SERVICES}


def up(engine: Engine, release: str, command: Command | None = None) -> list[ExitCode]:
    codes = []

    def work(deploy: Run) -> None:
        settled, _ = executor.settle(engine.state, deploy)
        engine.state, code = executor.up(settled, release, deploy)
        codes.append(code)

    run(engine, work, command)
    return codes


def execute(engine: Engine, command: Command, number: int) -> None:
    match command.name:
        case "up":
            release = f"{command.kind}-{number}"
            if command.kind in {"never", "crash", "migration"}:
                engine.bad[release] = command.kind
            up(engine, release, command)
        case "rollback":
            run(engine, lambda deploy: executor.roll_back(engine.state, None, deploy), command)
        case "settle":
            run(engine, lambda deploy: executor.settle(engine.state, deploy), command)
        case "promote":
            attempt = engine.state.attempt
            if attempt and attempt.phase is Phase.DEPLOYED and not attempt.release.startswith("unverified"):
                engine.state = plan.promote(engine.state)
        case "flood":
            engine.dependencies, engine.edge = False, None
        case _ if engine.containers:
            interfere(engine, command)


def interfere(engine: Engine, command: Command) -> None:
    victim = engine.containers[sorted(engine.containers)[command.victim % len(engine.containers)]]
    if command.name == "lose":
        del engine.containers[victim.id]
    elif command.name == "stop":
        victim.running = False
    else:
        name = f"{victim.service}-{engine.ids()}"
        engine.containers[name] = Container(name, victim.service, victim.release)


@given(st.lists(COMMANDS, max_size=12))
def test_at_the_end_the_last_good_release_runs_only(commands: list[Command]) -> None:
    engine = Engine()
    for number, command in enumerate(commands):
        execute(engine, command, number)
    before = engine.state.good
    for _ in range(2):
        run(engine, lambda deploy: executor.settle(engine.state, deploy))
    assert engine.state.good == before
    assert engine.state.attempt is None
    assert engine.versions() == only(before)
    assert engine.serving() == (set(SERVICES) if before else set())


@given(st.lists(COMMANDS, max_size=12))
def test_no_step_leaves_a_service_without_a_ready_replica(commands: list[Command]) -> None:
    engine = Engine()
    up(engine, "first")
    engine.state = plan.promote(engine.state)
    for number, command in enumerate(commands):
        execute(engine, command, number)
    assert engine.outages == []


@given(KINDS, st.integers(1, 60), st.booleans())
def test_a_failed_deploy_leaves_the_old_release_good(kind: str, at: int, kill: bool) -> None:  # noqa: FBT001
    engine = Engine(bad={"second": kind} if kind in {"never", "crash", "migration"} else {})
    up(engine, "first")
    engine.state = plan.promote(engine.state)
    codes = up(engine, "second", Command("up", fault_at=at, kill=kill))
    if codes != [ExitCode.OK]:
        run(engine, lambda deploy: executor.settle(engine.state, deploy))
        assert engine.versions() == only("first")
    assert engine.state.good == "first"


@pytest.mark.parametrize("kind", ["never", "crash", "migration"])
def test_a_bad_release_is_rolled_back_and_the_error_is_reported(kind: str) -> None:
    engine = Engine(bad={"second": kind})
    up(engine, "first")
    engine.state = plan.promote(engine.state)
    deploy = Run(engine)
    engine.state, code = executor.up(engine.state, "second", deploy)
    assert (code, engine.state) == (ExitCode.ROLLED_BACK, State(good="first"))
    (error,) = deploy.errors
    assert {"never": "not ready", "crash": "crash loop", "migration": "migration failed"}[kind] in error
    assert engine.outages == []


def test_a_failed_first_release_leaves_nothing_running_and_needs_an_operator() -> None:
    engine = Engine(bad={"first": "never"})
    assert up(engine, "first") == [ExitCode.ROLLBACK_FAILED]
    assert (engine.state, engine.containers) == (State(), {})


def test_if_the_rollback_fails_too_the_running_release_keeps_serving_and_a_repair_can_be_deployed() -> None:
    engine = Engine()
    up(engine, "first")
    engine.state = plan.promote(engine.state)
    up(engine, "second")
    engine.bad["first"] = "never"  # for example, its certificate expired
    assert executor.settle(engine.state, Run(engine))[1] is ExitCode.ROLLBACK_FAILED
    assert "second" in set.union(*engine.versions().values())
    assert engine.serving() == set(SERVICES)
    assert up(engine, "third") == [ExitCode.OK]
    assert engine.versions() == only("third")


def test_a_second_rollback_is_a_no_op() -> None:
    engine = Engine()
    for release in ("first", "second", "third"):
        up(engine, release)
        engine.state = plan.promote(engine.state)
    for _ in range(2):
        engine.state, code = executor.roll_back(engine.state, None, Run(engine))
        assert (code, engine.state) == (ExitCode.ROLLED_BACK, State(good="second"))
    assert executor.roll_back(engine.state, "first", Run(engine)) == (State(good="first"), ExitCode.ROLLED_BACK)


def test_a_rollback_to_a_broken_release_keeps_the_running_one() -> None:
    engine = Engine()
    for release in ("first", "second"):
        up(engine, release)
        engine.state = plan.promote(engine.state)
    engine.bad["first"] = "crash"
    assert executor.roll_back(engine.state, None, Run(engine)) == (State("second", "first"), ExitCode.ROLLBACK_FAILED)
    assert engine.serving() == set(SERVICES)
    assert engine.outages == []


def test_a_deploy_keeps_the_number_of_replicas_that_an_operator_set() -> None:
    replicas = [Replica(f"web-{n}", "web", "old", ready=True, routed=True) for n in range(3)]
    seen = Observation(frozenset(replicas), plan.TierState.READY, plan.TierState.READY)
    assert plan.next_step("new", frozenset({"web"}), seen) == Start({"web": 3})


def test_an_attempt_never_begins_within_another_and_only_a_deployed_release_is_promoted() -> None:
    in_progress = State(good="first", attempt=Attempt("second"))
    with pytest.raises(ValueError, match="not ended"):
        plan.begin(in_progress, "third")
    with pytest.raises(ValueError, match="no deployed release"):
        plan.promote(in_progress)
