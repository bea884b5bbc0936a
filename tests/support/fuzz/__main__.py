"""Send hostile requests to every route of the five services: `python -m tests.support.fuzz --seed 1 --cases 20000`.

Exits with 1 and the requests, if a response is a 500, a service logs an error, memory grows or the event loop lags.
"""

import argparse
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
from tests.support.postgres import any_server
from tocsin.kernel import clock, tasks
from tocsin.kernel.server import GC_THRESHOLDS
from tocsin.migrate import migrate

CONCURRENT: Final = 2
"""All five services and their clients share one event loop: with more, they would wait for each other."""
PAGE_WEIGHT: Final = 1
API_WEIGHT: Final = 3
"""A page takes many times as long as a response of the API."""
MAX_GROWTH: Final = 1.5
"""Of the memory, from a third of the way to the end. Large bodies fragment the heap, by a quarter in 200,000 cases."""
MAX_LAG_SECONDS: Final = 0.1
MAX_UNAVAILABLE: Final = 0.01
"""The share of responses that may be a 503."""
VALID_ROUNDS: Final = 6
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
        async with tasks.task_group() as group:
            for _ in range(CONCURRENT):
                group.create_task(self._client(numbers, requests, weighted))

    async def _client(self, numbers: Iterator[int], requests: Requests, operations: list[Operation]) -> None:
        for number in numbers:
            if number == self.cases // 3:
                self.rss_of_third = rss()
            if len(self.faults) >= MAX_FAULTS:
                return
            rng = Random(f"{self.seed} {number}")  # noqa: S311 - repeatable
            operation = rng.choice(operations)
            await self._send(str(number), operation, requests.mutated(operation, rng), ())

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
        growth, lag = rss() / max(1, self.rss_of_third), self.services.lag_p99()
        measured = f"memory x {growth:.3f} to {rss() >> 20} MiB, 99th percentile of the lag at most {lag} s"
        sys.stdout.write(f"statuses {dict(sorted(self.statuses.items()))}, {measured}\n")
        if unavailable > MAX_UNAVAILABLE:
            wrong.append(f"{unavailable:.1%} of the responses are 503")
        if growth > MAX_GROWTH:
            wrong.append(f"the memory grew to {growth:.2f} times what it was after a third")
        if lag > MAX_LAG_SECONDS:
            wrong.append(f"the 99th percentile of the lag is {lag} s")
        return wrong


def rss() -> int:
    """Return the bytes of memory of this process."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def _weight(operation: Operation) -> int:
    return PAGE_WEIGHT if operation.service == "web" else API_WEIGHT


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
