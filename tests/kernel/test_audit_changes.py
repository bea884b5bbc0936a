"""What the audit keeps of a change: the fields that differ, and no secret."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kernel.audit_changes import MAX_FIELDS, MAX_VALUE, changed_fields, masked
from tocsin.kernel.audit_entry import Subject, what, who
from tocsin.kernel.audit_queue import BATCH
from tocsin.kernel.principal import Principal, PrincipalKind
from tocsin.kernel.requests import INTERNAL_BODY_LIMIT

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FIELDS = st.dictionaries(st.sampled_from(["name", "email", "members", "url"]), JSON, max_size=4)


def test_only_the_fields_that_differ_are_kept_by_their_path() -> None:
    before = {"team": "A", "services": ["a"], "members": [{"name": "Ada", "role": "primary"}, {"name": "Bob"}]}
    after = {"team": "A", "services": ["a", "b"], "members": [{"name": "Ada", "role": "secondary"}]}
    assert changed_fields(before, after) == (
        {"services": "a", "members[0].role": "primary", "members[1].name": "Bob"},
        {"services": "a, b", "members[0].role": "secondary"},
    )


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:pass@hooks.example.com/secret?token=x#y", "https://hooks.example.com/…"),
        ("ada@example.org", "a…@example.org"),
        ("+49 170 1234567", "…"),
        ("http://[broken", "…"),
        ("", "…"),
    ],
)
def test_an_address_is_masked(address: str, shown: str) -> None:
    assert masked(address) == shown


def test_another_address_that_looks_the_same_is_still_a_change() -> None:
    before, after = changed_fields({"email": "ada@example.org"}, {"email": "anna@example.org"})
    assert before != after


def test_a_large_change_is_cut() -> None:
    many = {f"field{number}": "x" * 1_000 for number in range(80)}
    _, after = changed_fields({}, many)
    assert len(after) == MAX_FIELDS + 1
    assert after["…"] == "30 more fields have changed"
    assert {len(value) for name, value in after.items() if name != "…"} == {MAX_VALUE}


def test_the_largest_entries_of_a_batch_fit_into_a_request() -> None:
    wide = "\N{GRINNING FACE}" * 1_000
    before, after = changed_fields(
        {f"members[0].field{number}": wide for number in range(80)},
        {f"members[0].field{number}": f"{wide[:-1]}!{number}" for number in range(80)},
    )
    after = {**after, **dict.fromkeys(before, wide[:MAX_VALUE] + " (another one)")}
    entry = {"before": before, "after": after, **who(Principal(PrincipalKind.PERSON, wide, frozenset()), wide)}
    entry |= {"object": what(Subject("k" * 32, wide, wide)), "request_id": "r" * 128, "action": "a" * 64}
    assert BATCH * len(json.dumps(entry, ensure_ascii=False).encode()) < INTERNAL_BODY_LIMIT


@given(FIELDS)
def test_equal_fields_are_no_change(fields: dict[str, Any]) -> None:
    assert changed_fields(fields, fields) == ({}, {})


@given(FIELDS, FIELDS)
def test_values_are_plain_and_bounded_and_can_be_stored(before: dict[str, Any], after: dict[str, Any]) -> None:
    for kept in changed_fields(before, after):
        for value in kept.values():
            assert isinstance(value, str | int | bool)
            text = str(value)
            assert "\0" not in text
            assert len(text) <= MAX_VALUE + len(" (another one)")
            text.encode()
