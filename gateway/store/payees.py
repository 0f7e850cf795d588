"""What was answered about payees, as a store keeps it: `PayeeStore` is the part of the contract about it."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from gateway.payee.check import PayeeCheck
from gateway.payee.provider import PayeeAnswer, PayeeResult

COLUMNS: Final = (
    *("payment_id", "provider", "asked_at", "answered_at", "digest", "result"),
    *("suggested_name", "reason", "provider_reference"),
)


class PayeeStore(Protocol):
    async def keep_payee_checks(self, checks: Sequence[PayeeCheck]) -> int:
        """Keeps answers for good: how many were new. One is known by its payment, its provider and the moment it was asked; the
        first that was kept of it stays."""
        ...

    async def payee_checks(self, payment_ids: Sequence[str]) -> dict[str, tuple[PayeeCheck, ...]]:
        """Every answer about these payments, the latest first; payments without any are left out."""
        ...


def check_of(row: Sequence[Any], moment: Any) -> PayeeCheck:
    """A row in the order of `COLUMNS`; `moment` makes a moment of a column's value."""
    return PayeeCheck(
        payment_id=row[0],
        provider=row[1],
        asked_at=moment(row[2]),
        answered_at=moment(row[3]),
        digest=row[4],
        answer=PayeeAnswer(result=PayeeResult(row[5]), suggested_name=row[6], reason=row[7], reference=row[8]),
    )


def values_of(check: PayeeCheck, column: Any) -> tuple[Any, ...]:
    """The other way."""
    answer = check.answer
    return (
        *(check.payment_id, check.provider, column(check.asked_at), column(check.answered_at), check.digest),
        *(answer.result.value, answer.suggested_name, answer.reason, answer.reference),
    )


def by_payment(checks: Sequence[PayeeCheck]) -> dict[str, tuple[PayeeCheck, ...]]:
    """Checks in the order that they have, by their payments."""
    found: dict[str, tuple[PayeeCheck, ...]] = {}
    for check in checks:
        found[check.payment_id] = (*found.get(check.payment_id, ()), check)
    return found
