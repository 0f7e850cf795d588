"""Serial numbers of samples, and that a payment's own one goes before them."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.dialects.serial import package_of, sample_serial, serial_of
from formats.dialogue import SerialShape
from formats.model import CreditTransfer, Party, PaymentInitiation

DAY = date(2026, 1, 5)
SHAPES = [
    SerialShape(length=12),
    SerialShape(length=17),
    SerialShape(length=20, dated=False),
    SerialShape(length=30, alphabet="letters_and_digits"),
    SerialShape(length=35, alphabet="letters_and_digits", dated=False),
]
TRANSFER = CreditTransfer(
    instruction_id="I0001", end_to_end_id="E", amount=Decimal("1.00"), currency="CNY", creditor=Party(name="乙公司")
)
MESSAGE = PaymentInitiation(
    message_id="SAMPLE-1",
    message_name="cib.xfer",
    creation_date_time=datetime(2026, 1, 5, 12, tzinfo=UTC),
    initiating_party=Party(),
    blocks=(),
)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@given(text=st.text(max_size=40))
def test_a_sample_serial_number_has_the_shape_it_is_made_for(shape: SerialShape, text: str) -> None:
    serial = sample_serial(shape, text, DAY)
    assert len(serial) == shape.length
    assert serial.isascii()
    assert serial.isdigit() if shape.alphabet == "digits" else serial.isalnum() and serial == serial.upper()
    assert serial.startswith("20260105") or not shape.dated


def test_the_same_text_and_day_give_the_same_number_and_others_another() -> None:
    shape = SerialShape(length=17)
    assert sample_serial(shape, "I0001", DAY) == sample_serial(shape, "I0001", DAY)
    assert sample_serial(shape, "I0001", DAY) != sample_serial(shape, "I0002", DAY)
    assert sample_serial(shape, "I0001", DAY) != sample_serial(shape, "I0001", date(2026, 1, 6))


def test_a_sample_serial_number_is_the_end_of_the_texts_sha256() -> None:
    # sha256("I0001") as a whole number, by `printf I0001 | sha256sum`: its last nine decimal digits are …
    assert sample_serial(SerialShape(length=9, dated=False), "I0001", DAY) == "819663657"


def test_a_payments_own_serial_number_goes_before_a_sample_one() -> None:
    shape = SerialShape(length=17)
    assert serial_of(replace(TRANSFER, serial_number="GW1"), shape, DAY) == "GW1"
    assert serial_of(TRANSFER, shape, DAY) == sample_serial(shape, "I0001", DAY)
    assert package_of(replace(MESSAGE, serial_number="P1"), shape) == "P1"
    assert package_of(MESSAGE, shape) == sample_serial(shape, "SAMPLE-1", DAY)
