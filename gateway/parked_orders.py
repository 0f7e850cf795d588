"""What an order that waits at a bank for signatures pays, and whether it is one that we sent."""

import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from channels.ebics.notes import read_upload
from channels.ebics.parked import Content
from channels.ebics.profile import EbicsProfile
from formats.errors import Unparsable
from formats.reader import parse
from formats.report import PaymentRead
from gateway.store.records import DeliveryFilter
from gateway.store.store import Store
from keys.ebics_signature import normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class Pays:
    """How many payments, and their sums by currency. `own`: read from the order data, whose digest is the one to be signed; else
    it is what the bank tells."""

    count: int
    sums: tuple[tuple[str, str], ...]  # currency, amount
    own: bool

    @property
    def words(self) -> str:
        """ "2 payments, 3.30 EUR": what a person confirms."""
        return ", ".join((f"{self.count} payments", *(f"{amount} {currency}" for currency, amount in self.sums)))


def pays(content: Content) -> Pays | None:
    """None where neither the data nor the bank's details say it, or the data is not that of the digest."""
    if content.data is not None:
        if not content.proved:
            return None
        try:
            read = [record for record in parse(io.BytesIO(content.data)) if isinstance(record, PaymentRead)]
        except Unparsable:
            return None
        return _added([(record.amount, record.currency) for record in read], own=True) if read else None
    details = content.details
    if details is None or details.count != len(details.amounts):
        return None
    return _added(list(details.amounts), own=False)


def _added(amounts: list[tuple[str | None, str | None]], *, own: bool) -> Pays | None:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    try:
        for amount, currency in amounts:
            sums[currency or "?"] += Decimal(amount or "")
    except InvalidOperation:
        return None
    return Pays(count=len(amounts), sums=tuple((currency, str(total)) for currency, total in sorted(sums.items())), own=own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whether this gateway sent the order: `ours`. `matches`: the document that it stored has the digest that the bank wants
    signed. `delivery_id`: of the message that it is."""

    ours: bool
    matches: bool = False
    delivery_id: str | None = None


LOOKED_AT_MAX: Final = 500
"""So many of the last messages of a connection are looked through for an order of ours; one that waits is days old at most."""


async def origin(store: Store, profile: EbicsProfile, connection_id: str, content: Content) -> Origin:
    """By the stored documents of the connection and what was noted when they were uploaded: one with the order's number is
    ours. Its digest is made anew from the document as it is stored."""
    order = content.order
    if (order.partner_id, order.user_id) != (profile.partner_id, profile.user_id):
        return Origin(ours=False)
    deliveries, _ = await store.list_deliveries(DeliveryFilter(connection_id=connection_id), limit=LOOKED_AT_MAX)
    for delivery in deliveries:
        if delivery.document_id is None or delivery.document_sha256 is None:
            continue
        text = await store.channel_note(f"{profile.scope}/upload/{delivery.document_sha256.lower()}")
        state = None if text is None else read_upload(text).state
        if state is None or state.order_id != order.order_id or state.order_type != (order.order_type or "BTU"):
            continue
        digest = hashlib.sha256()
        async for piece in store.document_chunks(delivery.document_id):
            digest.update(normalised(piece))
        return Origin(ours=True, matches=digest.digest() == content.digest, delivery_id=delivery.delivery_id)
    return Origin(ours=False)
