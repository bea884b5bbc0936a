"""Structured logs: one JSON object per line on standard output, with the request's id.

Everything is escaped to ASCII, so that a caller's line breaks, terminal control sequences and U+2028 stay text. No line
is longer than MAX_LINE bytes. A full disk, or a reader that stops, delays and fails nothing: see `line_writer`.
"""

import json
import logging
import os
from typing import Any, Final

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict, Processor, WrappedLogger

from tocsin.kernel import clock
from tocsin.kernel.line_writer import STANDARD_OUTPUT
from tocsin.kernel.request_id import NO_REQUEST, REQUEST_ID
from tocsin.kernel.tracing import TRACING

MAX_LINE: Final = 8_192
_encoder: Final = json.JSONEncoder(default=repr)


def configure(*, service: str, level: str, instance: str = "") -> None:
    """Set up logging for a process. Standard-library loggers (aiohttp's, asyncio's) use the same format."""
    context = _context(service, instance or str(os.getpid()))
    head: list[Processor] = [context, structlog.processors.add_log_level]
    tail: list[Processor] = [structlog.processors.format_exc_info, render]
    structlog.configure(
        processors=[*head, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: _StandardOutput(),
        cache_logger_on_first_use=True,
    )
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*head, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
        )
    )

    def notice(dropped: int) -> bytes:
        event: EventDict = {"event": "log lines were dropped", "lines": dropped, "level": "warning"}
        context(None, "warning", event)
        return f"{render(None, 'warning', event)}\n".encode()

    STANDARD_OUTPUT.notice = notice
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("aiohttp.server").addFilter(lower_errors_of_clients)


def lower_errors_of_clients(record: logging.LogRecord) -> bool:
    """Log a request that is not valid HTTP at INFO, a lost connection at DEBUG.

    aiohttp logs both as errors with a traceback.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | ConnectionError):
        level = logging.DEBUG if isinstance(error, ConnectionError) else logging.INFO
        record.levelno, record.levelname = level, logging.getLevelName(level)
        record.exc_info = None
    return record.levelno >= logging.getLogger().level


def render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Return *event* as one line; its longest values are cut until it fits into MAX_LINE bytes."""
    line = _encoder.encode(event)
    limit = MAX_LINE
    while len(line) > MAX_LINE and limit:
        limit //= 2
        line = _encoder.encode({name: _cut(name, value, limit) for name, value in event.items()})
    return line


def _cut(name: str, value: Any, limit: int) -> Any:
    text = value if isinstance(value, str) else _encoder.encode(value)
    if len(text) <= limit:
        return value
    # The error is at the end of a traceback.
    return "…" + text[len(text) - limit :] if name == "exception" else text[:limit] + "…"


def _context(service: str, instance: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["timestamp"] = clock.now().isoformat()
        event["service"] = service
        event["instance"] = instance
        request_id = REQUEST_ID.get()
        if request_id != NO_REQUEST:
            event["request_id"] = request_id
        if TRACING.on and (trace_id := TRACING.trace_id()) is not None:
            event["trace_id"] = trace_id
        return event

    return add


def _write(line: str) -> None:
    STANDARD_OUTPUT.write(f"{line}\n".encode())


class _StandardOutput:
    """Writes the lines of structlog."""

    def msg(self, line: str) -> None:
        _write(line)

    debug = info = warning = error = critical = msg


class _Handler(logging.Handler):
    """Writes the lines of the standard library's loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        _write(self.format(record))
