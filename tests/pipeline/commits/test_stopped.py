"""Commits that must not get through: each is stopped by its stage, and nothing is deployed."""

import secrets

import pytest

from stages.report import Outcome
from tests.pipeline.commits.checkout import Checkout, Ended

pytestmark = pytest.mark.pipeline
FAILING = '''"""A test that fails."""


def test_what_does_not_hold() -> None:
    this = "this"
    assert this == "that"
'''


def made_up_token() -> str:
    """Return what looks like a secret; written here, it would be found here."""
    return f"ghp_{secrets.token_hex(18)}"


def is_stopped(checkout: Checkout, stage: str, *said: str) -> Ended:
    done = checkout.stage(stage)
    assert done.code == 42, done.text
    row = checkout.rows()[stage]
    assert row.outcome is Outcome.FINDING
    assert [word for word in said if word not in row.figures] == [], done.text
    assert checkout.deployed() == []
    return done


def is_broken(checkout: Checkout, stage: str, said: str) -> None:
    done = checkout.stage(stage)
    assert done.code == 1, done.text
    assert checkout.rows()[stage].outcome is Outcome.BROKE
    assert said in done.text
    assert checkout.deployed() == []


def test_a_secret_in_the_tree_stops_at_security_and_is_not_shown(checkout: Checkout) -> None:
    token = made_up_token()
    checkout.write("docs/notes.md", f"token = {token}\n")
    checkout.commit("docs: Tell everybody.")
    done = is_stopped(checkout, "security", "secrets in the tree: exit code 42")
    assert "docs/notes.md" in done.text
    assert token not in done.text


def test_a_secret_that_only_the_history_has_stops_at_security(checkout: Checkout) -> None:
    checkout.write("docs/notes.md", f"token = {made_up_token()}\n")
    checkout.commit("docs: Tell everybody.")
    (checkout.folder / "docs/notes.md").unlink()
    checkout.commit("docs: Tell nobody.")
    is_stopped(checkout, "security", "secrets in the history: exit code 42")
    assert "secrets in the tree: exit code 42" not in checkout.rows()["security"].figures


def test_a_history_that_cannot_be_read_is_not_called_clean(checkout: Checkout) -> None:
    refs = checkout.folder / ".git" / "refs" / "heads" / "lost"
    refs.write_text("1" * 40 + "\n")
    try:
        is_broken(checkout, "security", "secrets in the history: exit code 0 (broke)")
    finally:
        refs.unlink()


def test_a_lint_error_and_duplicated_code_stop_at_quality(checkout: Checkout) -> None:
    for name in ("intake", "telling", "worker"):
        text = (checkout.folder / f"src/tocsin/alerts/{name}.py").read_text()
        for copy in range(8):
            checkout.write(f"src/tocsin/alerts/{name}_{copy}.py", text)
    checkout.write("src/tocsin/alerts/unused.py", '"""Nothing."""\n\nimport os\n')
    checkout.commit("alerts: Copy what is good.")
    done = is_stopped(checkout, "quality", "ruff: exit code 1", "duplication: exit code 1")
    assert "unused.py" in done.text
    assert "tests" not in [check.name for check in checkout.rows()["quality"].checks]


def test_a_failing_test_stops_at_quality(checkout: Checkout) -> None:
    checkout.leave_few_tests()
    checkout.write("tests/kernel/test_what_does_not_hold.py", FAILING)
    checkout.commit("tests: Fail.")
    done = is_stopped(checkout, "quality", "tests: exit code 1")
    assert "test_what_does_not_hold" in done.text


def test_a_drop_of_the_coverage_stops_at_quality(checkout: Checkout) -> None:
    checkout.leave_few_tests()
    checkout.commit("tests: Save time.")
    is_stopped(checkout, "quality", "coverage: exit code 2")


def test_a_package_with_a_known_weakness_stops_at_scan(checkout: Checkout) -> None:
    uv = str(checkout.keep / ".uv" / "bin" / "uv")
    locked = checkout.run(uv, "lock", "--upgrade-package", "jinja2==3.1.5")
    assert locked.code == 0, locked.text
    checkout.commit("project: Go back to an older Jinja.")
    built = checkout.stage("build")
    assert built.code == 0, built.text
    done = is_stopped(checkout, "scan", "trivy: exit code 42")
    assert "CVE-2025-27516" in done.text


def test_images_that_were_not_built_are_not_called_clean(checkout: Checkout) -> None:
    checkout.run("git", "commit", "--allow-empty", "--no-verify", "--message=project: Change nothing.")
    is_broken(checkout, "scan", "were not built here")


def test_a_tree_that_is_not_what_the_commit_says_is_not_built(checkout: Checkout) -> None:
    checkout.write("src/tocsin/kernel/ids.py", '"""Half done."""\n')
    is_broken(checkout, "build", "the tree is not what the commit says (src/tocsin/kernel/ids.py)")


def test_a_migration_that_takes_away_what_the_release_before_uses_stops_at_quality(checkout: Checkout) -> None:
    last = max(int(path.name[:4]) for path in (checkout.folder / "sql").iterdir())
    checkout.write(
        f"sql/{last + 1:04}_alerts_drop_message.sql",
        "SET lock_timeout = '2s';\nSET statement_timeout = '60s';\n\nALTER TABLE alerts.alert DROP COLUMN message;\n",
    )
    checkout.commit("alerts: Forget what was said.")
    is_stopped(checkout, "quality", "migrations: exit code 1")
