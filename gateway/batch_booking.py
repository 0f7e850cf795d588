"""Batch bookings: one statement entry for a whole block, as German banks book credit transfers by default.

The entry names our message or block [Btch/MsgId, Btch/PmtInfId] and no single transaction. It settles the block's payments if its
amount is the block's control sum, or that sum without the payments the bank rejected before; else a person looks.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from formats.report import Entry
from gateway.lifecycle import PaymentEvent, PaymentState
from gateway.news import entry_event, of_entry
from gateway.news_store import BlockStore
from gateway.store.records import Delivery, PaymentFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedBlock:
    """A block (None: the whole message) that an entry booked. `amounts_agree` False: it must not be taken for settled.

    `left_out` are payments the bank rejected before and left out of the booking. `exceeds`: it booked more than they leave, and
    may have executed some of them.
    """

    delivery: Delivery
    payment_information_id: str | None
    expected: Decimal
    amounts_agree: bool
    left_out: frozenset[str] = frozenset()
    exceeds: bool = False


def is_batch_booking(entry: Entry) -> bool:
    """Whether the entry books a batch of ours without naming its transactions."""
    if entry.batch_message_id is None and entry.batch_payment_information_id is None:
        return False
    if entry_event(entry, None, entry.credit_debit) is not PaymentEvent.BANK_SETTLED:
        return False
    return not any(news is not None and (news.instruction_id or news.end_to_end_id) for news in of_entry(entry))


async def booked_block(store: BlockStore, connection_id: str, entry: Entry) -> BookedBlock | None:
    """The block of ours that the entry books; None if the batch is none of ours."""
    block_id = entry.batch_payment_information_id
    # Our blocks are named after their message: "<message id>-<number>" (gateway.batching).
    message_id = entry.batch_message_id or (block_id or "").rpartition("-")[0]
    delivery = await store.delivery_by_message_id(connection_id, message_id) if message_id else None
    if delivery is None:
        return None
    blocks = await store.delivery_blocks(delivery.delivery_id)
    meant = [block for block in blocks if block_id in {None, block.payment_information_id}]
    expected = sum((block.control_sum for block in meant), Decimal(0))
    try:
        booked = Decimal(entry.amount)
    except InvalidOperation:
        booked = Decimal(-1)
    if meant and booked == expected:
        return BookedBlock(delivery=delivery, payment_information_id=block_id, expected=expected, amounts_agree=True)
    rejected = await _rejected(store, delivery, block_id)
    left = expected - sum(rejected.values(), Decimal(0))
    return BookedBlock(
        delivery=delivery,
        payment_information_id=block_id,
        expected=left,
        amounts_agree=bool(meant) and booked == left,
        left_out=frozenset(rejected),
        exceeds=booked > left,
    )


async def _rejected(store: BlockStore, delivery: Delivery, block_id: str | None) -> dict[str, Decimal]:
    attempts = await store.refused_attempts(delivery.delivery_id)
    found = {a.payment_id: a.amount for a in attempts if block_id in {None, a.payment_information_id}}
    token: str | None = None
    where = PaymentFilter(connection_id=delivery.connection_id, delivery_id=delivery.delivery_id, states=(PaymentState.REJECTED,))
    while True:
        page, token = await store.list_payments(where, limit=1000, before=token)
        for payment in page:
            if block_id in {None, payment.payment_information_id}:
                found[payment.payment_id] = payment.transfer.amount
        if token is None:
            return found
