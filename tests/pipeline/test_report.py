"""The report of a pipeline run, and the outcomes of its checks."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.checks import OWN_CODES, Stage, StopError
from stages.records import Records
from stages.report import EXIT_CODES, STAGES, Outcome, StageResult, TimedCheck, longest, markdown, not_passed, table

ROWS = st.builds(
    StageResult,
    stage=st.sampled_from(STAGES),
    outcome=st.sampled_from(Outcome),
    seconds=st.floats(0, 10_000),
    figures=st.lists(st.text()),
    checks=st.lists(st.builds(TimedCheck, st.text(), st.floats(0, 10_000))),
)


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", program)


@given(ROWS)
def test_a_row_survives_a_round_trip_through_json(row: StageResult) -> None:
    assert StageResult.from_json(row.to_json()) == row
    assert "\n" not in row.to_json()


def test_the_table_has_a_line_for_each_stage_including_those_that_did_not_run() -> None:
    rows = {
        "quality": StageResult("quality", Outcome.PASSED, 61.25, ["coverage 93 %"]),
        "security": StageResult("security"),
    }
    head, *lines, total = table(rows).splitlines()
    assert head.split() == ["stage", "result", "seconds", "details"]
    assert [line.split()[1] for line in lines] == list(STAGES)
    assert lines[0].split()[2:] == ["passed", "61.2", "coverage", "93", "%"]
    assert lines[-1].split()[2:] == ["not", "run"]
    assert total.strip() == "61.2"


@pytest.mark.slow
@given(st.lists(ROWS, unique_by=lambda row: row.stage))
def test_a_run_passes_only_if_all_seven_stages_reported_so(rows: list[StageResult]) -> None:
    reported = {row.stage: row for row in rows}
    passed = [row for row in rows if row.outcome is Outcome.PASSED]
    assert (not_passed(reported) == []) == (len(passed) == len(STAGES))
    assert len([line for line in markdown("abc", reported).split("\n") if line.startswith("| ")]) == 2 + len(STAGES)


def test_the_report_names_the_longest_checks() -> None:
    checks = [TimedCheck(f"check {number}", float(number)) for number in range(10)]
    assert longest({"scan": StageResult("scan", checks=checks)})[:2] == ["9.0 s scan: check 9", "8.0 s scan: check 8"]


def test_the_report_is_stored_and_rows_of_other_machines_are_merged(tmp_path: Path) -> None:
    here = Records(tmp_path, "abc")
    here.write(StageResult("build", Outcome.PASSED))
    row = StageResult("quality", Outcome.PASSED, figures=["a | b"]).to_json()
    here.merge(json.dumps({"quality": {"outputs": {"row": row}}, "build": {"outputs": {"row": row}}}))
    assert set(Records(tmp_path, "abc").read()) == {"quality", "build"}
    assert "a \\| b" in (tmp_path / "runs" / "abc" / "report.md").read_text()
    here.clear()
    assert here.read() == {}


@pytest.mark.parametrize(("code", "outcome"), [(0, Outcome.PASSED), (1, Outcome.FINDING), (2, Outcome.ERROR)])
def test_an_undocumented_exit_code_is_an_error(code: int, outcome: Outcome) -> None:
    stage = Stage("quality")
    assert stage.check("tool", *python(f"raise SystemExit({code})")) == (code == 0)
    stage.end()
    assert stage.result.outcome is outcome


def test_a_missing_tool_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage("quality")
    stage.check("tool", "no-such-program")
    assert stage.result.outcome is Outcome.ERROR
    assert "no-such-program" in capsys.readouterr().out


def test_a_scanner_that_scanned_nothing_is_an_error_whatever_its_exit_code() -> None:
    blind, cross, seeing = Stage("security"), Stage("security"), Stage("security")
    blind.check("scan", *python("print('0 commits scanned')"), figure=r"([1-9]\d* commits) scanned")
    cross.check("scan", *python("print('ERR\\n3 commits scanned')"), figure=r"(\d commits) scanned", reject="ERR")
    seeing.check("scan", *python("print('3 commits scanned')"), figure=r"(\d commits) scanned", reject="ERR")
    assert [stage.result.outcome for stage in (blind, cross)] == [Outcome.ERROR, Outcome.ERROR]
    assert seeing.result.figures == ["scan 3 commits"]


def test_the_outcome_of_a_stage_is_the_worst_of_its_checks() -> None:
    stage = Stage("deploy")
    for code in (0, 42, 20, 10, 0):
        stage.check("deploy", *python(f"raise SystemExit({code})"), codes=OWN_CODES)
    stage.end()
    assert stage.result.outcome is Outcome.ROLLBACK_FAILED
    assert EXIT_CODES[stage.result.outcome] == 20


def test_a_failed_requirement_stops_the_stage() -> None:
    with pytest.raises(StopError):
        Stage("build").require("images", *python("raise SystemExit(1)"))


@pytest.fixture
def signals() -> Iterator[None]:
    """Restore the signal handlers of this process."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_signal_ends_the_running_check_and_the_stage_except_for_its_clean_up() -> None:
    stage = Stage("verify")
    stage.handle_signals()
    assert not stage.check(
        "verify", *python("import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()")
    )
    with pytest.raises(StopError):
        stage.check("promote", *python("print('never')"))
    assert stage.check("settle", *python("raise SystemExit(10)"), codes={10: Outcome.PASSED}, always=True)
    assert [check.name for check in stage.result.checks] == ["verify", "settle"]
    assert stage.result.outcome is Outcome.ERROR
