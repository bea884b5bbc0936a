"""Whole runs by act: a good commit runs at the end, and one that fails only where it is deployed is taken back."""

import pytest

from stages.quality import FLOOR
from stages.report import STAGES, Outcome
from tests.pipeline.commits.checkout import Checkout

pytestmark = pytest.mark.pipeline


def test_a_good_commit_runs_at_the_end_and_a_bad_one_is_taken_back(checkout: Checkout) -> None:
    # All tests would take longer than everything else together, and others run them.
    checkout.leave_few_tests()
    checkout.change(".github/pipeline/stages/quality.py", f"FLOOR: Final = {FLOOR}", "FLOOR: Final = 1")
    good = checkout.commit("tests: Save time.")
    done = checkout.pipeline()
    assert done.code == 0, done.text
    assert {stage: row.outcome for stage, row in checkout.rows().items()} == dict.fromkeys(STAGES, Outcome.GOOD)
    assert checkout.versions() == {good}
    page = (checkout.state / "runs" / good / "report.md").read_text()
    assert page.count("| good |") == len(STAGES)
    assert "the time went into: " in done.text

    # Tested with the port that it has everywhere, and deployed with one that the edge does not know.
    checkout.change("compose.yaml", "ALLOWED_HOSTS: ", "PORT: ${PORT_OF_WEB_UI:-8080}\n      ALLOWED_HOSTS: ")
    checkout.settings("PORT_OF_WEB_UI=8099")
    bad = checkout.commit("web: Listen elsewhere.")
    done = checkout.pipeline()
    assert "Error 10" in done.text, done.text
    rows = checkout.rows()
    assert [row.outcome for row in rows.values()] == [*[Outcome.GOOD] * STAGES.index("deploy"), Outcome.ROLLED_BACK]
    assert bad in done.text
    assert checkout.versions() == {good}
