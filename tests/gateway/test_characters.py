"""Texts that a scheme does not carry: accepted and shown, or refused where the connection says so; stored as asked."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from formats.model import Account, Party, PostalAddress, RemittanceInformation
from gateway.callers import Caller
from gateway.config import Configuration, ConnectionSettings
from gateway.errors import Conflict, Invalid
from gateway.lifecycle import DeliveryState
from gateway.payment import PaymentOrder
from gateway.service import Gateway
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ERP = Caller("erp", ("*",), frozenset({"submit", "read"}))
ASKED = "“Käse” – Müller"
WRITTEN = "'Käse' - Müller"


def order(name: str = ASKED, reference: str = "INV-1", connection_id: str = "told", **changes: object) -> PaymentOrder:
    base = PaymentOrder(
        payment_reference=reference,
        connection_id=connection_id,
        amount=Decimal("12.50"),
        currency="EUR",
        content_sha256=b"",
        creditor=Party(name=name, postal_address=PostalAddress(town_name="Amsterdam", country="NL")),
        creditor_account=Account(iban="DE89370400440532013000"),
        remittance_information=RemittanceInformation(unstructured=("Invoice…",)),
    )
    made = replace(base, **changes)  # type: ignore[arg-type]
    return replace(made, content_sha256=sha256(repr(made).encode()).digest())


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    store = SqliteStore(tmp_path / "bankgate.db", clock=lambda: NOW)
    await store.open()
    accounts = [{"iban": "NL41MOCK0000000001", "holder": "ACME BV", "agent_bic": "MOCKNL2AXXX", "currency": "EUR"}]
    common = {"bank": "sepa", "initiating_party": "ACME BV", "accounts": accounts, "channel": {"kind": "folder"}}
    connections = {
        "told": ConnectionSettings.model_validate({"id": "told", **common}),
        "strict": ConnectionSettings.model_validate({"id": "strict", "characters": "refuse", **common}),
    }
    configuration = Configuration(directory=tmp_path, connections=connections)
    yield Gateway(configuration, store, clock=lambda: NOW, metrics=Metrics())
    await store.close()


async def test_a_payment_is_taken_the_replacements_are_shown_and_what_was_asked_is_stored(gateway: Gateway) -> None:
    violations, _, warnings, _ = await gateway.check(ERP, [order()], None)
    assert violations == ()
    (submitted,) = await gateway.submit(ERP, [order()])
    for told in (warnings, submitted.warnings):
        assert {(one.violation.field, one.violation.fix) for one in told} == {
            ("creditor.name", WRITTEN),
            ("remittance_information.unstructured[0]", "Invoice..."),
        }
        assert {one.violation.severity for one in told} == {"warning"}
    payment = await gateway.payment(ERP, payment_id=submitted.payment_id)
    assert payment.transfer.creditor.name == ASKED


async def test_a_repetition_is_compared_with_what_was_asked_and_not_with_what_is_written(gateway: Gateway) -> None:
    (first,) = await gateway.submit(ERP, [order()])
    (again,) = await gateway.submit(ERP, [order()])
    assert (again.already_known, again.payment_id) == (True, first.payment_id)
    with pytest.raises(Conflict) as refused:
        await gateway.submit(ERP, [order(WRITTEN)])
    assert refused.value.conflicts[0].fields == ("creditor.name",)


async def test_a_connection_that_refuses_refuses_and_offers_the_same_text(gateway: Gateway) -> None:
    with pytest.raises(Invalid) as refused:
        await gateway.submit(ERP, [order(connection_id="strict")])
    found = {one.violation.field: one.violation.fix for one in refused.value.violations}
    assert found == {"creditor.name": WRITTEN, "remittance_information.unstructured[0]": "Invoice..."}


@pytest.mark.parametrize(("name", "fix"), [("李明", "LiMing"), ("A😀", None)])
async def test_what_cannot_be_written_faithfully_is_refused(gateway: Gateway, name: str, fix: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        await gateway.submit(ERP, [order(name)])
    (one,) = refused.value.violations
    assert (one.violation.field, one.violation.rule, one.violation.fix) == ("creditor.name", "sepa.characters", fix)


@pytest.mark.parametrize(("mode", "name"), [("transliterate", WRITTEN), ("refuse", ASKED)])
async def test_the_message_carries_the_replacement_and_carries_it_again_the_same(make_desk, mode: str, name: str) -> None:
    desk = await make_desk(bank="sepa", characters=mode, accounts=({"iban": "NL41MOCK0000000001", "holder": "“ACME”"},))
    rows = []
    for number, asked in enumerate(("Plain", ASKED, "李明"), start=1):
        row = desk.row(f"INV-{number}")
        place = PostalAddress(town_name="Amsterdam", country="NL")
        terms = replace(row.terms, debtor=Party(name="“ACME”"))
        rows.append(replace(row, terms=terms, transfer=replace(row.transfer, creditor=Party(name=asked, postal_address=place))))
    await desk.store.submit(rows)
    (delivery,) = await desk.form()
    blocks = await desk.store.delivery_blocks(delivery.delivery_id)
    message = desk.preparer._message(delivery, blocks, None)
    names = [transfer.creditor.name for transfer in message.blocks[0].transfers()]
    assert names == [transfer.creditor.name for transfer in message.blocks[0].transfers()]
    assert sorted(names) == sorted(["Plain", name, "李明"])
    assert message.blocks[0].terms.debtor.name == ("'ACME'" if mode == "transliterate" else "“ACME”")
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    (_, data) = desk.channel.bank[0]
    assert f"<Nm>{name}</Nm>".encode() in data
