"""Traces reach a collector when one is configured, and cost no import when none is."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from gateway.config import TelemetrySettings
from gateway.telemetry import Metrics, configure_tracing


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: list[tuple[str, str]] = []
        self.received = ""

    def Export(self, request, context):  # type: ignore[no-untyped-def]
        self.received += str(request)
        for resource in request.resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            self.spans += [(service, span.name) for scope in resource.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector; it has everything once the block is left."""
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stop = configure_tracing(TelemetrySettings(otlp_endpoint=f"http://127.0.0.1:{port}"), "bankgate-worker")
    try:
        yield collector
    finally:
        stop()
        configure_tracing(TelemetrySettings(), "off")
        server.stop(None)


def test_the_stages_of_a_message_reach_the_collector_under_the_name_of_the_process() -> None:
    with collecting() as collector, Metrics().stage("bank", "render"):
        pass
    assert collector.spans == [("bankgate-worker", "bankgate.render")]


def test_a_failed_stage_tells_the_collector_its_kind_and_never_what_an_exception_says() -> None:
    with collecting() as collector, pytest.raises(LookupError), Metrics().stage("bank", "send"):
        raise LookupError("no such account: DE89370400440532013000")
    assert "STATUS_CODE_ERROR" in collector.received
    assert "LookupError" in collector.received
    assert "DE89" not in collector.received
    assert "Traceback" not in collector.received


def test_nothing_of_opentelemetry_is_imported_while_no_collector_is_configured() -> None:
    program = (
        "import sys; from gateway.telemetry import Metrics, configure_tracing; from gateway.config import TelemetrySettings;"
        "configure_tracing(TelemetrySettings(), 'x');"
        "Metrics().stage('a', 'b').__enter__();"
        "print(sorted(m for m in sys.modules if m.startswith('opentelemetry')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
