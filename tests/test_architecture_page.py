"""docs/architecture.md names files and folders; each of them is there."""

import re

from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SERVICES = ("alerts", "incidents", "oncall", "notifications")


def test_every_path_on_the_page_exists() -> None:
    tree, prose = PAGE.split("```")[1], "".join(PAGE.split("```")[::2])
    named = set(re.findall(r"`([a-z_.]+(?:/[a-z_.]+)+/?)`", prose))
    inside = {f"src/tocsin/{name}" for name in re.findall(r"^[├└]── ([a-z]+(?:/|\.py))", tree, re.MULTILINE)}
    beside = set(re.findall(r"^([a-z.]+(?:/[a-z]+)*/)(?= )", tree, re.MULTILINE))
    assert len(named) > 20
    assert inside >= {"src/tocsin/kernel/", "src/tocsin/migrate.py"}
    assert beside >= {"sql/", "tests/"}
    missing = [name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "src" / "tocsin"))]
    assert missing == []
    assert [name for name in inside | beside if not (ROOT / name).exists()] == []


def test_the_four_services_have_exactly_the_modules_of_the_page() -> None:
    shape = PAGE.split("## A service")[1].split("web-ui has")[0]
    rooms = {
        name.removesuffix("/")
        for row in re.findall(r"^\| (`.*?) \|", shape, re.MULTILINE)
        for name in re.findall("`([^`]+)`", row)
    }
    rooms |= {room.removesuffix(".py") + end for room in ("handlers.py", "domain.py") for end in ("", ".py")}
    for service in SERVICES:
        found = {path.name for path in (ROOT / "src" / "tocsin" / service).iterdir()}
        assert found - rooms - {"__init__.py", "__pycache__"} == set(), service


def test_every_package_of_the_product_is_in_the_tree() -> None:
    packages = {path.parent.name for path in (ROOT / "src" / "tocsin").glob("*/__init__.py")}
    assert [name for name in sorted(packages) if f"── {name}/" not in PAGE] == []
