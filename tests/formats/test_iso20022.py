"""A bank as data: what it takes when, and that what it writes is read back as the same payments."""

import io
from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from formats.bank import Capabilities, Validity
from formats.banks.iso20022 import BANK as ISO
from formats.banks.sepa import BANK as SEPA_BANK
from formats.errors import Unrenderable
from formats.iso20022 import IsoBank
from formats.report import Document, PaymentRead


def bank(**sends: Validity) -> IsoBank:
    return IsoBank(
        name="test",
        capabilities=Capabilities(
            sends={f"pain.001.001.{number.strip('v')}": validity for number, validity in sends.items()}, reads=(), horizon_days=10
        ),
    )


def test_the_first_message_valid_on_the_day_is_the_default() -> None:
    turning = bank(v03=Validity(valid_until=date(2026, 6, 30)), v09=Validity(valid_from=date(2026, 7, 2)), v12=Validity())
    days = {date(2026, 6, 30): "03", date(2026, 7, 1): "12", date(2026, 7, 2): "09"}
    assert {day: turning.message_on(day) for day in days} == {day: f"pain.001.001.{number}" for day, number in days.items()}


def test_on_a_day_without_any_message_that_is_what_is_said(payments: SimpleNamespace) -> None:
    closed = bank(v09=Validity(valid_until=date(2026, 1, 1)))
    violations = closed.check(payments.sepa_terms(), payments.sepa_transfer(), payments.day)
    assert [violation.rule for violation in violations] == ["message.unsupported"]


def test_the_default_version_is_the_one_checked_against(payments: SimpleNamespace) -> None:
    transfer = replace(payments.sepa_transfer(), uetr="7a562c67-ca16-48ba-b074-65581be6f001")
    old, new = bank(v03=Validity()), bank(v09=Validity())
    assert [violation.rule for violation in old.check(payments.sepa_terms(), transfer, payments.day)] == ["uetr.version"]
    assert new.check(payments.sepa_terms(), transfer, payments.day) == ()


def test_the_banks_own_horizon_holds(payments: SimpleNamespace) -> None:
    terms = replace(payments.sepa_terms(), requested_execution_date=date(2026, 12, 5))
    near, far = bank(v09=Validity()), ISO
    assert [violation.rule for violation in near.check(terms, payments.sepa_transfer(), payments.day)] == ["date.horizon"]
    assert far.check(terms, payments.sepa_transfer(), payments.day) == ()


def test_a_message_the_bank_never_takes_is_not_rendered(payments: SimpleNamespace) -> None:
    message = payments.message((payments.sepa_terms(), (payments.sepa_transfer(),)), version="pain.001.001.10")
    with pytest.raises(Unrenderable, match=r"message\.unsupported"):
        SEPA_BANK.render(message, io.BytesIO())


def test_all_versions_are_taken_by_the_plain_bank_on_every_day(payments: SimpleNamespace) -> None:
    for day in (date(2020, 1, 1), date(2040, 1, 1)):
        assert ISO.message_on(day) == "pain.001.001.09"
        assert {name for name, validity in ISO.capabilities.sends.items() if validity.covers(day)} == set(payments.versions)


def test_what_is_written_is_read_back_as_the_same_payments(payments: SimpleNamespace) -> None:
    for version in payments.versions:
        terms, transfer = payments.fit(payments.full_terms(), payments.full_transfer(), version)
        message = payments.message(
            (payments.sepa_terms(), (payments.sepa_transfer(),)),
            (terms, (transfer, replace(transfer, amount=Decimal(1)))),
            version=version,
        )
        document, *read = list(ISO.parse(io.BytesIO(payments.rendered(message))))
        assert isinstance(document, Document)
        assert (document.message, document.message_id) == (version, message.message_id)
        assert (document.schema_valid, document.schema_problems) == (True, ())
        told = [record for record in read if isinstance(record, PaymentRead)]
        asked = [(block, transfer) for block in message.blocks for transfer in block.transfers()]
        assert [(record.payment_information_id, record.instruction_id, record.end_to_end_id) for record in told] == [
            (block.payment_information_id, transfer.instruction_id, transfer.end_to_end_id) for block, transfer in asked
        ]
        assert [Decimal(record.amount or "") for record in told] == [transfer.amount for _, transfer in asked]
        assert [record.requested_execution_date for record in told] == [
            block.terms.requested_execution_date.isoformat() for block, _ in asked
        ]
        assert [record.creditor_name for record in told] == [transfer.creditor.name for _, transfer in asked]
