"""The stream is the same for all its readers: no event has a contact address."""

from tests.incidents.conftest import Query
from tests.incidents.test_stream import opened
from tests.support.incidents.api import Api
from tests.support.incidents.sse import follow

INSERT = """
    INSERT INTO incidents.timeline (id, incident_id, event_type, actor, detail, data)
    SELECT gen_random_uuid(), id, 'delivery_failed', 'test', %(detail)s, '{"recipient": "carol@corp.example"}'
    FROM incidents.incident
"""


async def test_no_event_has_an_address_that_a_release_before_wrote_into_a_sentence(api: Api, query: Query) -> None:
    await opened(api)
    async with follow(api) as (stream, _):
        query(INSERT, detail="E-mail to Carol (Carol@corp.example) failed: dan@corp.example is full.")
        [event] = await stream.take(1)
    assert event.data["detail"] == "E-mail to Carol (c…@corp.example) failed: d…@corp.example is full."


async def test_what_a_person_wrote_is_sent_as_it_is(api: Api, query: Query) -> None:
    await opened(api)
    async with follow(api) as (stream, _):
        query(INSERT.replace("carol@corp.example", ""), detail="Ask dan@corp.example.")
        [event] = await stream.take(1)
    assert event.data["detail"] == "Ask dan@corp.example."
