"""Keyset pages: every row once, in order, at any size of page."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tocsin.kernel.pagination import MAX_LIMIT, Keyset, ListQuery, page_of

instants = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))
keysets = st.builds(Keyset, created_at=instants, id=st.uuids())


@given(keysets)
def test_a_cursor_encodes_the_end_of_its_page(keyset: Keyset) -> None:
    assert Keyset.decode(keyset.encode()) == keyset


@given(keysets)
def test_a_cursor_needs_no_escaping_in_a_query(keyset: Keyset) -> None:
    assert all(character.isalnum() or character in "-_" for character in keyset.encode())


@given(st.text(max_size=200))
def test_an_invalid_cursor_is_refused_and_never_an_unhandled_error(text: str) -> None:
    try:
        keyset = Keyset.decode(text)
    except ValueError as exc:
        assert "next_cursor" in str(exc)  # noqa: PT017 - most texts are refused, some are cursors
    else:
        assert isinstance(keyset.id, UUID)


@pytest.mark.parametrize("cursor", ["", "x", "é", "bm90IGEgY3Vyc29y", "\0", "A" * 5_000])
def test_a_query_with_an_invalid_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationError, match="next_cursor"):
        ListQuery.model_validate({"cursor": cursor})


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-02T03:04:05"])
def test_a_cursor_of_an_instant_that_utc_does_not_have_or_without_an_offset_is_refused(at: str) -> None:
    cursor = base64.urlsafe_b64encode(f"{at}|{UUID(int=1)}".encode()).decode().rstrip("=")
    with pytest.raises(ValidationError, match="next_cursor"):
        ListQuery.model_validate({"cursor": cursor})


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, 10**9, "x", "1e3", ""])
def test_a_limit_outside_of_its_range_is_refused(limit: object) -> None:
    with pytest.raises(ValidationError):
        ListQuery.model_validate({"limit": limit})


def test_the_first_page_starts_at_the_beginning() -> None:
    assert ListQuery().after() == {"after_at": None, "after_id": None, "fetch": 51}


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.uuids()), unique=True, max_size=40),
    limit=st.integers(1, 10),
)
def test_successive_pages_have_every_row_once_in_order(rows: list[tuple[int, UUID]], limit: int) -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    table = [{"created_at": start + timedelta(seconds=second), "id": row_id} for second, row_id in rows]
    table.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
    met: list[object] = []
    cursor: str | None = None
    while True:
        after = ListQuery(limit=limit, cursor=cursor).after()
        rest = [
            row
            for row in table
            if after["after_at"] is None or (row["created_at"], row["id"]) < (after["after_at"], after["after_id"])
        ]
        items, cursor = page_of(rest[: after["fetch"]], limit, lambda row: row["id"])
        met += items
        if cursor is None:
            break
        assert len(items) == limit
    assert met == [row["id"] for row in table]
