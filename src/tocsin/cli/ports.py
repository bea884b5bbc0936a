"""Check that the services' ports are free."""

import errno
import shlex
import socket
from typing import Final

import psutil

from tocsin.cli.console import PROGRAM, CommandError
from tocsin.cli.services import SERVICES, TLS_PORT, Endpoint

HIGHEST_OFFSET: Final = 65_535 - max(TLS_PORT, *(service.port for service in SERVICES))


def require_free(endpoint: Endpoint) -> None:
    """Raise CommandError with each port that is taken and the process that uses it."""
    wanted = [(service.name, endpoint.address, endpoint.port(service)) for service in SERVICES]
    if endpoint.tls_address:
        wanted.append(("TLS", endpoint.tls_address, endpoint.tls_port))
    taken = [
        f"port {port} ({name}) is taken by {owner(port)}"
        for name, address, port in wanted
        if not _is_free(address, port)
    ]
    if taken:
        raise CommandError(
            "\n".join(taken), f"Stop that process, or run Tocsin on other ports: {PROGRAM} up --port-offset 100"
        )


def owner(port: int) -> str:
    """Return the process that listens on *port*: its id and its command, as far as this user may see them."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            try:
                command = shlex.join(psutil.Process(connection.pid).cmdline())
            except psutil.Error:
                command = "a command that this user may not see"
            return f"process {connection.pid}: {command}"
    return "a process of another user (`ss -ltnp` as root shows it)"


def _is_free(address: str, port: int) -> bool:
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # The services set this option too: a port whose last connections are in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            return False
        msg = f"cannot listen on {address}, port {port}: {exc.strerror}"
        raise CommandError(msg, "BIND_ADDRESS must be an address of this machine, such as 127.0.0.1.") from exc
    return True
