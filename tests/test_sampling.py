from hypothesis import given
from hypothesis import strategies as st

from tests.support.sampling import ALL, drawn

NAMES = [f"test-{number}" for number in range(12)]


@given(st.text(min_size=1).filter(lambda seed: seed != ALL), st.integers(1, 12), st.permutations(NAMES))
def test_a_seed_draws_the_same_tests_whatever_their_order(seed: str, size: int, names: list[str]) -> None:
    assert drawn(names, size, seed) == drawn(NAMES, size, seed)
    assert len(drawn(names, size, seed)) == size


def test_every_test_is_drawn_by_some_seed_and_all_of_them_on_demand() -> None:
    assert set().union(*(drawn(NAMES, 2, str(seed)) for seed in range(100))) == set(NAMES)
    assert drawn(NAMES, 2, ALL) == set(NAMES)
