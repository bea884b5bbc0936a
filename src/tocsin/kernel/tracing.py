"""OpenTelemetry traces, exported if OTEL_EXPORTER_OTLP_ENDPOINT is set.

Otherwise OpenTelemetry is not imported, and recording a span costs one check of `TRACING.on`. Spans are queued and
exported by a thread: while the collector is slow or unavailable, spans that do not fit into the queue are dropped. Work
that continues later stores a `traceparent` (W3C Trace Context, section 3.2) in its row. All settings are
OpenTelemetry's own.
"""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
HEADERS: Final = ("traceparent", "tracestate")
MAX_LINKS: Final = 128
NO_SPAN: Final[AbstractContextManager[None]] = nullcontext()


class Kind(StrEnum):
    """The kind of a span, as OpenTelemetry defines it."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


class Tracing:
    """The traces of this process. Call its methods, except `start` and `context`, only while `on`."""

    def __init__(self) -> None:
        self.on = False
        self._tracer: Tracer
        self._provider: TracerProvider

    def start(self, *, service: str, version: str, instance: str) -> None:
        """Start exporting if the environment configures an endpoint."""
        wanted = any(os.environ.get(name) for name in ENDPOINTS)
        if not wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        # It would log a warning for every dropped span.
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        named = {"service.name": service, "service.version": version, "service.instance.id": instance}
        own = {name: value for name, value in named.items() if name != "service.name" or not _name_given()}
        self._provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tocsin", version)
        self.on = True

    def stop(self, seconds: float) -> None:
        """Export the queued spans, for at most *seconds*."""
        self.on = False
        # The shutdown has no time limit; a daemon thread does not delay the exit of the process.
        last = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(seconds)

    def context(self) -> str | None:
        """Return the `traceparent` of the current span, or None."""
        if not self.on:
            return None
        from opentelemetry.trace import get_current_span  # noqa: PLC0415

        current = get_current_span().get_span_context()
        if not current.is_valid:
            return None
        return f"00-{current.trace_id:032x}-{current.span_id:016x}-{current.trace_flags:02x}"

    def trace_id(self) -> str | None:
        """Return the id of the current trace, or None."""
        context = self.context()
        return context and context[3:35]

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        *,
        parent: str | Mapping[str, str] | None = None,
        links: Iterable[str | None] = (),
        fails: bool = True,
        **attributes: str | int | None,
    ) -> Iterator[None]:
        """Record the block as a span.

        It is a child of *parent* (a `traceparent`, or a request's headers), else of the current span. *links* are the
        other traces that it belongs to. With *fails* an exception marks it as failed. In the name of an attribute, `__`
        stands for a dot.
        """
        from opentelemetry.trace import Link, SpanKind, get_current_span  # noqa: PLC0415

        others = [get_current_span(_extracted(link)).get_span_context() for link in dict.fromkeys(links) if link]
        with self._tracer.start_as_current_span(
            name,
            context=None if parent is None else _extracted(parent),
            kind=SpanKind[kind],
            links=[Link(other) for other in others[:MAX_LINKS] if other.is_valid],
            attributes={key.replace("__", "."): value for key, value in attributes.items() if value is not None},
            record_exception=fails,
            set_status_on_exception=fails,
        ):
            yield

    def set_status(self, status: int) -> None:
        """Record the HTTP status of the response on the current span."""
        from opentelemetry.trace import Status, StatusCode, get_current_span  # noqa: PLC0415

        span = get_current_span()
        span.set_attribute("http.response.status_code", status)
        if status >= 500:  # noqa: PLR2004 - an HTTP status
            span.set_status(Status(StatusCode.ERROR))

    def with_traceparent(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return *headers* with the `traceparent` of the current span."""
        context = self.context()
        others = {name: value for name, value in headers.items() if name.lower() not in HEADERS}
        return others if context is None else {**others, "traceparent": context}


def _name_given() -> bool:
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )


def _extracted(parent: str | Mapping[str, str]) -> Any:
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier = {"traceparent": parent} if isinstance(parent, str) else {name.lower(): parent[name] for name in parent}
    return TraceContextTextMapPropagator().extract(carrier, Context())


TRACING: Final = Tracing()
