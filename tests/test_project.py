"""What holds for the tree as a whole."""

import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import tocsin
from tests.support import channels_page, settings_page
from tests.support.repository import ROOT, tracked
from tocsin.kernel.errors import DomainError
from tocsin.kernel.problems import STATUS_OF

LINES = 300
# Places of one machine, and notes of unfinished work.
FORBIDDEN = re.compile(
    r"/(?:work|root|home)/|(?<!\w)/tmp/|\b(?:TO DO|TODO|FIXME|HACK|XXX)\b|\bissues? #?\d|mark\.skip|pytest\.skip"
)


def subclasses(error: type[DomainError]) -> Iterator[type[DomainError]]:
    for child in error.__subclasses__():
        yield child
        yield from subclasses(child)


def test_every_domain_error_has_a_status_and_a_code_of_its_own() -> None:
    for module in pkgutil.walk_packages(tocsin.__path__, "tocsin."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    errors = {error for error in subclasses(DomainError) if error.__module__.startswith("tocsin.")}
    assert set(STATUS_OF) <= errors
    assert not [error for error in errors if not any(kind in STATUS_OF for kind in error.__mro__)]
    codes = [error.code for error in errors if "code" in vars(error)]
    assert len(set(codes)) == len(codes)


def test_the_locked_aiohttp_is_not_one_that_a_hostile_receiver_can_crash() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    (version,) = (package["version"] for package in packages if package["name"] == "aiohttp")
    assert tuple(map(int, version.split("."))) >= (3, 14, 3)


def test_the_readme_is_short_and_starts_with_what_to_type() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= 600
    first_command = next(
        number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("make run")
    )
    assert first_command < 25
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / target).exists(), f"{target} is linked and does not exist"


def test_the_page_of_settings_is_generated_from_the_classes_and_explains_each() -> None:
    assert settings_page.PAGE.read_text() == settings_page.render(), "run `make docs`"
    assert [line for line in settings_page.render().splitlines() if line.endswith("|  |")] == []


def test_the_page_of_channels_is_that_of_the_registry() -> None:
    assert channels_page.PAGE.read_text() == channels_page.render(), "run `make docs`"


def test_no_file_contains_a_path_of_one_machine_or_unfinished_work() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked()
        if path != Path(__file__) and b"\0" not in path.read_bytes()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


def test_no_source_file_is_longer_than_300_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {name: length for name, length in lengths.items() if length > LINES} == {}


def test_the_migrations_are_one_sequence_and_none_waits_for_ever() -> None:
    paths = sorted((ROOT / "sql").glob("*.sql"))
    names = [
        re.fullmatch(
            r"(\d{4})_(tocsin|alerts|incidents|oncall|notifications|access|all)_([a-z]+)_([a-z_]+)\.sql", path.name
        )
        for path in paths
    ]
    assert [name and int(name[1]) for name in names] == list(range(1, len(paths) + 1))
    for path in paths:
        statements = path.read_text()
        assert re.search(r"^SET lock_timeout = '\d+s';\nSET statement_timeout = '\d+s';$", statements, re.MULTILINE), (
            path.name
        )


def test_each_record_of_a_decision_is_a_page_with_the_same_sections() -> None:
    paths = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in paths] == list(range(1, len(paths) + 1))
    for path in paths:
        lines = path.read_text().splitlines()
        assert len(lines) < 45, path.name
        assert [line for line in lines if line.startswith("## ")] == [
            "## Context",
            "## Decision",
            "## Cost",
            "## When to reverse it",
        ]


def test_services_reach_tasks_threads_and_time_through_the_kernel() -> None:
    """Also where ruff forbids nothing, because tests may. The CLI is not simulated."""
    past_the_kernel = re.compile(
        r"\basyncio\.(?:gather|shield|as_completed|ensure_future|to_thread)\b|\brun_in_executor\b|\bdatetime\.now\b"
        r"|\bloop(?:\(\))?\.(?:call_\w+|create_task|time)\("
    )
    source = ROOT / "src" / "tocsin"
    found = [
        (str(path.relative_to(source)), used)
        for path in tracked("src/*.py")
        if not path.is_relative_to(source / "cli") and path.name not in {"clock.py", "tasks.py"}
        for used in past_the_kernel.findall(path.read_text())
    ]
    assert found == [
        ("alerts/service/parsing.py", "run_in_executor"),  # computes only
        ("channels/transports/http.py", "run_in_executor"),  # the network, which a simulation replaces
        ("kernel/server.py", "asyncio.to_thread"),  # the end of the process
        ("web/access/service/passwords.py", "run_in_executor"),  # computes only
    ]


def test_statements_and_defaults_use_tocsin_now_only() -> None:
    other_clock = re.compile(
        r"(?<!tocsin\.)(?<!clock\.)(?<!def )\bnow\(\)|\b(?:clock|statement)_timestamp\(|\bCURRENT_TIMESTAMP\b",
        re.IGNORECASE,
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked("src/*.py", "sql/*.sql")
        # process_metrics.py compares the server's own clock with the monotonic one.
        if path.name not in {"0001_tocsin_create_clock.sql", "migrate.py", "process_metrics.py"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if other_clock.search(line) and not line.lstrip().startswith(("--", "#"))
    ]
    assert found == []
