"""What a bank's codes mean: for the payment (`verdict`) and for a person (`explain`).

Source of the codes: ISO 20022 External Code Sets (ExternalPaymentGroupStatus1Code, ExternalPaymentTransactionStatus1Code,
ExternalStatusReason1Code, ExternalReturnReason1Code); of the EBICS ones (DS.., TS.., TD..) the EBICS specification, annex on HAC.
The sentences are our own. The sets are open: banks use codes that no table has, and codes of their own.
"""

from formats.code_tables import REASONS, STATUSES
from formats.report import Verdict

# ACWP: the creditor's bank has accepted, and not yet posted. BLCK takes that back, and what follows it is open, so BLCK waits.
# ACFW waits too: it needs a confirmation by the ordering party. CANC says that a request for cancellation has been granted
# (ExternalPaymentTransactionStatus1Code, meant for APIs): nothing will be paid, which for the payment is a rejection.
_VERDICTS = {
    **dict.fromkeys(("ACCP", "ACSP", "ACWC", "ACFC", "ACWP", "ACIS", "ACPD"), Verdict.ACCEPTED),
    **dict.fromkeys(("ACSC", "ACCC"), Verdict.SETTLED),
    **dict.fromkeys(("RJCT", "CANC"), Verdict.REJECTED),
}


def verdict(status: str | None) -> Verdict:
    """What a status means for the payment or payments it was given to.

    Words that are not known, or that promise nothing (RCVD, PDNG, ACTC, PART, PATC, BLCK …), are PENDING: only a status that
    by its definition refuses a payment rejects it. PART speaks of a group of payments and rejects none of them.
    """
    return _VERDICTS.get((status or "").strip(), Verdict.PENDING)


def explain(code: str) -> tuple[str, str]:
    """A status or reason code in plain words, English and Chinese. A code no table has gets a sentence that says so."""
    key = code.strip()
    known = REASONS.get(key) or STATUSES.get(key)
    if known is not None:
        return known
    return (
        f"The bank gave the code {key[:35]}, which is not in the ISO 20022 code sets; ask the bank what it means.",
        f"银行返回代码 {key[:35]}，不在 ISO 20022 外部代码集中；请向银行询问其含义。",
    )
