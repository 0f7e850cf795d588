"""What a bank's codes mean: for the payment (`verdict`) and for a person (`explain`).

Source of the codes: ISO 20022 External Code Sets (ExternalPaymentGroupStatus1Code, ExternalPaymentTransactionStatus1Code,
ExternalStatusReason1Code, ExternalReturnReason1Code, ExternalVerificationReason1Code); of the EBICS ones (DS.., TS.., TD..)
the EBICS specification, annex on HAC. The sentences are our own. The sets are open: banks use codes that no table has, and codes
of their own. The same code can mean one thing as a status and another as the reason of a cancellation: there is one function a
kind of code, and `meanings` for all.
"""

import re
from typing import Final, NamedTuple

from formats.code_tables import REASONS, STATUSES
from formats.code_tables_bookings import CHARGE_BEARERS, CHARGE_TYPES, DOMAINS, FAMILIES, SUB_FAMILIES, SWIFT_TYPES
from formats.code_tables_cancellation import CANCELLATION_REASONS, CANCELLATION_REFUSALS, CANCELLATION_STATUSES
from formats.code_tables_payees import VERIFICATION_REASONS
from formats.report import Verdict

# ACWP: the creditor's bank has accepted, and not yet posted. BLCK takes that back, and what follows it is open, so BLCK waits.
# ACFW waits too: it needs a confirmation by the ordering party. CANC says that a request for cancellation has been granted
# (ExternalPaymentTransactionStatus1Code, meant for APIs): nothing will be paid, which for the payment is a rejection.
_VERDICTS = {
    **dict.fromkeys(("ACCP", "ACSP", "ACWC", "ACFC", "ACWP", "ACIS", "ACPD"), Verdict.ACCEPTED),
    **dict.fromkeys(("ACSC", "ACCC"), Verdict.SETTLED),
    **dict.fromkeys(("RJCT", "CANC"), Verdict.REJECTED),
}

# Before anything is executed: the verification of the payees (opt-in orders), of a file or block and of each payment.
_ABOUT_PAYEES: Final = frozenset({"RCVC", "RVCM", "RVNC", "RVMC", "RVNM", "RVNA"})


def is_about_payees(status: str | None) -> bool:
    """Whether a status says how the verification of payees ended, and nothing of the payment itself."""
    return (status or "").strip() in _ABOUT_PAYEES


def verdict(status: str | None) -> Verdict:
    """What a status means for the payment or payments it was given to.

    Words that are not known, or that promise nothing (RCVD, PDNG, ACTC, PART, PATC, BLCK …), are PENDING: only a status that
    by its definition refuses a payment rejects it. PART speaks of a group of payments and rejects none of them.
    """
    return _VERDICTS.get((status or "").strip(), Verdict.PENDING)


def explain(code: str) -> tuple[str, str]:
    """A status or reason code in plain words, English and Chinese. A code no table has gets a sentence that says so."""
    key = code.strip()
    known = REASONS.get(key) or STATUSES.get(key) or VERIFICATION_REASONS.get(key) or _of_bank(key)
    return known or _unknown(key)


def _of_bank(key: str) -> tuple[str, str] | None:
    """A code of a bank's own interface, under the name of its plugin ("cib.PAYOUT")."""
    name, dot, code = key.partition(".")
    if not dot or not code:
        return None
    from formats.bank import UnknownBank, bank_named  # plugins use this file in their turn
    from formats.dialogue import DialogueBank

    try:
        bank = bank_named(name)
    except UnknownBank:
        return None
    return bank.explain(code) if isinstance(bank, DialogueBank) else None


def explain_cancellation(code: str) -> tuple[str, str]:
    """What camt.029 says of a cancellation, status or reason, in plain words, English and Chinese."""
    key = code.strip()
    return CANCELLATION_STATUSES.get(key) or CANCELLATION_REFUSALS.get(key) or explain(key)


def explain_charge_type(code: str) -> tuple[str, str]:
    """A type of charge in plain words, English and Chinese."""
    key = code.strip()
    return CHARGE_TYPES.get(key) or _unknown(key)


def explain_bank_transaction_code(code: str) -> tuple[str, str]:
    """What was booked, in plain words, English and Chinese: "PMNT-RCDT-ESCT" (domain, family, sub-family), or an MT940 type
    ("NTRF"; with the bank's own code after a plus, "NTRF+166").

    A part that no table has is said as it stands; a code of a bank's own is said to be one.
    """
    key = code.strip()
    parts = key.split("-")
    if 1 <= len(parts) <= 3 and parts[0] in DOMAINS:
        return _composed(parts)
    swift = _SWIFT_TYPE.fullmatch(key)
    if swift is not None:
        return _swift(*swift.groups())
    return (
        f"The bank gave a code of its own, {key[:35]}; its list says what it means.",
        f"银行使用自有代码 {key[:35]}，含义见该行代码表。",
    )


class Meaning(NamedTuple):
    """What a code means as one kind of code."""

    kind_en: str
    kind_zh: str
    text_en: str
    text_zh: str


_ONLY_OF_PAYEES: Final = {code: words for code, words in VERIFICATION_REASONS.items() if code not in REASONS}
_KINDS: Final = (
    ("status of a payment or file", "付款或文件状态", STATUSES),
    ("reason for a status or return", "状态或退回原因", REASONS),
    ("status of a cancellation", "撤销状态", CANCELLATION_STATUSES),
    ("reason for refusing a cancellation", "拒绝撤销原因", CANCELLATION_REFUSALS),
    ("reason for asking for a cancellation", "请求撤销原因", CANCELLATION_REASONS),
    ("reason in the verification of a payee", "收款人核验原因", _ONLY_OF_PAYEES),
    ("type of charge", "费用类型", CHARGE_TYPES),
    ("bearer of the charges", "费用承担方", CHARGE_BEARERS),
)


def meanings(code: str) -> tuple[Meaning, ...]:
    """Everything a code can mean, by kind of code; empty where no table has it."""
    key = code.strip()
    found = [Meaning(en, zh, *table[key]) for en, zh, table in _KINDS if key in table]
    booked = explain_bank_transaction_code(key) if _is_booking(key) else None
    for table, en, zh in (
        (DOMAINS, "domain of a bank transaction code", "银行交易代码类别"),
        (FAMILIES, "family of a bank transaction code", "银行交易代码族"),
        (SUB_FAMILIES, "sub-family of a bank transaction code", "银行交易代码子族"),
    ):
        if key in table:
            text_en, text_zh = table[key]
            found.append(Meaning(en, zh, f"{text_en[0].upper()}{text_en[1:]}.", f"{text_zh}。"))
    if booked is not None:
        found.append(Meaning("bank transaction code", "银行交易代码", *booked))
    return (*found, *_of_banks(key))


def _of_banks(key: str) -> list[Meaning]:
    """What a code means in the interfaces of banks that answer at once: at one of them ("cib.PAYOUT"), or at each ("PAYOUT")."""
    from formats.bank import discover  # plugins use this file in their turn
    from formats.dialogue import DialogueBank

    wanted, dot, code = key.partition(".")
    found = []
    for name, bank in sorted(discover().items()):
        if not isinstance(bank, DialogueBank) or (dot and name != wanted):
            continue
        explained = bank.explain(code if dot else key)
        if explained is not None:
            found.append(Meaning(f"code of the bank {name}", f"{name} 银行代码", *explained))
    return found


# -- bookings --------------------------------------------------------------------------------------------------------------

_SWIFT_TYPE: Final = re.compile(r"([NFS])([A-Z]{3}|\d{3})(?:\+(.{1,35}))?")


def _is_booking(key: str) -> bool:
    if "-" in key:
        return key.split("-", maxsplit=1)[0] in DOMAINS
    swift = _SWIFT_TYPE.fullmatch(key)
    return swift is not None and (swift[2] in SWIFT_TYPES or swift[1] == "S")


def _composed(parts: list[str]) -> tuple[str, str]:
    """ "Payments: credit transfer received, SEPA credit transfer." """
    english, chinese = DOMAINS[parts[0]]
    said = []
    for part, table in zip(parts[1:], (FAMILIES, SUB_FAMILIES), strict=False):
        said.append(table.get(part, (part[:35], part[:35])))
    if not said:
        return f"{english}.", f"{chinese}。"
    return f"{english}: {', '.join(en for en, _ in said)}.", f"{chinese}：{'，'.join(zh for _, zh in said)}。"


def _swift(first: str, kind: str, own: str | None) -> tuple[str, str]:
    """ "Transfer (the bank's code 166)." """
    if kind.isdigit() and first == "S":
        english, chinese = f"SWIFT message MT{kind}", f"SWIFT 报文 MT{kind}"
    else:
        english, chinese = SWIFT_TYPES.get(kind, (f"The bank's code {kind}", f"银行代码 {kind}"))
    if first == "F":
        english, chinese = f"{english}, advised here first", f"{chinese}（首次通知）"
    if own is not None:
        english, chinese = f"{english} (the bank's code {own})", f"{chinese}（银行代码 {own}）"
    return f"{english}.", f"{chinese}。"


def _unknown(key: str) -> tuple[str, str]:
    return (
        f"The bank gave the code {key[:35]}, which is not in the ISO 20022 code sets; ask the bank what it means.",
        f"银行返回代码 {key[:35]}，不在 ISO 20022 外部代码集中；请向银行询问其含义。",
    )
