"""Every test has a time limit."""

from pathlib import Path

import pytest

from tests.support.timeouts import CONTAINER_SECONDS, SECONDS, SLOW_SECONDS, limit


@pytest.mark.parametrize(
    ("path", "slow", "seconds"),
    [
        ("tests/alerts/test_ingest.py", False, SECONDS),
        ("tests/web/test_browser.py", True, SLOW_SECONDS),
        ("tests/containers/test_story.py", False, CONTAINER_SECONDS),
    ],
)
def test_the_limit_depends_on_what_a_test_starts(path: str, slow: bool, seconds: float) -> None:  # noqa: FBT001
    assert limit(Path(path), slow=slow) == seconds


def test_every_test_has_a_limit(request: pytest.FixtureRequest) -> None:
    assert [item.nodeid for item in request.session.items if item.get_closest_marker("timeout") is None] == []
