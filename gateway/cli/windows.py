"""The send windows of payments in a file, for a command that has a configuration and no service."""

from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway import clock
from gateway.cli.serve import loaded
from gateway.cli.standalone import Judged
from gateway.payment import PaymentOrder
from gateway.rpc.client import as_dict
from gateway.rpc.present import send_window_message
from gateway.window_answer import window_answer
from gateway.window_settings import send_window


def windows_of(config: Path, orders: Sequence[PaymentOrder], judged: Sequence[Judged], on: date | None) -> list[dict[str, Any]]:
    """In the JSON form of `CheckPaymentsResponse.send_windows`: as of now, or of the beginning of the day `on` at the bank.

    Payments whose connection is always open, or not in that configuration, are left out.
    """
    connections = loaded(config).connections
    windows = {name: send_window(settings) for name, settings in connections.items()}
    now = clock.now()
    found = []
    for index, (order, one) in enumerate(zip(orders, judged, strict=True)):
        window = windows.get(order.connection_id)
        if window is None:
            continue
        answer = window_answer(window, one.terms, now if on is None else _beginning(on, window.zone))
        told = send_window_message(answer)
        assert told is not None  # noqa: S101 - there is an answer
        found.append({"index": index, "payment_reference": order.payment_reference, "send_window": as_dict(told)})
    return found


def counted(windows: Sequence[dict[str, Any]], *, chinese: bool = False) -> dict[str, int]:
    """What there is to say of send windows, and of how many payments; most share one."""
    counts: dict[str, int] = {}
    for item in windows:
        text = str(item["send_window"].get("description_zh" if chinese else "description_en", ""))
        counts[text] = counts.get(text, 0) + 1
    return counts


def _beginning(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(0), zone)
