"""What the bank found of the payees of an order that waits for its release, before a person releases it.

Orders whose payees are verified (`channels.ebics.orders.verifies_payees`) are released or cancelled as a whole once the bank
has told its result in a pain.002 (docs/payee.md). The result stands with each payment, as its bank status. What is not told
yet, or only that it is not finished, is a state of its own: an order of ours is not released over it.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from channels.ebics.orders import verifies_payees
from channels.ebics.parked import Content
from formats.codes import explain
from gateway.parked_orders import Origin
from gateway.payee.check import BANK_STATUSES
from gateway.payee.provider import PayeeResult
from gateway.store.records import Payment, PaymentFilter
from gateway.store.store import Store

WHOLE: Final = "RVCM"  # of the whole: verified, some do not match; nothing singly of a payment that has only this
SHOWN_MAX: Final = 20
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """A payment whose payee is not a plain match, and the bank's words; a suggested name may be among them."""

    payment_reference: str
    status: str
    text_en: str
    text_zh: str
    bank_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payees:
    """Of the payments of one order, how many have which result. `counts` by the words of the result; `untold`: of how many the
    bank has told nothing, or that it is not finished. `doubtful`: the first of those that are no plain match."""

    counts: tuple[tuple[str, int], ...]
    untold: int
    doubtful: tuple[Doubtful, ...]

    @property
    def complete(self) -> bool:
        return self.untold == 0

    @property
    def words(self) -> str:
        """ "2 match, 1 no match": what a person confirms."""
        told = [f"{count} {word}" for word, count in self.counts]
        return ", ".join(told + ([f"{self.untold} not told yet"] if self.untold else []))


def asks_for_payees(content: Content) -> bool:
    """Whether the order is one that waits because its payees are verified."""
    return verifies_payees(content.order.order_type, content.order.service)


async def payees_of(store: Store, found: Origin) -> Payees | None:
    """None where this gateway did not send the order: then what the bank found is not known here."""
    if found.delivery_id is None:
        return None
    counts: Counter[str] = Counter()
    untold = 0
    doubtful: list[Doubtful] = []
    token: str | None = None
    where = PaymentFilter(delivery_id=found.delivery_id)
    while True:
        payments, token = await store.list_payments(where, limit=_PAGE, before=token)
        for payment in payments:
            result = _result(payment)
            if result is None:
                untold += 1
                continue
            counts[result] += 1
            if result != _words(PayeeResult.MATCH) and len(doubtful) < SHOWN_MAX:
                doubtful.append(_doubtful(payment))
        if token is None:
            break
    order = [*(_words(one) for one in PayeeResult), _SINGLY]
    return Payees(counts=tuple((word, counts[word]) for word in order if counts[word]), untold=untold, doubtful=tuple(doubtful))


_SINGLY: Final = "not told singly"


def _words(result: PayeeResult) -> str:
    return result.value.replace("_", " ")


def _result(payment: Payment) -> str | None:
    status = (payment.bank_status or "").strip()
    if status == WHOLE:
        return _SINGLY
    found = BANK_STATUSES.get(status)
    return None if found is None else _words(found)


def _doubtful(payment: Payment) -> Doubtful:
    status = payment.bank_status or ""
    english, chinese = explain(status)
    return Doubtful(
        payment_reference=payment.payment_reference,
        status=status,
        text_en=english,
        text_zh=chinese,
        bank_text=payment.reason.bank_text,
    )
