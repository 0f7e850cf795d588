"""Who approved, as they are now, where a rule looks at its approvers again (`recheck = true`)."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.people.records import Account
from gateway.policy.verdict import Verdict
from gateway.review_standing import Approvers, looked_at_again
from gateway.store.reviews import Signed, Waiting


class Accounts(Protocol):
    """The part of the store that is asked."""

    async def account(self, name: str) -> Account | None: ...


async def people_now(accounts: Accounts, judged: Iterable[tuple[Sequence[Signed], Verdict]]) -> Approvers | None:
    """Of the approvers of these payments those who have an account that is not disabled; None: no rule asks for it."""
    asked = [names for signed, verdict in judged if (names := looked_at_again(signed, verdict)) is not None]
    if not asked:
        return None
    found = [await accounts.account(name) for name in sorted(frozenset[str]().union(*asked))]
    return {one.name: one.person for one in found if one is not None and not one.disabled}


async def approvers_of(accounts: Accounts, waiting: Iterable[Waiting]) -> Approvers | None:
    """Likewise, by the reviews that payments have."""
    return await people_now(accounts, [(one.signed, one.review.verdict) for one in waiting if one.review is not None])
