"""A real process: it starts or reports in one line why not, and stops gracefully."""

import signal
import socket

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector

from tests.support.kernel.running_server import Launch, listening
from tests.support.waiting import eventually
from tocsin.kernel import server
from tocsin.kernel.tasks import create_task

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_stops_on_a_signal_and_then_refuses_connections(launch: Launch, number: signal.Signals) -> None:
    running = await listening(await launch())
    url = running.url
    async with ClientSession() as session, session.get(f"{url}/health") as response:
        assert response.status == 200
    running.process.send_signal(number)
    assert await running.end() == (0, "")
    assert running.events()[-2:] == ["stopping", "stopped"]
    async with ClientSession() as session:
        with pytest.raises(ClientError):
            await session.get(f"{url}/health")


def test_the_time_limits_of_a_stop_are_nested_within_five_seconds() -> None:
    assert server.FINISH_SECONDS < server.CLEANUP_SECONDS < server.SHUTDOWN_SECONDS < 5


async def test_a_request_in_flight_is_finished(launch: Launch) -> None:
    running = await listening(await launch())
    async with ClientSession() as session:

        async def ask() -> str:
            async with session.get(f"{running.url}/after-stop/1") as response:
                return await response.text()

        asking = create_task(ask(), name="asking")
        await eventually(lambda: "in flight" in running.events())
        running.process.terminate()
        assert await asking == "finished"
    code, _ = await running.end()
    assert code == 0


async def test_a_draining_process_is_not_ready_and_still_serves(launch: Launch) -> None:
    running = await listening(await launch(DRAIN_SECONDS="1.5"))
    async with ClientSession() as session:

        async def status(path: str) -> int:
            async with session.get(running.url + path) as response:
                return response.status

        assert await status("/health/ready") == 200
        running.process.terminate()

        async def is_draining() -> bool:
            return await status("/health/ready") == 503

        await eventually(is_draining)
        assert await status("/health") == 200
        assert await status("/health") == 200
    code, _ = await running.end()
    assert code == 0


@pytest.mark.parametrize("environment", [{"STUCK_SECONDS": "3600"}, {"STUCK_THREAD": "1"}, {}])
async def test_requests_cleanups_and_threads_that_hang_are_abandoned(
    launch: Launch, environment: dict[str, str]
) -> None:
    running = await listening(await launch(**environment))
    async with ClientSession() as session:
        asking = create_task(session.get(f"{running.url}/after-stop/3600").__aenter__(), name="asking")
        await eventually(lambda: "in flight" in running.events())
        running.process.terminate()
        code, _ = await running.end()
        assert code == 0
        with pytest.raises(ClientError):
            await asking
    assert ("stopped before all work was finished" in " ".join(running.events())) == ("STUCK_SECONDS" in environment)


async def test_a_taken_port_is_reported_in_one_line(launch: Launch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, errors = await (await launch(PORT=str(port))).end()
    assert code == 1
    (line,) = errors.splitlines()
    assert line.startswith(f"edge cannot listen on 127.0.0.1:{port} (Address already in use). Stop what uses the port")


@pytest.mark.parametrize("address", ["192.0.2.1", "name.invalid"])
async def test_an_address_of_another_host_is_reported_in_one_line(launch: Launch, address: str) -> None:
    code, errors = await (await launch(BIND_ADDRESS=address, ALLOW_OPEN_NETWORK="yes")).end()
    assert code == 1
    (line,) = errors.splitlines()
    assert line.startswith(f"edge cannot listen on {address}:0 (")


async def test_an_invalid_setting_is_reported_in_one_line(launch: Launch) -> None:
    code, errors = await (await launch(PORT="http")).end()
    assert code == 78
    (line,) = errors.splitlines()
    assert line.startswith("PORT is 'http', which is not allowed: ")


async def test_encoded_bodies_do_not_end_the_connection_and_every_log_line_is_json_and_names_the_process(
    launch: Launch,
) -> None:
    running = await listening(await launch(INSTANCE="edge-7", LOG_LEVEL="DEBUG"))
    request_ids: list[str] = []
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        for encoding in ("gzip", "deflate", "br", "nonsense") * 3:
            async with session.post(
                f"{running.url}/size", data=b"\x1f\x8b\x08", headers={"Content-Encoding": encoding}
            ) as response:
                assert response.status == 415
                request_ids.append(response.headers["X-Request-ID"])
            async with session.post(f"{running.url}/size", data=b"whole") as response:
                assert (response.status, await response.text()) == (200, "5")
                request_ids.append(response.headers["X-Request-ID"])
    running.process.terminate()
    await running.end()
    assert {(line["service"], line["instance"]) for line in running.lines} == {("edge", "edge-7")}
    requests = [line for line in running.lines if line["event"] == "request"]
    assert [line["request_id"] for line in requests] == request_ids
    assert {line["event"] for line in running.lines} == {"listening", "request", "stopping", "stopped"}
