"""What a run of the pipeline says of itself, and what the exit codes of its checks mean."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.checks import RELAYED, Stage, StopError
from stages.records import Records
from stages.report import EXIT_CODES, STAGES, Outcome, Row, Timed, longest, markdown, missing, table

ROWS = st.builds(
    Row,
    stage=st.sampled_from(STAGES),
    outcome=st.sampled_from(Outcome),
    seconds=st.floats(0, 10_000),
    figures=st.lists(st.text()),
    checks=st.lists(st.builds(Timed, st.text(), st.floats(0, 10_000))),
)


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", program)


@given(ROWS)
def test_a_row_is_read_as_it_was_written(row: Row) -> None:
    assert Row.from_json(row.to_json()) == row
    assert "\n" not in row.to_json()


def test_the_table_has_a_line_for_each_stage_also_for_those_that_did_not_run() -> None:
    rows = {"quality": Row("quality", Outcome.GOOD, 61.25, ["coverage 93 %"]), "security": Row("security")}
    head, *lines, total = table(rows).splitlines()
    assert head.split() == ["stage", "result", "seconds", "what", "it", "found"]
    assert [line.split()[1] for line in lines] == list(STAGES)
    assert lines[0].split()[2:] == ["good", "61.2", "coverage", "93", "%"]
    assert lines[-1].split()[2:] == ["not", "run"]
    assert total.strip() == "61.2"


@pytest.mark.slow
@given(st.lists(ROWS, unique_by=lambda row: row.stage))
def test_only_a_run_in_which_all_seven_said_good_is_good(rows: list[Row]) -> None:
    said = {row.stage: row for row in rows}
    good = [row for row in rows if row.outcome is Outcome.GOOD]
    assert (missing(said) == []) == (len(good) == len(STAGES))
    assert len([line for line in markdown("abc", said).split("\n") if line.startswith("| ")]) == 2 + len(STAGES)


def test_the_report_says_where_the_time_goes() -> None:
    checks = [Timed(f"check {number}", float(number)) for number in range(10)]
    assert longest({"scan": Row("scan", checks=checks)})[:2] == ["9.0 s scan: check 9", "8.0 s scan: check 8"]


def test_a_page_of_the_run_is_kept_and_rows_of_other_machines_are_taken_over(tmp_path: Path) -> None:
    here = Records(tmp_path, "abc")
    here.write(Row("build", Outcome.GOOD))
    row = Row("quality", Outcome.GOOD, figures=["a | b"]).to_json()
    here.take_over(json.dumps({"quality": {"outputs": {"row": row}}, "build": {"outputs": {"row": row}}}))
    assert set(Records(tmp_path, "abc").read()) == {"quality", "build"}
    assert "a \\| b" in (tmp_path / "runs" / "abc" / "report.md").read_text()
    here.forget()
    assert here.read() == {}


@pytest.mark.parametrize(("code", "outcome"), [(0, Outcome.GOOD), (1, Outcome.FINDING), (2, Outcome.BROKE)])
def test_an_exit_code_that_a_tool_does_not_explain_means_that_it_broke(code: int, outcome: Outcome) -> None:
    stage = Stage("quality")
    assert stage.check("tool", *python(f"raise SystemExit({code})")) == (code == 0)
    stage.end()
    assert stage.row.outcome is outcome


def test_a_tool_that_is_not_there_broke(capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage("quality")
    stage.check("tool", "no-such-program")
    assert stage.row.outcome is Outcome.BROKE
    assert "no-such-program" in capsys.readouterr().out


def test_a_scanner_that_looked_at_nothing_broke_whatever_it_exits_with() -> None:
    blind, cross, seeing = Stage("security"), Stage("security"), Stage("security")
    blind.check("scan", *python("print('0 commits scanned')"), figure=r"([1-9]\d* commits) scanned")
    cross.check("scan", *python("print('ERR\\n3 commits scanned')"), figure=r"(\d commits) scanned", never="ERR")
    seeing.check("scan", *python("print('3 commits scanned')"), figure=r"(\d commits) scanned", never="ERR")
    assert [stage.row.outcome for stage in (blind, cross)] == [Outcome.BROKE, Outcome.BROKE]
    assert seeing.row.figures == ["scan 3 commits"]


def test_the_outcome_of_a_stage_is_the_worst_of_its_checks() -> None:
    stage = Stage("deploy")
    for code in (0, 42, 20, 10, 0):
        stage.check("deploy", *python(f"raise SystemExit({code})"), means=RELAYED)
    stage.end()
    assert stage.row.outcome is Outcome.NO_WAY_BACK
    assert EXIT_CODES[stage.row.outcome] == 20


def test_what_a_stage_needs_stops_it() -> None:
    with pytest.raises(StopError):
        Stage("build").need("images", *python("raise SystemExit(1)"))


@pytest.fixture
def signals() -> Iterator[None]:
    """Give this process its own handlers back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_stage_that_is_told_to_end_tells_its_check_and_does_only_what_must_be_done() -> None:
    stage = Stage("verify")
    stage.hear_signals()
    assert not stage.check(
        "verify", *python("import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()")
    )
    with pytest.raises(StopError):
        stage.check("promote", *python("print('never')"))
    assert stage.check("settle", *python("raise SystemExit(10)"), means={10: Outcome.GOOD}, always=True)
    assert [check.name for check in stage.row.checks] == ["verify", "settle"]
    assert stage.row.outcome is Outcome.BROKE
