"""Slow tests begin the part of each worker, and every test stays in the list once."""

from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tests.support.long_first import arranged


@dataclass(frozen=True)
class Item:
    """What the order depends on."""

    number: int
    path: Path
    slow: bool

    def get_closest_marker(self, name: str) -> Any:
        return (self.slow and name == "slow") or None


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), st.integers(2, 5))
def test_each_part_begins_with_its_slow_tests_those_of_a_file_together(
    drawn: list[tuple[int, bool]], workers: int
) -> None:
    items = [Item(number, Path(str(file)), slow) for number, (file, slow) in enumerate(sorted(drawn))]
    found: list[Any] = [*arranged(cast("list[Any]", items), workers)]
    assert sorted(item.number for item in found) == list(range(len(items)))
    files = [path for path, _ in groupby(item.path for item in found if item.slow)]
    assert len(files) == len(set(files))
    assert sum(after.slow > item.slow for item, after in pairwise(found)) < workers
