"""Event streams: few writes for many events, each of a bounded size."""

import asyncio
from typing import Any

from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kernel.event_streams import CHUNK_BYTES, encode_event, send_events

SIZES = st.lists(st.sampled_from([1, 300, 4_000, CHUNK_BYTES, 40_000]), max_size=60)


class Written:
    """What was written to a response, call by call."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self.calls.append(data)


@given(SIZES)
def test_events_are_written_in_order_in_as_few_bounded_writes_as_possible(sizes: list[int]) -> None:
    events = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    response: Any = Written()
    asyncio.run(send_events(make_mocked_request("GET", "/"), response, events, seconds=10))
    assert b"".join(response.calls) == b"".join(events)
    largest = max(sizes, default=0)
    assert all(len(data) < CHUNK_BYTES + largest for data in response.calls)
    assert all(len(data) >= CHUNK_BYTES for data in response.calls[:-1])


def test_an_event_is_encoded_as_server_sent_events_define() -> None:
    encoded = encode_event(event_id="7-1", event="incident", data='{"title":"two\\nlines"}')
    assert encoded == b'id: 7-1\r\nevent: incident\r\ndata: {"title":"two\\nlines"}\r\n\r\n'
