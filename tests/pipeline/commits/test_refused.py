"""Runs that are refused: each prints the reason and changes nothing."""

import signal
from pathlib import Path

import pytest

from tests.support.pipeline.checkout import Checkout
from tests.support.waiting import eventually

pytestmark = [pytest.mark.pipeline, pytest.mark.sample("refused runs", 2)]


def is_refused(checkout: Checkout, reason: str, **environment: str) -> None:
    done = checkout.pipeline(**environment)
    assert done.code != 0
    assert f"refused: {reason}" in done.text
    assert "Nothing was changed." in done.text
    assert checkout.rows() == {}
    assert checkout.deployed() == []


def program(folder: Path, name: str, text: str) -> str:
    """Create a program and return a PATH on which it comes first."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_a_tree_with_changes_is_refused_and_the_changes_are_named(checkout: Checkout) -> None:
    checkout.write("new.txt", "not in the commit\n")
    checkout.change("README.md", "# Tocsin", "# Tocsin!")
    is_refused(checkout, "the tree differs from the commit (README.md, new.txt)")


def test_without_docker_it_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    is_refused(checkout, "Docker is not available", DOCKER_HOST=f"unix://{tmp_path}/missing.sock")


def test_an_act_that_is_too_old_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    path = program(tmp_path, "act", "echo act version 0.2.85")
    is_refused(checkout, "act 0.2.85 is too old, 0.2.86 or newer is required", PATH=path)


def test_without_act_it_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    path = program(tmp_path, "act", "exit 127")
    is_refused(checkout, "act is not installed", PATH=path)


def test_a_linked_worktree_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    made = checkout.run("git", "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    assert made.code == 0, made.text
    done = checkout.run("make", "--directory", str(tmp_path / "linked"), "pipeline")
    assert "use a clone instead" in done.text
    checkout.run("git", "worktree", "remove", "--force", str(tmp_path / "linked"))


async def test_a_concurrent_run_is_refused_and_a_signal_ends_the_first(checkout: Checkout) -> None:
    first = checkout.begin_pipeline()
    try:
        log = checkout.state / "runs" / checkout.head() / "act.log"
        await eventually(lambda: log.exists() and "Run Main" in log.read_text(), timeout=120)
        second = checkout.pipeline()
    finally:
        first.send_signal(signal.SIGINT)
        output, _ = first.communicate(timeout=120)
    assert second.code != 0
    assert (
        f"refused: another run is in progress: make pipeline in {checkout.folder}, process {first.pid} " in second.text
    )
    assert first.returncode == 1
    assert "not passed: quality, security" in output
    assert checkout.deployed() == []
