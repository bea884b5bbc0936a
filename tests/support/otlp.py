"""A receiver of traces that speaks real OTLP over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.ports import free_port


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was received."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: frozenset[str]
    """Of other traces."""
    attributes: dict[str, str]


@dataclass(slots=True)
class Collector:
    """What was received."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    silent: bool = False
    """Whether requests get no response."""

    async def take(self, request: web.Request) -> web.Response:
        """Receive spans."""
        if self.silent:
            await asyncio.Event().wait()
        export = ExportTraceServiceRequest.FromString(await request.read())
        for resource in export.resource_spans:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.spans += [
                Span(
                    service=named["service.name"],
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    links=frozenset(link.trace_id.hex() for link in span.links),
                    attributes={
                        item.key: str(item.value.string_value or item.value.int_value) for item in span.attributes
                    },
                )
                for scope in resource.scope_spans
                for span in scope.spans
            ]
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )

    def of(self, trace_id: str) -> list[Span]:
        """Return the spans of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def way_to(self, name: str, trace_id: str) -> list[str]:
        """Return the names of the span *name* and its ancestors; last the id of the first that was not received."""
        spans = {span.span_id: span for span in self.of(trace_id)}
        at = next((span.span_id for span in spans.values() if span.name == name), "")
        way: list[str] = []
        while at in spans:
            way.append(spans[at].name)
            at = spans[at].parent_id
        return [*way, at]

    @property
    def environment(self) -> dict[str, str]:
        """The settings by which a service sends its spans here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Yield a receiver."""
    collector = Collector()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes([web.post("/v1/traces", collector.take)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        collector.url = f"http://127.0.0.1:{port}"
        yield collector
    finally:
        await runner.cleanup()
