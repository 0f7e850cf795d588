"""What a caller's permissions say of single payments: which account pays, in which currency, how much."""

from collections import OrderedDict
from typing import Final

from gateway.callers import Caller, Missing, Money
from gateway.errors import Forbidden
from gateway.payment import PaymentOrder
from gateway.policy.subject import account_key
from gateway.store.records import Payment, PaymentEventRow
from gateway.store.store import Store
from gateway.validation import Checked

PAYMENTS_REMEMBERED_MAX: Final = 10_000

_WORDS: Final[dict[Missing, str]] = {
    "action": "do this",
    "connection": "do this on that connection",
    "account": "do this with that account",
    "currency": "do this in that currency with that account",
    "amount": "do this with so large an amount in that currency with that account",
}


def money_of(payment: Payment) -> Money:
    """What of a stored payment permissions look at."""
    transfer = payment.transfer
    return Money(account_key(payment.terms.debtor_account), transfer.currency, transfer.amount)


def permit(caller: Caller, action: str, index: int, order: PaymentOrder, checked: Checked) -> None:
    """Raises `Forbidden` if no permission of the caller's reaches this payment, which is on a connection it may do this on.

    An account that the connection does not have is judged as it was asked for: the answer is the one for an account that it has
    and the caller may not use. What cannot be read or is left out is no payment yet: the rules refuse it.
    """
    unknown = any(violation.field.startswith("debtor_account") for violation in checked.violations)
    account = account_key(order.debtor_account if unknown else checked.terms.debtor_account)
    if not account or order.amount is None or order.currency is None:
        return
    missing = caller.lacks(action, order.connection_id, Money(account, order.currency, order.amount))
    if missing is not None:
        raise refusal(caller, action, order.connection_id, missing, f" (payments[{index}])")


def refusal(caller: Caller, action: str, connection_id: str, missing: Missing, place: str = "") -> Forbidden:
    """Says what is not allowed, and nothing of what would be."""
    return Forbidden(
        f"caller {caller.name!r} may not {action} on connection {connection_id!r}{place}: no permission of its own lets it "
        f"{_WORDS[missing]}",
        missing,
    )


class OwnEvents:
    """Which events of a feed are about payments that a caller may read. Looks at payments only if its permissions do."""

    def __init__(self, store: Store, caller: Caller) -> None:
        self._store = store
        self._caller = caller
        self._known: OrderedDict[str, bool] = OrderedDict()

    async def of(self, events: list[PaymentEventRow]) -> list[PaymentEventRow]:
        if not self._caller.is_limited("read"):
            return events
        return [event for event in events if await self._may_see(event.payment_id)]

    async def _may_see(self, payment_id: str) -> bool:
        known = self._known.get(payment_id)
        if known is None:
            payment = await self._store.payment(payment_id)
            known = payment is not None and self._caller.may("read", payment.connection_id, money_of(payment))
            self._known[payment_id] = known
            if len(self._known) > PAYMENTS_REMEMBERED_MAX:
                self._known.popitem(last=False)
        return known
