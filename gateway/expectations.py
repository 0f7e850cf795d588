"""Payments that are supposed to have been sent, and a store that knows nothing else.

It is what bank files are replayed against where no service is.

They come from a pain.001 that was sent (`sent_messages`) or from whoever lists them. The store is filled by the very steps of
production: stored, batched into a message of that id, sent.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import BinaryIO

from formats.model import CreditTransfer, PaymentTerms
from formats.pain001_orders import OrderRead, read_orders
from formats.reader import parse
from formats.report import Document, PaymentRead
from gateway.lifecycle import DELIVERY_TABLE, DeliveryEvent, PaymentEvent, PaymentState, advance
from gateway.matching import NOT_PROVIDED
from gateway.reasons import ours
from gateway.store.records import Delivery, DeliveryChange, NewDelivery, NewPayment, PlannedBlock
from gateway.store.store import Store

CALLER = "expected"
STORED_AT_ONCE = 1000


class BadExpectation(Exception):
    """What was given says no payments that can be expected. Names the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPayment:
    """One payment as the bank was asked for it. `transfer.instruction_id` and `reference` may be empty."""

    reference: str
    message_id: str
    message_name: str
    payment_information_id: str
    terms: PaymentTerms
    transfer: CreditTransfer


def sent_messages(opened: Callable[[], BinaryIO]) -> list[ExpectedPayment]:
    """The payments of a pain.001 that was sent. `opened` gives the file anew. Raises `Unparsable`, `BadExpectation`."""
    payments: list[ExpectedPayment] = []
    with opened() as records_of, opened() as orders_of:
        orders = read_orders(orders_of)
        document: Document | None = None
        for record in parse(records_of):
            if isinstance(record, Document):
                document = record
                if not record.message.startswith("pain.001"):
                    raise BadExpectation(f"is a {record.message}; what was sent is a pain.001")
            elif isinstance(record, PaymentRead) and document is not None:
                payment = _expected(document, record, next(orders))
                same = payments and payments[-1].terms == payment.terms
                payments.append(replace(payment, terms=payments[-1].terms) if same else payment)  # held once, not each time
    if not payments:
        raise BadExpectation("there is no payment in it")
    return payments


def _expected(document: Document, record: PaymentRead, order: OrderRead) -> ExpectedPayment:
    if order.problems:
        first = order.problems[0]
        raise BadExpectation(f"line {order.line}: {first.field}: {first.message_en}")
    if not document.message_id or not record.payment_information_id:
        raise BadExpectation(f"line {order.line}: its message (MsgId) or its block (PmtInfId) has no identification")
    return ExpectedPayment(
        reference="",
        message_id=document.message_id,
        message_name=document.message,
        payment_information_id=record.payment_information_id,
        terms=order.terms,
        transfer=order.transfer,
    )


def with_references(payments: Sequence[ExpectedPayment]) -> list[ExpectedPayment]:
    """Each with a reference of its own, by which it is shown: the one given, else the end-to-end or instruction id if no other
    payment has it, else its place in its message. Raises `BadExpectation` for one given twice."""
    given = Counter(payment.reference for payment in payments if payment.reference)
    twice = next((reference for reference, count in given.items() if count > 1), None)
    if twice is not None:
        raise BadExpectation(f"the payment reference {twice!r} stands twice")
    end_to_end = Counter(payment.transfer.end_to_end_id for payment in payments)
    instructions = Counter(payment.transfer.instruction_id for payment in payments)
    places: Counter[str] = Counter()
    found = []
    for payment in payments:
        places[payment.message_id] += 1
        reference = payment.reference
        for value, counted in ((payment.transfer.end_to_end_id, end_to_end), (payment.transfer.instruction_id, instructions)):
            if not reference and value not in NOT_PROVIDED and counted[value] == 1 and value not in given:
                reference = value
        found.append(replace(payment, reference=reference or f"{payment.message_id}#{places[payment.message_id]}"))
    return found


async def store_expected(store: Store, connection_id: str, payments: Sequence[ExpectedPayment], now: datetime) -> None:
    """Brings the payments into an empty store as sent. Raises `BadExpectation`.

    An instruction id that several payments have tells none of them apart (ISO 20022 makes it unique between two parties, yet ERP
    systems count from 1 in each message): such payments are found by their other keys.
    """
    instructions = Counter(payment.transfer.instruction_id for payment in payments)
    messages: dict[str, dict[str, list[ExpectedPayment]]] = {}
    for payment in with_references(payments):
        messages.setdefault(payment.message_id, {}).setdefault(payment.payment_information_id, []).append(payment)
    number = 0
    for message_id, blocks in messages.items():
        rows: list[NewPayment] = []
        for block in blocks.values():
            for payment in block:
                number += 1
                named = payment.transfer.instruction_id if instructions[payment.transfer.instruction_id] == 1 else ""
                rows.append(_row(connection_id, payment, block[0].terms, named or f"expected-{number}"))
        await _store(store, rows)
        await _send(store, connection_id, message_id, blocks, now)


def _row(connection_id: str, payment: ExpectedPayment, terms: PaymentTerms, payment_id: str) -> NewPayment:
    return NewPayment(
        payment_id=payment_id,
        caller=CALLER,
        payment_reference=payment.reference,
        connection_id=connection_id,
        terms=terms,  # of the block's first payment: what differs within a block plays no part in matching
        transfer=replace(payment.transfer, instruction_id=payment_id),
        content_sha256=sha256(payment.reference.encode()).digest(),
        state=PaymentState.APPROVED,
        reason=ours("approved"),
    )


async def _store(store: Store, rows: list[NewPayment]) -> None:
    for start in range(0, len(rows), STORED_AT_ONCE):
        await store.submit(rows[start : start + STORED_AT_ONCE])


async def _send(
    store: Store, connection_id: str, message_id: str, blocks: dict[str, list[ExpectedPayment]], now: datetime
) -> None:
    """One message of all that is stored and not sent yet, in the order in which it was stored."""
    groups = {group.terms: group.terms_id for group in await store.waiting_groups(connection_id)}
    planned = tuple(
        PlannedBlock(payment_information_id=block_id, terms_id=groups[block[0].terms], count=len(block))
        for block_id, block in blocks.items()
    )
    delivery = await store.form_delivery(
        NewDelivery(
            delivery_id=f"expected-{message_id}",
            connection_id=connection_id,
            message_id=message_id,
            message_name=next(iter(blocks.values()))[0].message_name,
            file_name=message_id,
            creation_date_time=now,
            blocks=planned,
            due_at=now,
        )
    )
    assert delivery is not None  # noqa: S101 - its payments were stored above, and nobody else is here
    sending = await _advance(store, delivery, DeliveryEvent.STARTED)
    await _advance(store, sending, DeliveryEvent.CONFIRMED, PaymentEvent.MESSAGE_SENT)


async def _advance(store: Store, delivery: Delivery, event: DeliveryEvent, payment_event: PaymentEvent | None = None) -> Delivery:
    return await store.change_delivery(
        DeliveryChange(
            delivery_id=delivery.delivery_id,
            fence=delivery.fence,
            state=delivery.state,
            event=event,
            next_state=advance(DELIVERY_TABLE, delivery.state, event),
            payment_event=payment_event,
            payment_reason=ours("sent"),
        )
    )
