"""A clock that a test controls: nothing waits in real time."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest


class FakeClock:
    """Stands in for `tocsin.kernel.clock` in a module: a sleep passes at once and is recorded."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.slept.append(seconds)
        self.seconds += seconds

    def install(self, monkeypatch: pytest.MonkeyPatch, names: Sequence[str]) -> None:
        """Use this clock under each of *names*, such as `tocsin.kernel.http_client.clock`."""
        for name in names:
            monkeypatch.setattr(name, SimpleNamespace(monotonic=self.monotonic, sleep=self.sleep))
