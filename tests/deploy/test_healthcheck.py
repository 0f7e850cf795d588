"""The image's health check against real listeners on loopback."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import ModuleType

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


class Answers(BaseHTTPRequestHandler):
    """200 at /metrics, 500 elsewhere."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 500)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Silence."""


@pytest.fixture(scope="module")
def healthcheck(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("healthcheck")


@pytest.fixture
def web() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def service() -> Iterator[tuple[int, health.HealthServicer]]:
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port, servicer
    server.stop(None).wait()


@pytest.fixture
def closed() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_metrics_that_answer_are_well(healthcheck: ModuleType, web: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")
    assert healthcheck.complaint(f"http://127.0.0.1:{web}/metrics") == ""


def test_an_error_page_is_not_well(healthcheck: ModuleType, web: int) -> None:
    assert "500" in healthcheck.complaint(f"http://127.0.0.1:{web}/other")


def test_a_serving_service_is_well(healthcheck: ModuleType, service: tuple[int, health.HealthServicer]) -> None:
    assert healthcheck.complaint(f"grpc://127.0.0.1:{service[0]}") == ""


def test_a_draining_service_is_not_well(healthcheck: ModuleType, service: tuple[int, health.HealthServicer]) -> None:
    port, servicer = service
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert "NOT_SERVING" in healthcheck.complaint(f"grpc://127.0.0.1:{port}")


def test_somebody_listening_is_enough_for_tcp(healthcheck: ModuleType, web: int) -> None:
    assert healthcheck.complaint(f"tcp://127.0.0.1:{web}") == ""


@pytest.mark.parametrize("scheme", ["http", "grpc", "tcp"])
def test_nobody_listening_is_not_well(healthcheck: ModuleType, closed: int, scheme: str) -> None:
    assert healthcheck.complaint(f"{scheme}://127.0.0.1:{closed}").startswith("no ")


def test_an_unknown_way_of_asking_is_named(healthcheck: ModuleType) -> None:
    assert "'ftp'" in healthcheck.complaint("ftp://127.0.0.1:21")


def test_the_exit_status_follows(healthcheck: ModuleType, web: int, closed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANKGATE_HEALTH", f"tcp://127.0.0.1:{web}")
    assert healthcheck.main() == 0
    monkeypatch.setenv("BANKGATE_HEALTH", f"tcp://127.0.0.1:{closed}")
    assert healthcheck.main() == 1
