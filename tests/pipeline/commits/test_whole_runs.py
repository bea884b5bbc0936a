"""Whole runs with act: a good commit is deployed, and a commit that fails only when deployed is rolled back."""

import pytest

from stages.quality import FLOOR
from stages.report import STAGES, Outcome
from tests.support.pipeline.checkout import Checkout

pytestmark = pytest.mark.pipeline


def test_a_good_commit_is_deployed_and_a_bad_one_is_rolled_back(checkout: Checkout) -> None:
    # All tests would take longer than the rest of the run.
    checkout.delete_most_tests()
    checkout.change(".github/pipeline/stages/quality.py", f"FLOOR: Final = {FLOOR}", "FLOOR: Final = 1")
    good = checkout.commit("tests: Save time.")
    done = checkout.pipeline()
    assert done.code == 0, done.text
    assert {stage: row.outcome for stage, row in checkout.rows().items()} == dict.fromkeys(STAGES, Outcome.PASSED)
    assert checkout.versions() == {good}
    page = (checkout.state / "runs" / good / "report.md").read_text()
    assert page.count("| passed |") == len(STAGES)
    assert "longest checks: " in done.text

    # Test uses the default port, and Deploy one that the edge does not route to.
    checkout.change("compose.yaml", "ALLOWED_HOSTS: ", "PORT: ${PORT_OF_WEB_UI:-8080}\n      ALLOWED_HOSTS: ")
    checkout.settings("PORT_OF_WEB_UI=8099")
    bad = checkout.commit("web: Listen elsewhere.")
    done = checkout.pipeline()
    assert "Error 10" in done.text, done.text
    rows = checkout.rows()
    assert [row.outcome for row in rows.values()] == [*[Outcome.PASSED] * STAGES.index("deploy"), Outcome.ROLLED_BACK]
    assert bad in done.text
    assert checkout.versions() == {good}
