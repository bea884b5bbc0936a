"""Ports that nothing else takes between their choice and their use, or while their server is stopped."""

import os
import socket
from itertools import cycle
from typing import Final

_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_PORTS: Final = cycle(range(30_100 + _WORKER * 325, 30_100 + (_WORKER + 1) * 325))
"""Above those that tests of `tocsin up` take, below the ephemeral ones (Linux: 32768 to 60999)."""


def free_port(address: str = "127.0.0.1") -> int:
    """Return a free port that neither another test worker nor the system allocates."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
