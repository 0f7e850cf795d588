"""What a caller may choose, what that comes to at each bank, and what contradicts itself."""

import hashlib
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from formats.bank import bank_named
from formats.model import Account, Party, PaymentType, PostalAddress
from gateway.config import ConnectionSettings
from gateway.differences import differing_fields
from gateway.instant import InstantChoice, instruction_id_of, payment_id_of
from gateway.lifecycle import PaymentEvent, PaymentState
from gateway.payment import PaymentOrder, new_payment_id
from gateway.store.records import NextAttempt, PaymentChange, Reason
from gateway.store.sqlite import SqliteStore
from gateway.validation import Checked, OrderCheck

DAY = date(2026, 11, 25)
SEPA, INST = PaymentType(service_level="SEPA"), PaymentType(service_level="SEPA", local_instrument="INST")
C = InstantChoice


def order(choice: InstantChoice | None, kind: PaymentType | None = SEPA, **changes: object) -> PaymentOrder:
    made = PaymentOrder(
        payment_reference="INV-1",
        connection_id="one",
        amount=Decimal("12.50"),
        currency="EUR",
        content_sha256=b"",
        creditor=Party(name="Supplier", postal_address=PostalAddress(town_name="Amsterdam", country="NL")),
        creditor_account=Account(iban="DE89370400440532013000"),
        payment_type=kind,
        instant=choice,
    )
    made = replace(made, **changes)  # type: ignore[arg-type]
    return replace(made, content_sha256=hashlib.sha256(repr(made).encode()).digest())


def check(asked: PaymentOrder, **instant: object) -> Checked:
    settings = ConnectionSettings.model_validate(
        {
            "id": "one",
            "bank": "sepa",
            "initiating_party": "ACME BV",
            "accounts": [{"iban": "NL41MOCK0000000001", "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}],
            "channel": {"kind": "folder"},
            "instant": instant,
        }
    )
    return OrderCheck(settings, bank_named("sepa")).check(asked, "0" * 32, DAY)


@pytest.mark.parametrize(
    ("choice", "kind", "becomes", "falls_back"),
    [
        (None, SEPA, SEPA, False),
        (None, INST, INST, False),
        (C.NORMAL, SEPA, SEPA, False),
        (C.INSTANT, SEPA, INST, False),
        (C.INSTANT, INST, INST, False),
        (C.INSTANT_ELSE_NORMAL, SEPA, INST, True),
        (C.INSTANT_ELSE_NORMAL, INST, INST, True),
    ],
)
def test_a_choice_sets_the_local_instrument_and_whether_it_may_fall_back(choice, kind, becomes, falls_back) -> None:
    checked = check(order(choice, kind))
    assert checked.violations == ()
    assert (checked.terms.payment_type, checked.may_fall_back) == (becomes, falls_back)
    assert checked.reason.code == "bankgate.approved"


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        (C.NORMAL, INST),
        (C.INSTANT, PaymentType(service_level="SEPA", local_instrument="B2B")),
        (C.INSTANT_ELSE_NORMAL, PaymentType(service_level="SEPA", local_instrument_proprietary="IP")),
    ],
)
def test_a_choice_that_contradicts_the_local_instrument_is_refused_in_both_languages(choice, kind) -> None:
    (first, *_) = check(order(choice, kind)).violations
    assert (first.field, first.rule) == ("payment_type.local_instrument", "instant.contradiction")
    assert first.message_en
    assert first.message_zh


@pytest.mark.parametrize(("choice", "kind"), [(C.INSTANT, SEPA), (None, INST)])
def test_a_bank_without_instant_refuses_it_and_names_the_way_out(choice, kind) -> None:
    (violation,) = check(order(choice, kind), offered=False).violations
    assert (violation.field, violation.rule) == ("instant", "instant.not-offered")
    assert "INSTANT_ELSE_NORMAL" in violation.message_en


@pytest.mark.parametrize("kind", [SEPA, INST])
def test_a_bank_without_instant_takes_instant_else_normal_as_normal_at_once_and_says_so(kind) -> None:
    checked = check(order(C.INSTANT_ELSE_NORMAL, kind), offered=False)
    assert checked.violations == ()
    assert (checked.terms.payment_type, checked.may_fall_back) == (SEPA, False)
    assert checked.reason.code == "bankgate.instant-not-offered"


def test_instant_keeps_to_the_rules_of_instant_payments() -> None:
    rules = {violation.rule for violation in check(order(C.INSTANT_ELSE_NORMAL, None)).violations}
    assert "instant.sepa-only" in rules


def test_a_rule_that_only_the_normal_form_breaks_is_told_at_submit_not_after_the_refusal(monkeypatch) -> None:
    from formats.iso20022 import IsoBank

    real = IsoBank.check

    def stricter(self, terms, transfer, on, message_name=None):  # type: ignore[no-untyped-def]
        found = real(self, terms, transfer, on, message_name)
        if terms.payment_type == SEPA:
            from formats.errors import Violation

            found += (Violation(field="amount", rule="normal.only", source="test", message_en="-", message_zh="-"),)
        return found

    monkeypatch.setattr(IsoBank, "check", stricter)
    assert [violation.rule for violation in check(order(C.INSTANT_ELSE_NORMAL)).violations] == ["normal.only"]
    assert check(order(C.INSTANT)).violations == ()


@pytest.mark.parametrize("attempt", [1, 2])
def test_an_instruction_id_leads_back_to_its_payment_and_fits(attempt: int) -> None:
    payment_id = new_payment_id()
    instruction_id = instruction_id_of(payment_id, attempt)
    assert len(instruction_id) <= 35
    assert payment_id_of(instruction_id) == payment_id


@pytest.mark.parametrize("foreign", ["", "INV-2", "x" * 35, "0" * 33 + "-2", "0" * 31 + "-2"])
def test_an_instruction_id_of_somebody_else_is_left_as_it_is(foreign: str) -> None:
    assert payment_id_of(foreign) == foreign


async def test_another_choice_under_the_same_reference_is_a_conflict_also_after_the_fall_back(make_desk) -> None:
    desk = await make_desk()
    asked = order(C.INSTANT_ELSE_NORMAL, uetr="97ed4827-7b6f-4491-a06f-b548d5a7512d")
    checked = check(asked)
    row = replace(
        desk.row("INV-1"),
        connection_id="one",
        terms=checked.terms,
        transfer=replace(checked.transfer, instruction_id="0" * 32),
        payment_id="0" * 32,
        instant=asked.instant,
        may_fall_back=True,
    )
    assert (await desk.store.submit([row])).stored
    for _ in range(2):
        stored = await desk.store.payment(row.payment_id)
        days = {DAY}
        assert differing_fields(stored, asked, checked, days) == ()
        only = order(C.INSTANT, uetr=asked.uetr)
        assert differing_fields(stored, only, check(only), days) == ("instant",)
        if stored.refused is None:
            await send_and_refuse(desk.store, row.payment_id)
    assert stored.refused is not None


async def send_and_refuse(store: SqliteStore, payment_id: str) -> None:
    from datetime import UTC, datetime

    from gateway.store.records import NewDelivery, PlannedBlock

    now = datetime(2026, 11, 25, 9, tzinfo=UTC)
    (group,) = await store.waiting_groups("one")
    block = PlannedBlock(payment_information_id="M-1", terms_id=group.terms_id, count=1)
    names = {
        "delivery_id": "d",
        "connection_id": "one",
        "message_id": "M",
        "message_name": "pain.001.001.09",
        "file_name": "M.xml",
    }
    await store.form_delivery(NewDelivery(**names, creation_date_time=now, blocks=(block,), due_at=now))
    steps = [
        (PaymentEvent.MESSAGE_SENT, PaymentState.SENT, None),
        (PaymentEvent.INSTANT_REFUSED, PaymentState.APPROVED, NextAttempt(uetr="b" * 36, report_created=None)),
    ]
    for event, state, again in steps:
        payment = await store.payment(payment_id)
        assert payment is not None
        change = PaymentChange(
            payment_id=payment_id,
            version=payment.version,
            event=event,
            state=state,
            reason=Reason(code="AB06"),
            source="test",
            next_attempt=again,
        )
        await store.change_payments([change])
