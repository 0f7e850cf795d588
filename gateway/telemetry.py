"""What the gateway tells its operators: structured logs, Prometheus metrics and, when configured, OpenTelemetry traces.

Logs go to standard error, one JSON object a line, masked by `gateway.masking`, whoever writes them: our own events and those of
the libraries pass the same processors.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from gateway.addresses import split_address
from gateway.config import TelemetrySettings
from gateway.lifecycle import PaymentState
from gateway.masking import mask_event
from gateway.store.records import ConnectionHealth

_MILLISECONDS_TO_MINUTES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_NOISY = ("asyncssh", "aiohttp", "grpc", "opentelemetry", "asyncio", "alembic", "procrastinate", "psycopg")


# -- logs ------------------------------------------------------------------------------------------------------------------


def configure_logging(settings: TelemetrySettings, stream: IO[str] | None = None) -> None:
    """Sends every log of the process, ours and the libraries', through the masking processors to `stream` (standard error)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    if settings.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask_event,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _NOISY:  # their own "info" is our "debug": they log every connection and every packet
        logging.getLogger(name).setLevel(logging.DEBUG if settings.log_level == "debug" else logging.WARNING)


# -- metrics ---------------------------------------------------------------------------------------------------------------


class Metrics:
    """Every metric of the gateway; names carry the prefix `bankgate_`. Labels are names from the configuration, never data."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        counter, gauge = self._counter, self._gauge
        self.payments_submitted_total = counter(
            "payments_submitted_total",
            "Payments in submit calls, by outcome: stored, known, invalid, conflict, forbidden, failed.",
            "caller",
            "connection",
            "outcome",
        )
        self.submit_seconds = self._histogram("submit_seconds", "One submit call or batch, until durable and answered.", "kind")
        self.deliveries_total = counter(
            "deliveries_total", "Steps of deliveries, by outcome (the event of the lifecycle).", "connection", "outcome"
        )
        self.delivery_stage_seconds = self._histogram(
            "delivery_stage_seconds",
            "One stage of a message's way: render, validate, seal, send; fetch, open, parse, apply.",
            "connection",
            "stage",
        )
        self.payments_state_changes_total = counter(
            "payments_state_changes_total", "Changes of payments into a state.", "connection", "state"
        )
        self.judged_total = counter(
            "judged_total", "Payments put to the rules of this house, by outcome: pass, approval, hold, block.", "outcome"
        )
        self.inbound_files_total = counter(
            "inbound_files_total", "Files from banks, by outcome: kept, known, left, read, quarantined.", "connection", "outcome"
        )
        self.oldest_waiting_seconds = gauge(
            "oldest_waiting_seconds", "Age of the approved payment that has waited longest for a message.", "connection"
        )
        self.queue_age_seconds = gauge(
            "queue_age_seconds",
            "How long the oldest of a queue has waited: in_review, awaiting_approval, release_group, approved, ready, in_doubt,"
            " unanswered, unread.",
            "connection",
            "queue",
        )
        self.queue_late = gauge(
            "queue_late", "1 while that is longer than [alarms] of the connection allows.", "connection", "queue"
        )
        self.deliveries_in_flight = gauge("deliveries_in_flight", "Messages formed and not known to have arrived.", "connection")
        self.deliveries_in_flight_max = gauge("deliveries_in_flight_max", "At so many of them no more are formed.", "connection")
        self.deliveries_in_doubt = gauge("deliveries_in_doubt", "Messages the bank may or may not have.", "connection")
        self.open_discrepancies = gauge("open_discrepancies", "Things a person has to look at.", "connection")
        self.feed_held_up_seconds = gauge(
            "feed_held_up_seconds", "How long the oldest transaction of the database server has been holding up the event feed."
        )
        self.audit_unsealed_seconds = gauge("audit_unsealed_seconds", "Age of the oldest event that is not sealed.", "stream")
        self.certificate_days_left = gauge(
            "certificate_days_left", "Days until a certificate expires; negative once it has.", "connection", "certificate"
        )
        self.people_sign_ins_total = counter(
            "people_sign_ins_total",
            "People's tries to sign in, by outcome: password, signed_in, enrolled, refused, paused.",
            "outcome",
        )
        self.people_emergency_uses_total = counter(
            "people_emergency_uses_total", "Calls and sign-ins of accounts that are sealed for emergencies."
        )
        self.rpc_total = counter("rpc_total", "Calls answered, by gRPC status code.", "method", "code")
        self.calls_refused_total = counter(
            "calls_refused_total",
            "Calls refused before their work began: who calls is not known (kind of reason), may not, or a limit (its setting).",
            "caller",
            "reason",
        )
        self.rpc_seconds = self._histogram("rpc_seconds", "One call, streams included, from first to last byte.", "method")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace="bankgate", registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace="bankgate", registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        buckets = _MILLISECONDS_TO_MINUTES
        return Histogram(name, text, labels, namespace="bankgate", registry=self.registry, buckets=buckets)

    def delivery(self, connection: str, outcome: str) -> None:
        """Counts one step of a delivery."""
        self.deliveries_total.labels(connection, outcome).inc()

    def inbound(self, connection: str, outcome: str) -> None:
        """Counts what became of one file from a bank."""
        self.inbound_files_total.labels(connection, outcome).inc()

    def state_changes(self, connection: str, state: PaymentState, count: int = 1) -> None:
        """Counts payments that moved into a state."""
        self.payments_state_changes_total.labels(connection, state.value).inc(count)

    def submitted(self, caller: str, connection: str, outcome: str, count: int = 1) -> None:
        """Counts payments of a submit call."""
        self.payments_submitted_total.labels(caller, connection, outcome).inc(count)

    def health(self, connection: str, health: ConnectionHealth, now: datetime) -> None:
        """Sets the gauges of a connection."""
        oldest = health.oldest_waiting_at
        self.oldest_waiting_seconds.labels(connection).set(0 if oldest is None else (now - oldest).total_seconds())
        self.deliveries_in_doubt.labels(connection).set(health.deliveries_in_doubt)
        self.open_discrepancies.labels(connection).set(health.open_discrepancies)

    def judged(self, outcome: str) -> None:
        """Counts a judgement: pass, approval, hold, block."""
        self.judged_total.labels(outcome).inc()

    def queue(self, connection: str, queue: str, seconds: float, *, late: bool) -> None:
        """Sets how long the oldest of a queue has waited, and whether that is too long."""
        self.queue_age_seconds.labels(connection, queue).set(seconds)
        self.queue_late.labels(connection, queue).set(late)

    def in_flight(self, connection: str, count: int, most: int) -> None:
        """Sets how many messages are not known to have arrived, and how many may be."""
        self.deliveries_in_flight.labels(connection).set(count)
        self.deliveries_in_flight_max.labels(connection).set(most)

    def certificate(self, connection: str, certificate: str, not_after: datetime, now: datetime) -> None:
        """Sets how many days a certificate has left."""
        self.certificate_days_left.labels(connection, certificate).set((not_after - now).total_seconds() / 86_400)

    @contextmanager
    def stage(self, connection: str, stage: str) -> Iterator[None]:
        """Measures one stage of a message's way, as a metric and as a span."""
        started = time.perf_counter()
        with span(f"bankgate.{stage}", connection=connection):
            try:
                yield
            finally:
                self.delivery_stage_seconds.labels(connection, stage).observe(time.perf_counter() - started)


@lru_cache(maxsize=1)
def metrics() -> Metrics:
    """The metrics of this process, with its memory, CPU time and open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return Metrics(registry)


def serve_metrics(address: str, of: Metrics) -> tuple[int, Callable[[], None]]:
    """Offers the metrics over HTTP at host:port ("9464" alone means loopback). Gives the port and what stops it.

    Raises OSError if the address is taken.
    """
    host, port = split_address(address, default_host="127.0.0.1")
    server, thread = start_http_server(port, host, registry=of.registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


# -- traces ----------------------------------------------------------------------------------------------------------------

_tracer: Any = None


def configure_tracing(settings: TelemetrySettings, service: str) -> Callable[[], None]:
    """Sends spans to the OTLP endpoint, if one is configured; nothing of OpenTelemetry is imported otherwise.

    Gives what flushes and stops it.
    """
    global _tracer  # noqa: PLW0603 - one tracer a process, like the one root logger
    if settings.otlp_endpoint is None:
        _tracer = None
        return lambda: None
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    insecure = not settings.otlp_endpoint.startswith("https://")
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint, insecure=insecure, timeout=3))
    )
    _tracer = provider.get_tracer("bankgate")
    return provider.shutdown


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """A span around a piece of work; costs next to nothing while traces are off."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import StatusCode

    # OpenTelemetry by itself sends the text of an exception and its traceback: whoever wrote it, unmasked, off the machine.
    with _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def place_of(fault: BaseException) -> str:
    """A fault in words that are safe to show: its kind and its place in the code, never its text, which may quote anything."""
    trace = traceback.extract_tb(fault.__traceback__)
    return f"{type(fault).__name__} at {Path(trace[-1].filename).name}:{trace[-1].lineno}" if trace else type(fault).__name__
