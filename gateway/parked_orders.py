"""What an order that waits at a bank for signatures pays, and whether it is one that we sent."""

import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from channels.ebics.notes import read_upload
from channels.ebics.parked import Content
from channels.ebics.profile import EbicsProfile
from formats.errors import Unparsable
from formats.reader import parse
from formats.report import PaymentRead
from gateway.store.store import Store


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
    """Whether this gateway sent the order: `ours` None where that cannot be told. `matches`: what we noted when we sent it has
    the digest that the bank wants signed."""

    ours: bool | None
    matches: bool = False


async def origin(store: Store, profile: EbicsProfile, content: Content) -> Origin:
    """By what was noted when these very bytes were uploaded; without the bank's data of the order it cannot be told."""
    if content.data is None:
        return Origin(ours=None)
    note = await store.channel_note(f"{profile.scope}/upload/{hashlib.sha256(content.data).hexdigest()}")
    if note is None:
        return Origin(ours=False)
    return Origin(ours=True, matches=read_upload(note).state.digest == content.digest.hex())
