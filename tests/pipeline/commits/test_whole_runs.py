"""Whole runs with act: a good commit is deployed, and a commit that fails only when deployed is rolled back."""

import pytest

from stages.quality import FLOOR
from stages.report import STAGES, Outcome
from tests.support.pipeline.checkout import Checkout, Result

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(2400)]


def change_little(checkout: Checkout, message: str) -> str:
    """Commit without most tests, which would take longer than the rest of the run."""
    checkout.delete_most_tests()
    checkout.change(".github/pipeline/stages/quality.py", f"FLOOR: Final = {FLOOR}", "FLOOR: Final = 1")
    return checkout.commit(message)


@pytest.fixture(scope="module")
def good(clone: Checkout) -> tuple[str, Result]:
    """A good commit, and the result of its run."""
    clone.reset()
    commit = change_little(clone, "tests: Save time.")
    return commit, clone.pipeline()


def test_a_good_commit_is_deployed(clone: Checkout, good: tuple[str, Result]) -> None:
    commit, done = good
    assert done.code == 0, done.text
    assert {stage: row.outcome for stage, row in clone.rows().items()} == dict.fromkeys(STAGES, Outcome.PASSED)
    assert clone.versions() == {commit}
    page = (clone.state / "runs" / commit / "report.md").read_text()
    assert page.count("| passed |") == len(STAGES)
    assert "longest checks: " in done.text


@pytest.mark.sample("deploys", 2)
def test_a_commit_that_fails_only_when_deployed_is_rolled_back(checkout: Checkout, good: tuple[str, Result]) -> None:
    commit, deployed = good
    assert deployed.code == 0, deployed.text
    # Test uses the default port, and Deploy one that the edge does not route to.
    anchor = "    # It serves pages while the database"
    checkout.change("compose.yaml", anchor, f"      PORT: ${{PORT_OF_WEB_UI:-8080}}\n{anchor}")
    checkout.settings("PORT_OF_WEB_UI=8099")
    bad = change_little(checkout, "web: Listen elsewhere.")
    done = checkout.pipeline()
    assert "Error 10" in done.text, done.text
    rows = checkout.rows()
    assert [row.outcome for row in rows.values()] == [*[Outcome.PASSED] * STAGES.index("deploy"), Outcome.ROLLED_BACK]
    assert bad in done.text
    assert checkout.versions() == {commit}
