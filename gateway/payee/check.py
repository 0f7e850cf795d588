"""A verification as it is kept and shown: by whom it was answered, when, with what; and what it asks for. Pure."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from formats.codes import explain
from formats.model import CreditTransfer
from gateway.masking import HIDDEN, masked_number
from gateway.payee.provider import (
    NOT_APPLICABLE,
    PayeeAnswer,
    PayeeQuestion,
    PayeeResult,
    explain_reason,
    not_available,
)
from gateway.payee_settings import PayeeSettings
from gateway.people.person import Role
from gateway.policy.subject import Subject, account_key
from gateway.policy.verdict import ApprovalStep, Finding, Outcome

VERSION: Final = 1
BANK: Final = "bank"
SEES_NAMES: Final = frozenset({Role.SUBMITTER, Role.APPROVER, Role.OPERATOR, Role.SECURITY_OFFICER})
"""Who is shown the name a close match suggests: those who decide about payments. Others see that there is one."""

BANK_STATUSES: Final = {
    "RCVC": PayeeResult.MATCH,
    "RVMC": PayeeResult.CLOSE_MATCH,
    "RVNM": PayeeResult.NO_MATCH,
    "RVNA": PayeeResult.NOT_AVAILABLE,
}
"""What a bank's pain.002 says of one payee (ISO 20022 ExternalPaymentTransactionStatus1Code): no verdict on the payment."""
BANK_GROUP_STATUSES: Final = frozenset({"RCVC", "RVCM", "RVNC"})
"""What it says of all payees of a file or block: all match; some do not; not finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeCheck:
    """One answer about one payment's payee. `digest` binds it to the name and the account that were asked about; "" in what a
    bank told of a payment in a message, which nobody can change any more."""

    payment_id: str
    provider: str  # of ours, or `BANK` for what a pain.002 told
    asked_at: datetime
    answered_at: datetime
    digest: str
    answer: PayeeAnswer

    def is_about(self, transfer: CreditTransfer) -> bool:
        """Whether the payment still names the payee that was asked about."""
        return self.provider == BANK or self.digest == digest_of(transfer)


def digest_of(transfer: CreditTransfer) -> str:
    """SHA-256, in hex, over the payee's name and account as the payment says them."""
    named = "\x1f".join((transfer.creditor.name or "", account_key(transfer.creditor_account)))
    return hashlib.sha256(named.encode()).hexdigest()


def question_of(subject: Subject, settings: PayeeSettings, reference: str) -> PayeeQuestion | PayeeAnswer:
    """What to ask about a payment; or the answer at once, where the scheme does not cover it (EPC218-23: IBANs, in euro)."""
    transfer = subject.transfer
    account = transfer.creditor_account
    if transfer.currency not in settings.currencies or account is None or not account.iban or not transfer.creditor.name:
        return not_available(NOT_APPLICABLE)
    agent = transfer.creditor_agent
    return PayeeQuestion(
        name=transfer.creditor.name,
        account=account_key(account),
        bic=agent.bic if agent is not None else None,
        reference=reference,
    )


def answer_of_status(status: str | None, reason_codes: Sequence[str]) -> PayeeAnswer | None:
    """What a status of a pain.002 says of one payee; None if it is about something else.

    The name of a close match stands nowhere that all banks agree on: what the bank said in words stays with the payment's event.
    """
    result = BANK_STATUSES.get((status or "").strip())
    if result is None:
        return None
    reason = next(iter(reason_codes), "NR01") if result is PayeeResult.NOT_AVAILABLE else ""
    return PayeeAnswer(result=result, reason=reason)


def finding_of(check: PayeeCheck, subject: Subject, settings: PayeeSettings) -> Finding:
    """What the answer means for the payment: told in any case, also where it asks for nothing.

    An answer about another name or account than the payment has now is none.
    """
    answer = check.answer if check.is_about(subject.transfer) else not_available("")
    facts = [
        ("result", answer.result.value),
        ("provider", check.provider),
        ("answered_at", check.answered_at.isoformat(timespec="seconds")),
        ("creditor_account", masked_number(subject.creditor_account)),
    ]
    outcome, text_en, text_zh = Outcome.PASS, "the payee's bank confirms name and account", "收款行确认户名与账号一致"
    if answer.result is PayeeResult.NO_MATCH:
        outcome = _OUTCOMES[settings.no_match]
        text_en = "the payee's bank says that the account is not held under this name"
        text_zh = "收款行表示该账号的户名与所填姓名不符"
    elif answer.result is PayeeResult.CLOSE_MATCH:
        outcome = _OUTCOMES[settings.close_match]
        text_en = "the payee's bank says that the account is held under a similar name; it is shown beside this check"
        text_zh = "收款行表示户名与所填姓名相近，实际户名见核验记录"
    elif answer.result is PayeeResult.NOT_AVAILABLE:
        outcome = Outcome.PASS if answer.reason == NOT_APPLICABLE else _OUTCOMES[settings.not_available]
        why_en, why_zh = explain_reason(answer.reason) if answer.reason else _CHANGED
        text_en = f"whether name and account belong together is not known: {why_en}"
        text_zh = f"无法核验户名与账号是否一致：{why_zh}"
        facts.append(("reason", answer.reason))
    steps = (ApprovalStep(group=settings.approvers, count=1),) if outcome is Outcome.APPROVAL else ()
    return Finding(
        rule=f"payee.{answer.result.value.replace('_', '-')}",
        version=VERSION,
        outcome=outcome,
        text_en=text_en,
        text_zh=text_zh,
        facts=tuple(facts),
        steps=steps,
    )


_OUTCOMES: Final = {"pass": Outcome.PASS, "approval": Outcome.APPROVAL, "hold": Outcome.HOLD}
_CHANGED: Final = ("The payee was changed after the check.", "核验后收款人信息已变更。")


def shown_name(check: PayeeCheck, roles: Collection[Role]) -> str:
    """The suggested name for a person with these roles: in clear, or its initials."""
    name = check.answer.suggested_name
    if not name or SEES_NAMES & set(roles):
        return name
    return " ".join(f"{word[0]}{HIDDEN}" for word in name.split())


def bank_words(status: str) -> tuple[str, str]:
    """A status of a bank's verification in plain words, English and Chinese."""
    return explain(status)
