"""Whoever calls a bank reads off the numbers that it knows payments by, in English or Chinese."""

from gateway.cli.output import Language
from gateway.cli.serial_lines import serial_lines

DELIVERY = {
    "package_number": "20261125000000000001",
    "serials": [
        {
            "end_to_end_id": "INV-1",
            "serial_number": "2026112500000001",
            "bank_reference": "000000000007",
            "state": "PAYMENT_STATE_SENT",
            "asked": 2,
            "last_asked_at": "2026-11-25T12:00:00Z",
            "next_ask_at": "2026-11-25T13:00:00Z",
        },
        {"payment_id": "p2", "serial_number": "2026112500000002", "state": "PAYMENT_STATE_SETTLED"},
    ],
}
ASKED = "asked 2 times, last 2026-11-25T12:00:00, next 2026-11-25T13:00:00"


def test_the_numbers_of_a_message_are_told_in_english() -> None:
    assert list(serial_lines(DELIVERY, Language.EN)) == [
        "number of the whole: 20261125000000000001",
        f"INV-1  serial number 2026112500000001  the bank's number 000000000007  sent  {ASKED}",
        "p2  serial number 2026112500000002  settled  not asked yet, next none planned",
    ]


def test_the_numbers_of_a_message_are_told_in_chinese() -> None:
    _, first, second = serial_lines(DELIVERY, Language.ZH)
    assert "流水号 2026112500000001  银行流水号 000000000007" in first
    assert "已查询 2 次，上次 2026-11-25T12:00:00" in first
    assert second.endswith("尚未查询，下次 无计划")


def test_a_bank_that_is_sent_files_has_no_such_lines() -> None:
    assert list(serial_lines({}, Language.EN)) == []
