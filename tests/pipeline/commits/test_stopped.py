"""Commits with defects: each is stopped by its stage, and nothing is deployed."""

import secrets

import pytest

from stages.report import Outcome
from tests.support.pipeline.checkout import Checkout, Result

pytestmark = [pytest.mark.pipeline, pytest.mark.sample("stopped commits", 2)]
FAILING = '''"""A test that fails."""


def test_that_fails() -> None:
    this = "this"
    assert this == "that"
'''


def made_up_token() -> str:
    """Return a string that looks like a secret; a literal would be found in this file."""
    return f"ghp_{secrets.token_hex(18)}"


def is_stopped(checkout: Checkout, stage: str, *figures: str) -> Result:
    done = checkout.stage(stage)
    assert done.code == 42, done.text
    row = checkout.rows()[stage]
    assert row.outcome is Outcome.FINDING
    assert [figure for figure in figures if figure not in row.figures] == [], done.text
    assert checkout.deployed() == []
    return done


def has_error(checkout: Checkout, stage: str, text: str) -> None:
    done = checkout.stage(stage)
    assert done.code == 1, done.text
    assert checkout.rows()[stage].outcome is Outcome.ERROR
    assert text in done.text
    assert checkout.deployed() == []


def test_a_secret_in_the_tree_stops_at_security_and_is_not_shown(checkout: Checkout) -> None:
    token = made_up_token()
    checkout.write("docs/notes.md", f"token = {token}\n")
    checkout.commit("docs: Publish a token.")
    done = is_stopped(checkout, "security", "secrets in the tree: exit code 42")
    assert "docs/notes.md" in done.text
    assert token not in done.text


def test_a_secret_in_the_history_only_stops_at_security(checkout: Checkout) -> None:
    checkout.write("docs/notes.md", f"token = {made_up_token()}\n")
    checkout.commit("docs: Publish a token.")
    (checkout.folder / "docs/notes.md").unlink()
    checkout.commit("docs: Delete the token.")
    is_stopped(checkout, "security", "secrets in the history: exit code 42")
    assert "secrets in the tree: exit code 42" not in checkout.rows()["security"].figures


def test_an_unreadable_history_is_an_error(checkout: Checkout) -> None:
    refs = checkout.folder / ".git" / "refs" / "heads" / "lost"
    refs.write_text("1" * 40 + "\n")
    try:
        has_error(checkout, "security", "secrets in the history: exit code 0 (error)")
    finally:
        refs.unlink()


def test_a_lint_error_and_duplicated_code_stop_at_quality(checkout: Checkout) -> None:
    modules = (checkout.folder / "src/tocsin/kernel").glob("*.py")
    for path in sorted(modules, key=lambda path: path.stat().st_size)[-3:]:
        for copy in range(8):
            checkout.write(f"src/tocsin/kernel/{path.stem}_{copy}.py", path.read_text())
    checkout.write("src/tocsin/alerts/unused.py", '"""Nothing."""\n\nimport os\n')
    checkout.commit("alerts: Duplicate modules.")
    done = is_stopped(checkout, "quality", "ruff: exit code 1", "duplication: exit code 1")
    assert "unused.py" in done.text
    assert "tests" not in [check.name for check in checkout.rows()["quality"].checks]


def test_a_failing_test_stops_at_quality(checkout: Checkout) -> None:
    checkout.delete_most_tests()
    checkout.write("tests/kernel/test_that_fails.py", FAILING)
    checkout.commit("tests: Fail.")
    done = is_stopped(checkout, "quality", "tests: exit code 1")
    assert "test_that_fails" in done.text


def test_a_drop_of_the_coverage_stops_at_quality(checkout: Checkout) -> None:
    checkout.delete_most_tests()
    checkout.commit("tests: Save time.")
    is_stopped(checkout, "quality", "coverage: exit code 2")


def test_a_package_with_a_known_vulnerability_stops_at_scan(checkout: Checkout) -> None:
    uv = str(checkout.keep / ".uv" / "bin" / "uv")
    locked = checkout.run(uv, "lock", "--upgrade-package", "jinja2==3.1.5")
    assert locked.code == 0, locked.text
    checkout.commit("project: Go back to an older Jinja.")
    built = checkout.stage("build")
    assert built.code == 0, built.text
    done = is_stopped(checkout, "scan", "trivy: exit code 42")
    assert "CVE-2025-27516" in done.text


def test_scanning_images_that_were_not_built_is_an_error(checkout: Checkout) -> None:
    checkout.run("git", "commit", "--allow-empty", "--no-verify", "--message=project: Change nothing.")
    has_error(checkout, "scan", "were not built here")


def test_a_tree_with_changes_is_not_built(checkout: Checkout) -> None:
    checkout.write("src/tocsin/kernel/ids.py", '"""Half done."""\n')
    has_error(checkout, "build", "the tree differs from the commit (src/tocsin/kernel/ids.py)")


def test_a_migration_that_drops_what_the_previous_release_uses_stops_at_quality(checkout: Checkout) -> None:
    last = max(int(path.name[:4]) for path in (checkout.folder / "sql").glob("*.sql"))
    checkout.write(
        f"sql/{last + 1:04}_alerts_drop_message.sql",
        "SET lock_timeout = '2s';\nSET statement_timeout = '60s';\n\nALTER TABLE alerts.alert DROP COLUMN message;\n",
    )
    checkout.commit("alerts: Drop the message.")
    is_stopped(checkout, "quality", "migrations: exit code 1")
