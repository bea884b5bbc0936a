"""Streams have no end: their number is bounded, so that they leave connections to everybody else."""

from tests.incidents.conftest import StartReplica
from tests.support.incidents.sse import PATH, follow
from tests.support.waiting import eventually


async def test_a_stream_beyond_the_bound_is_refused_and_people_s_changes_are_not(start_replica: StartReplica) -> None:
    api = await start_replica(max_streams=2)
    incident = await api.open()
    async with follow(api) as (leaving, _), follow(api):
        async with api.client.get(PATH) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert "MAX_STREAMS" in (await refused.json())["detail"]
        await api.change(incident.id, status="acknowledged")
        leaving.response.close()

        async def is_admitted() -> bool:
            async with api.client.get(PATH) as response:
                return response.status == 200

        await eventually(is_admitted)
