"""Spans, by OpenTelemetry: of each request, each batch and each statement. No value of anybody's is in them.

A request's span is the parent of its statements'. A batch asks for many requests at once (ADR 12): its span is the
first one's child, and linked with all others', in both directions. Statements are told as they are written, with
parameters in place of values; of a request the route, never the path. Attributes have the semantic conventions' names:
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and .../database/postgresql/
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.trace import Trace

CARRIED = (b"traceparent", b"tracestate")
"""https://www.w3.org/TR/trace-context/"""
CLOSE_SECONDS = 3.0
"""How long a stop waits for what is left to be taken, and each sending for the collector."""

log = logging.getLogger("postern")
# They tell of what clients send, and of the collector's address, which may hold a secret; `_Exporter` says enough.
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


class Spans:
    """The tracing of one process; its spans are sent by a thread of their own."""

    def __init__(self, endpoint: str) -> None:
        named = Resource({"service.name": "postern"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        exporter = _Exporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=CLOSE_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("postern")
        self._lines: dict[Hashable, list[Span]] = {}

    @contextmanager
    def request(self, method: str, headers: Mapping[bytes, bytes]) -> Iterator[None]:
        """Begin a request's span; it is the caller's trace that it goes on with, if the caller has one."""
        carried = {name.decode(): headers[name].decode("latin-1") for name in CARRIED if name in headers}
        parent = TraceContextTextMapPropagator().extract(carried)
        with self._tracer.start_as_current_span(method, parent, SpanKind.SERVER, record_exception=False):
            yield

    def answered(self, method: str, trace_: Trace, status: int) -> None:
        """Say what has become of the request."""
        span = trace.get_current_span()
        span.set_attribute("http.request.method", method)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("postern.request_id", trace_.request_id)
        if trace_.route is not None:
            span.update_name(f"{method} {trace_.route}")
            span.set_attribute("http.route", trace_.route)
        if trace_.user_id is not None:
            span.set_attribute("user.id", str(trace_.user_id))
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))

    @contextmanager
    def in_line(self, line: Hashable) -> Iterator[None]:
        """Say that the request waits in a line, of which a batch is made."""
        span = trace.get_current_span()
        if not span.is_recording():
            yield
            return
        waiting = self._lines.setdefault(line, [])
        waiting.append(span)
        try:
            yield
        finally:
            waiting.remove(span)
            if not waiting and self._lines.get(line) is waiting:
                del self._lines[line]

    @contextmanager
    def batch(self, line: Hashable, size: int) -> Iterator[None]:
        """Begin the span of a batch, for all who stand in line now."""
        waiting = tuple(self._lines.pop(line, ()))
        if not waiting:
            yield
            return
        first, *others = waiting
        links = [Link(span.get_span_context()) for span in others]
        size_told = {"postern.batch.size": size}
        with self._tracer.start_as_current_span(
            "batch", trace.set_span_in_context(first), links=links, attributes=size_told, record_exception=False
        ) as span:
            for other in others:
                other.add_link(span.get_span_context())
            yield

    def statement(self, text: str) -> Statement:
        """Begin a statement's span."""
        name = text.split(None, 1)[0]
        told = {"db.system.name": "postgresql", "db.operation.name": name, "db.query.text": text}
        return Statement(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=told))

    def close(self) -> None:
        """Send what is left, which may take some seconds; then it is given up."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)  # its own limits are for each batch
        sending.start()
        sending.join(CLOSE_SECONDS)


class _Exporter(OTLPSpanExporter):
    """Says in a line when the collector takes no spans, and when it does again."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        result = super().export(spans)
        taken = result is SpanExportResult.SUCCESS
        if taken is not self._taken:
            log.warning("the collector of traces takes them again" if taken else "the collector of traces takes none")
        self._taken = taken
        return result


class Statement:
    """One that is under way."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, fault: str = "") -> None:
        """Say that it has ended, and by what fault, if by one."""
        if fault:
            self._span.set_attribute("error.type", fault)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
