"""Send hostile requests to every route of the five services: `python -m tests.support.fuzz --seed 1 --cases 20000`.

Exits with 1 and the requests, if a response is a 500, a service logs an error, memory grows or a request blocks the
event loop. What blocks it is measured in CPU time of its thread: other processes of a busy machine do not count.
"""

import argparse
import ctypes
import gc
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random  # noqa: TID251 - a seed of its own makes a case repeatable
from typing import Final

import psutil
import uvloop

from tests.support.fuzz.examples import Examples, Known
from tests.support.fuzz.exchange import Request
from tests.support.fuzz.operations import Operation, Requests, operations_of, read_page
from tests.support.fuzz.system import ErrorLog, Services, running_services
from tests.support.loop_cpu import LoopCpu, loop_cpu, parse_seconds
from tests.support.postgres import any_server
from tocsin.integrations.integration import DEFAULT_MAX_VALUES
from tocsin.kernel import clock, tasks
from tocsin.kernel.server import GC_THRESHOLDS
from tocsin.migrate import migrate

CONCURRENT: Final = 2
"""All five services and their clients share one event loop: with more, they would wait for each other."""
RARE: Final = 1
OFTEN: Final = 10
"""How often a route of the API with parameters or a body is drawn: a page takes many times as long, and a route without
parameters has little to mutate."""
MAX_GROWTH: Final = 1.3
"""Of the memory, from a third of the way to the end."""
MAX_BLOCKED_SECONDS: Final = 0.1
"""Of CPU time, by one request. A hardware thread that shares its core may need more once: it is sent again."""
MAX_BLOCKED_PARSES: Final = 3
"""On a slow machine, one request may take as long as parsing the largest legal body so many times."""
ATTEMPTS: Final = 3
MAX_SUSPECTS: Final = 20
MAX_UNAVAILABLE: Final = 0.01
"""The share of responses that may be a 503."""
VALID_ROUNDS: Final = 4
"""Of valid requests to every route: each round knows the ids, the forms and the links of the one before."""
MAX_FAULTS: Final = 10
MAX_SHOWN: Final = 2_000
UNAVAILABLE: Final = 503


@dataclass(slots=True)
class Run:
    """One run."""

    services: Services
    log: ErrorLog
    seed: str
    cases: int
    known: Known = field(default_factory=Known)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[tuple[str, str, int], str] = field(default_factory=dict)
    """The first by operation and status."""
    rss_of_third: int = 0
    cpu: LoopCpu = field(default_factory=LoopCpu)
    """While the mutated requests are sent: the valid ones compile each template and schema."""
    longest: float = 0.0
    sent: dict[str, Request] = field(default_factory=dict)
    """The requests that have no response yet."""
    suspects: dict[str, Request] = field(default_factory=dict)
    """Those that were being served when the event loop was blocked for too long."""

    async def run(self) -> None:
        """Send valid requests first, then the mutated ones."""
        operations = operations_of(self.services.apps)
        requests = Requests(Examples(self.known))
        rng = Random(self.seed)  # noqa: S311 - repeatable
        for _ in range(VALID_ROUNDS):
            for operation in operations:
                if operation.method != "*":
                    await self._send("valid", operation, requests.valid(operation, rng), operations)
        weighted = [operation for operation in operations for _ in range(_weight(operation))]
        numbers = iter(range(self.cases))
        gc.collect()
        gc.freeze()  # as a service does
        async with loop_cpu() as self.cpu, tasks.task_group() as group:
            for _ in range(CONCURRENT):
                group.create_task(self._client(numbers, requests, weighted))
        allowed = max(MAX_BLOCKED_SECONDS, MAX_BLOCKED_PARSES * parse_seconds(DEFAULT_MAX_VALUES))
        for case, request in self.suspects.items():
            seconds = min([await self._block(request) for _ in range(ATTEMPTS)])
            if seconds > allowed:
                shown = f"{case} of seed {self.seed} blocks the event loop for {seconds:.3f} s"
                self.faults["blocked", case, 0] = f"{shown}\n{request.raw()[:MAX_SHOWN]!r}"

    async def _block(self, request: Request) -> float:
        """Return for how long *request* blocks the event loop."""
        async with loop_cpu() as cpu:
            await self.services.send(request)
        return cpu.longest

    async def _client(self, numbers: Iterator[int], requests: Requests, operations: list[Operation]) -> None:
        for number in numbers:
            if len(self.faults) >= MAX_FAULTS:
                return
            with self.cpu.excluded():
                if number == self.cases // 3:
                    self.rss_of_third = rss()
                rng = Random(f"{self.seed} {number}")  # noqa: S311 - repeatable
                operation = rng.choice(operations)
                request = requests.mutated(operation, rng)
            case = f"case-{number}, {operation.name}"
            self.sent[case] = request
            await self._send(str(number), operation, request, ())
            self.cpu.mark()
            if self.cpu.longest > MAX_BLOCKED_SECONDS and len(self.suspects) < MAX_SUSPECTS:
                self.suspects |= self.sent
            self.longest, self.cpu.longest = max(self.longest, self.cpu.longest), 0.0
            del self.sent[case]

    async def _send(
        self, case: str, operation: Operation, request: Request, learners: list[Operation] | tuple[()]
    ) -> None:
        request_id = f"case-{case}"
        self.log.remember(request_id, request.raw()[:MAX_SHOWN])
        response = await self.services.send(
            replace(request, headers=(*request.headers, ("X-Request-ID", request_id.encode())))
        )
        self.statuses[response.status] += 1
        if response.status not in range(200, 500) and response.status != UNAVAILABLE:
            self.faults.setdefault(
                (operation.method, operation.path, response.status),
                f"{request_id} of seed {self.seed}, {operation.name}: {response.status}\n"
                f"{request.raw()[:MAX_SHOWN]!r}\n{response.body[:500]!r}",
            )
        if learners:
            if b"json" in response.head and response.status < 300:
                self.known.learn(json.loads(response.body or b"null"), operation.noun)
            elif b"text/html" in response.head and request.method == "GET":
                read_page(response.body.decode(), learners)

    def verdict(self) -> list[str]:
        """Return what is wrong."""
        wrong = list(self.faults.values()) + [f"logged: {error}" for error in self.log.errors]
        wrong += [
            f"{key}: {count}"
            for key, count in self.services.statuses().items()
            if key[-1] >= 500 and key[-1] != UNAVAILABLE
        ]
        unavailable = self.statuses[UNAVAILABLE] / max(1, self.statuses.total())
        growth = rss() / max(1, self.rss_of_third)
        blocked = f"the event loop was blocked for at most {1_000 * self.longest:.0f} ms of CPU time"
        measured = f"memory x {growth:.3f} to {rss() >> 20} MiB, {blocked}"
        sys.stdout.write(f"statuses {dict(sorted(self.statuses.items()))}, {measured}\n")
        if unavailable > MAX_UNAVAILABLE:
            wrong.append(f"{unavailable:.1%} of the responses are 503")
        if growth > MAX_GROWTH:
            wrong.append(f"the memory grew to {growth:.2f} times what it was after a third")
        return wrong


def rss() -> int:
    """Return the bytes of memory that this process uses, without those that only its allocator keeps."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def _weight(operation: Operation) -> int:
    has_input = "{" in operation.path or operation.body is not None or operation.query is not None
    return OFTEN if has_input and operation.service != "web" else RARE


async def fuzz(dsn: str, seed: str, cases: int) -> list[str]:
    """Run *cases* mutations on the database *dsn*; return what is wrong."""
    log = ErrorLog()
    log.install()
    gc.set_threshold(*GC_THRESHOLDS)
    async with running_services(dsn) as services:
        run = Run(services, log, seed, cases)
        began = clock.monotonic()
        await run.run()
        sys.stdout.write(f"{cases} cases of seed {seed} in {clock.monotonic() - began:.1f} s\n")
        return run.verdict()


def main() -> int:
    """Run the command; without a database, on one of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--dsn", help="a migrated database, which the run fills")
    given = parser.parse_args()
    if given.dsn:
        wrong = uvloop.run(fuzz(given.dsn, given.seed, given.cases))
    else:
        with any_server() as server:
            name = server.create()
            migrate(server.dsn(name))
            wrong = uvloop.run(fuzz(server.dsn(name), given.seed, given.cases))
            server.drop(name)
    sys.stdout.write("\n\n".join(wrong) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
