"""Metrics are counted under the names the dashboards use, offered on loopback, and traces cost nothing while they are off."""

import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest

from gateway.addresses import is_loopback, split_address
from gateway.callers import Caller, Callers
from gateway.config import CallerSettings, TelemetrySettings
from gateway.lifecycle import PaymentState
from gateway.store.records import ConnectionHealth
from gateway.telemetry import Metrics, configure_tracing, serve_metrics, span

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def text_of(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_every_figure_has_the_name_and_labels_the_dashboards_use() -> None:
    metrics = Metrics()
    metrics.submitted("erp", "house", "stored", 3)
    metrics.delivery("house", "confirmed")
    metrics.inbound("house", "quarantined")
    metrics.state_changes("house", PaymentState.SETTLED, 2)
    metrics.certificate("house", "file:own.crt", NOW + timedelta(days=10), NOW)
    metrics.health(
        "house",
        ConnectionHealth(
            payments_waiting=1,
            oldest_waiting_at=NOW - timedelta(seconds=90),
            deliveries_in_doubt=2,
            open_discrepancies=4,
            quarantined_files=0,
            last_sent_at=None,
            last_fetch_at=None,
            last_problem=None,
        ),
        NOW,
    )
    with metrics.stage("house", "render"):
        pass
    text = text_of(metrics)
    for line in (
        'bankgate_payments_submitted_total{caller="erp",connection="house",outcome="stored"} 3.0',
        'bankgate_deliveries_total{connection="house",outcome="confirmed"} 1.0',
        'bankgate_inbound_files_total{connection="house",outcome="quarantined"} 1.0',
        'bankgate_payments_state_changes_total{connection="house",state="settled"} 2.0',
        'bankgate_certificate_days_left{certificate="file:own.crt",connection="house"} 10.0',
        'bankgate_oldest_waiting_seconds{connection="house"} 90.0',
        'bankgate_deliveries_in_doubt{connection="house"} 2.0',
        'bankgate_open_discrepancies{connection="house"} 4.0',
        'bankgate_delivery_stage_seconds_count{connection="house",stage="render"} 1.0',
    ):
        assert line in text


def test_a_stage_that_fails_is_measured_all_the_same() -> None:
    metrics = Metrics()
    with pytest.raises(KeyError), metrics.stage("house", "send"):
        raise KeyError
    assert 'stage_seconds_count{connection="house",stage="send"} 1.0' in text_of(metrics)


def test_metrics_are_offered_on_loopback_unless_told_otherwise() -> None:
    port, stop = serve_metrics("0", Metrics())
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b"bankgate_rpc_total" in answer.read()
    finally:
        stop()


def test_traces_that_are_off_cost_no_import() -> None:
    program = "import sys, gateway.telemetry as t; t.span('x').__enter__(); print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert configure_tracing(TelemetrySettings(), "test")() is None
    with span("nothing"):
        pass


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:65535", ("::1", 65535)), ("host.example:0", ("host.example", 0))],
)
def test_addresses_are_host_and_port(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["", ":", "host", ":1", "::1:1", "host:", "host:65536", "host:-1", "host:٣"])
def test_anything_else_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match=r"port|brackets"):
        split_address(address)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("db", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_caller_may_do_what_it_was_given_where_it_was_given_it() -> None:
    caller = Caller("erp", ("a", "b"), frozenset({"submit"}))
    assert caller.may("submit")
    assert caller.may("submit", "a")
    assert not caller.may("submit", "c")
    assert not caller.may("read", "a")
    assert caller.allowed_connections("submit", ["c", "b", "a"]) == ("b", "a")
    everywhere = Caller("ops", ("*",), frozenset({"operate"}))
    assert everywhere.may("operate", "anything")
    assert everywhere.allowed_connections("operate", ["x", "y"]) == ("x", "y")


def test_callers_are_found_by_fingerprint_in_any_writing_and_nobody_else_is() -> None:
    callers = Callers([CallerSettings(name="erp", certificate_sha256=("AB:" * 31 + "AB",))])
    found = callers.by_fingerprint("ab" * 32)
    assert found is not None
    assert found.name == "erp"
    assert callers.by_fingerprint("cd" * 32) is None
    assert callers.plaintext is None
