"""`tocsin up`: a database, the five services, and nothing left behind when it ends."""

import asyncio
import os
import signal
from asyncio import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tocsin.cli import ports, postgres
from tocsin.cli.console import PROGRAM, CommandError, Voice
from tocsin.cli.database import DatabaseSettings
from tocsin.cli.demo import store
from tocsin.cli.demo.seed import seed
from tocsin.cli.demo.world import TEAM_NAMES
from tocsin.cli.services import SERVICES, WEB, Place
from tocsin.cli.supervisor import Child, launched
from tocsin.kernel import clock

DATABASE_POLL_SECONDS: Final = 1.0
DATABASE_BACKOFF_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    place: Place
    data: Path
    demo: bool
    voice: Voice


async def up(options: Options, settings: DatabaseSettings) -> None:
    """Run Tocsin until SIGINT, SIGTERM or SIGHUP. Raise CommandError where it cannot start."""
    ports.refuse_taken(options.place)
    stop = _Stop(options.voice)
    try:
        async with _database(options, settings, stop) as (dsn, server):
            await _migrate(dsn, options.voice)
            stage = await store.look(dsn) if options.demo else None
            # Messages carry a link to their incident.
            public_url = os.environ.get("PUBLIC_URL") or options.place.url(WEB)
            environment = {"DATABASE_URL": dsn, "PUBLIC_URL": public_url, **_default_team(stage)}
            if server is not None and "DISK_PATH" not in os.environ:
                environment["DISK_PATH"] = str(options.data)
            children = [Child(service, options.place, options.voice, environment) for service in SERVICES]
            stop.kills = [child.kill for child in children]
            async with asyncio.TaskGroup() as group:
                if server is not None:
                    group.create_task(_keep_running(server, options.voice))
                for child in children:
                    group.create_task(child.supervise())
                with options.voice.step("Waiting until all services are ready"):
                    await asyncio.gather(*(child.wait_ready() for child in children))
                if stage is not None and stage.is_free:
                    with options.voice.step("Seeding the demo world"):
                        await seed(options.place.url(WEB), dsn)
                _announce(options, stage, embedded=server is not None)
    except asyncio.CancelledError:
        if not stop.signals:
            raise
    except BaseExceptionGroup as errors:
        expected = errors.subgroup(CommandError)
        if expected is None:
            raise
        raise _first(expected) from None
    options.voice.say("Stopped.")


class _Stop:
    """The first signal ends this task, which ends everything in order; the next one kills."""

    def __init__(self, voice: Voice) -> None:
        self.signals = 0
        self.kills: list[Callable[[], None]] = []
        self._voice = voice
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        self.signals += 1
        if self.signals == 1 and self._task is not None:
            self._task.cancel()
            self._voice.say("Stopping … (once more kills)")
        else:
            for kill in self.kills:
                kill()


@asynccontextmanager
async def _database(
    options: Options, settings: DatabaseSettings, stop: _Stop
) -> AsyncIterator[tuple[str, postgres.Embedded | None]]:
    """Yield the address of the database, and the server where it is the embedded one, which ends with the block."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value(), None
        return
    with ExitStack() as stack:
        stack.enter_context(postgres.exclusive(options.data))
        server = postgres.Embedded(options.data)
        try:
            with options.voice.step("Starting PostgreSQL"):
                started = await server.start()
            if not started:
                options.voice.say("PostgreSQL was still running and is taken over.")
            yield server.dsn, server
        finally:
            if not await server.stop(at_once=stop.signals > 1):
                options.voice.say("PostgreSQL is still writing and ends by itself.")


async def _migrate(dsn: str, voice: Voice) -> None:
    """Migrate in a process of its own: one that waits for another migrator's lock can be ended."""
    process = await asyncio.create_subprocess_exec(
        *launched("tocsin.migrate"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "DATABASE_URL": dsn},
    )
    try:
        with voice.step("Migrating the database"):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise CommandError(output.decode(errors="replace").strip())


async def _keep_running(server: postgres.Embedded, voice: Voice) -> None:
    while True:
        await clock.sleep(DATABASE_POLL_SECONDS)
        if server.pid() is None:
            voice.alarm("PostgreSQL died; it starts again")
            try:
                await server.start()
            except CommandError as exc:
                voice.alarm(f"{exc}; the next try is in {DATABASE_BACKOFF_SECONDS:g} s")
                await clock.sleep(DATABASE_BACKOFF_SECONDS)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of *errors*, however deep: the others follow from it."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _default_team(stage: store.Stage | None) -> Mapping[str, str]:
    """Let a newcomer's alerts of any service page somebody of the demo world, while there is no team but its own."""
    if stage is None or not stage.is_free or stage.own_teams or "DEFAULT_TEAM" in os.environ:
        return {}
    return {"DEFAULT_TEAM": TEAM_NAMES[0]}


def _announce(options: Options, stage: store.Stage | None, *, embedded: bool) -> None:
    place = options.place
    gateway = place.url(WEB)
    where = f"embedded PostgreSQL, data in {options.data.resolve()}" if embedded else "the one of DATABASE_URL"
    lines = ["", f"Tocsin is up: {gateway}", ""]
    # The gateway forwards what the others describe.
    lines += [f"  {service.name:<14} {place.url(service)}/docs" for service in SERVICES if service is not WEB]
    lines += [f"  {'database':<14} {where}", "", "Send the first alert:", ""]
    lines += [
        f"  curl {gateway}/api/v1/alerts -H 'Content-Type: application/json' \\",
        """    -d '{"service": "checkout", "severity": "critical", "message": "p95 latency above 2 s"}'""",
        "",
    ]
    if stage is not None and not stage.is_free:
        lines += ["There is data already: no demo world was added.", ""]
    elif stage is not None:
        lines += [f"What is called Demo is made up, and goes away with: {PROGRAM} demo remove", ""]
    lines += ["Ctrl-C stops everything.", ""]
    options.voice.say("\n".join(lines))
