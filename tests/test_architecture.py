"""The import graph of the product: beside the contracts in pyproject.toml, no circle of any length.

Imports inside functions count: they are how a circle hides.
"""

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("tocsin", cache_dir=None)


def circle(graph: grimp.ImportGraph) -> list[str]:
    """Return the modules of one circle, each imported by the next; none without a circle."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as exc:
        found: list[str] = exc.args[1]
        return found
    return []


def test_no_modules_import_each_other(graph: grimp.ImportGraph) -> None:
    assert circle(graph) == []


def test_no_packages_import_each_other(graph: grimp.ImportGraph) -> None:
    packages = grimp.build_graph("tocsin", cache_dir=None)
    for package in sorted(graph.find_children("tocsin")):
        packages.squash_module(package)
    packages.remove_module("tocsin")
    assert circle(packages) == []


def test_a_circular_import_inside_a_function_is_found(graph: grimp.ImportGraph) -> None:
    graph.add_import(importer="tocsin.kernel.errors", imported="tocsin.kernel.db")
    assert set(circle(graph)) >= {"tocsin.kernel.errors", "tocsin.kernel.db"}
    graph.remove_import(importer="tocsin.kernel.errors", imported="tocsin.kernel.db")
