"""Who sits on a port that is wanted."""

import errno
import shlex
import socket
from typing import Final

import psutil

from tocsin.cli.console import PROGRAM, CommandError
from tocsin.cli.services import SERVICES, Place

HIGHEST_OFFSET: Final = 65_535 - max(service.port for service in SERVICES)


def refuse_taken(place: Place) -> None:
    """Raise CommandError where a service cannot have its port, naming each one taken and its owner."""
    taken = [
        f"port {place.port(service)} ({service.name}) is taken by {owner(place.port(service))}"
        for service in SERVICES
        if not _is_free(place.address, place.port(service))
    ]
    if taken:
        raise CommandError(
            "\n".join(taken), f"Stop what holds it, or run Tocsin beside it: {PROGRAM} up --port-offset 100"
        )


def owner(port: int) -> str:
    """Say which process listens on *port*: its id and its command, as far as this user may know."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            try:
                command = shlex.join(psutil.Process(connection.pid).cmdline())
            except psutil.Error:
                command = "a command that this user may not see"
            return f"process {connection.pid}: {command}"
    return "a process of another user (`ss -ltnp` as root names it)"


def _is_free(address: str, port: int) -> bool:
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the services do: a port whose last connections are in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            return False
        msg = f"cannot listen on {address}, port {port}: {exc.strerror}"
        raise CommandError(msg, "BIND_ADDRESS must be an address of this machine, such as 127.0.0.1.") from exc
    return True
