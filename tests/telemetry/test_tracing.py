"""Traces reach a collector when one is configured, and cost no import when none is."""

import subprocess
import sys
from concurrent import futures

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from gateway.config import TelemetrySettings
from gateway.telemetry import Metrics, configure_tracing


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: list[tuple[str, str]] = []

    def Export(self, request, context):  # type: ignore[no-untyped-def]
        for resource in request.resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            self.spans += [(service, span.name) for scope in resource.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


def test_the_stages_of_a_message_reach_the_collector_under_the_name_of_the_process() -> None:
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stop = configure_tracing(TelemetrySettings(otlp_endpoint=f"http://127.0.0.1:{port}"), "bankgate-worker")
    try:
        with Metrics().stage("bank", "render"):
            pass
    finally:
        stop()
        configure_tracing(TelemetrySettings(), "off")
        server.stop(None)
    assert collector.spans == [("bankgate-worker", "bankgate.render")]


def test_nothing_of_opentelemetry_is_imported_while_no_collector_is_configured() -> None:
    program = (
        "import sys; from gateway.telemetry import Metrics, configure_tracing; from gateway.config import TelemetrySettings;"
        "configure_tracing(TelemetrySettings(), 'x');"
        "Metrics().stage('a', 'b').__enter__();"
        "print(sorted(m for m in sys.modules if m.startswith('opentelemetry')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
