"""The records of an entry and its transactions, made of the texts that the shapes of `camt_shapes` find in them.

Choices this module makes, where the standard leaves room:

- A transaction's amount is TxDtls/Amt, else AmtDtls/TxAmt/Amt. It is not taken from the entry; null says the bank gave none.
- The counterparty is the debtor of a credit and the creditor of a debit; the party's own name and account, else the ultimate
  party's. Returns and reversals carry the parties of the original payment (the Swiss and German guidelines say so, and files
  of other banks show it), so with both sides given the roles are swapped, and with one given that one is meant. A side whose
  account is the statement's own is never the counterparty.
- Remittance information is each Ustrd, then each structured creditor reference.
- An entry without an amount (files that break the schema so exist) has that of its transactions together, when these have one
  currency and one direction; otherwise the file is refused, as is an amount that is no unsigned number.
- Dates are as written: a date, or a date and time where the bank gives one.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from formats.camt_shapes import BATCH, amounts_of, availability_of, charges_of, code_of, party_of, structured_of
from formats.pain002 import reasons_of
from formats.report import Entry, EntryTransaction, Party
from formats.shapes import Supplement
from formats.twins import quick

_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
_NOBODY = Party()
_entry, _transaction = quick(Entry), quick(EntryTransaction)


class NoAmount(Exception):
    """An entry whose amount is absent or no unsigned number."""


def entry_record(
    found: dict[str, Any],
    supplement: Supplement,
    *,
    statement_id: str | None,
    batch: dict[str, Any],
    transactions: Sequence[EntryTransaction],
) -> Entry:
    """The record of what was found in an entry, and of its batch and transactions. Raises `NoAmount`."""
    get = found.get
    amount = get("amount")
    if amount is None:
        found.update(_together(transactions))
        amount = get("amount")
    if amount is None or _NUMBER.fullmatch(amount) is None:
        raise NoAmount
    code, proprietary = code_of(found)
    if batch:
        for path, slot in BATCH.items():  # right under the entry, in the first generation
            if slot in found:
                supplement.add(f"Btch/{path}", found[slot])
    else:
        batch = found
    reversal = get("reversal")
    if reversal not in (None, "true", "1", "false", "0"):
        supplement.add("RvslInd", reversal)
    return _entry(
        statement_id=statement_id,
        amount=amount,
        currency=get("currency"),
        credit_debit=get("credit_debit"),
        reversal=reversal in ("true", "1"),
        status=get("status"),
        booking_date=get("booking_date"),
        value_date=get("value_date"),
        account_servicer_reference=get("account_servicer_reference"),
        bank_transaction_code=code,
        transactions=tuple(transactions),
        additional_information=get("additional_information"),
        batch_message_id=batch.get("batch_message_id"),
        batch_payment_information_id=batch.get("batch_payment_information_id"),
        batch_count=batch.get("batch_count"),
        entry_reference=get("entry_reference"),
        proprietary_transaction_code=proprietary,
        charges=charges_of(found),
        amounts=amounts_of(found),
        availability=availability_of(found),
        supplementary=supplement.pairs(),
    )


def transaction_record(
    found: dict[str, Any],
    supplement: Supplement,
    *,
    direction: str | None,
    reversal: bool,
    own_accounts: frozenset[str],
) -> EntryTransaction:
    """The record of what was found in a transaction, of an entry with this direction; own accounts are the statement's."""
    get = found.get
    credit_debit = get("credit_debit")
    reasons = reasons_of(found)
    debtor, creditor = party_of(found, "debtor"), party_of(found, "creditor")
    side = _counterparty(found, credit_debit or direction, own_accounts, undone=reversal or "reasons" in found)
    counterparty = (debtor if side == "debtor" else creditor if side == "creditor" else None) or _NOBODY
    amounts = amounts_of(found)
    amount, currency = get("amount"), get("currency")
    if amount is None and amounts:
        amount, currency = next(((item.amount, item.currency) for item in amounts if item.kind == "transaction"), (None, None))
    structured = structured_of(found)
    lines = tuple(get("lines", ()))
    if structured:
        lines += tuple(item.creditor_reference for item in structured if item.creditor_reference is not None)
    code, proprietary = code_of(found)
    return _transaction(
        end_to_end_id=get("end_to_end_id"),
        instruction_id=get("instruction_id"),
        message_id=get("message_id"),
        amount=amount,
        currency=currency,
        credit_debit=credit_debit,
        counterparty_name=counterparty.name or get(f"ultimate_{side}_name"),
        counterparty_account=counterparty.account,
        remittance_information=lines,
        return_reason=reasons[0].code if reasons else None,
        payment_information_id=get("payment_information_id"),
        uetr=get("uetr"),
        account_servicer_reference=get("account_servicer_reference"),
        return_reason_text=reasons[0].text if reasons else None,
        return_reasons=reasons,
        charges=charges_of(found),
        amounts=amounts,
        counterparty_agent_bic=counterparty.agent_bic,
        debtor=debtor,
        creditor=creditor,
        ultimate_debtor=party_of(found, "ultimate_debtor"),
        ultimate_creditor=party_of(found, "ultimate_creditor"),
        purpose=get("purpose"),
        structured_remittance=structured,
        additional_information=get("additional_information"),
        bank_transaction_code=code,
        proprietary_transaction_code=proprietary,
        mandate_id=get("mandate_id"),
        transaction_id=get("transaction_id"),
        clearing_reference=get("clearing_reference"),
        availability=availability_of(found),
        supplementary=supplement.pairs(),
    )


def _counterparty(found: dict[str, Any], credit_debit: str | None, own_accounts: frozenset[str], *, undone: bool) -> str:
    """The role of the counterparty, by the rule at the head of this file; without a direction there is none to tell."""
    if credit_debit == "CRDT":
        side, other = "debtor", "creditor"
    elif credit_debit == "DBIT":
        side, other = "creditor", "debtor"
    else:
        return "unknown"
    if undone and _named(found, other) and found.get(f"{other}_account") not in own_accounts:
        return other  # the original payment's roles, or the only side given
    if found.get(f"{side}_account") in own_accounts and _named(found, other):
        return other
    return side


def _together(transactions: Sequence[EntryTransaction]) -> dict[str, str | None]:
    """Amount, currency and direction of transactions that agree about the latter two; nothing where they do not."""
    kinds = {(item.currency, item.credit_debit) for item in transactions}
    if len(kinds) != 1 or any(item.amount is None or not _NUMBER.fullmatch(item.amount) for item in transactions):
        return {}
    ((currency, credit_debit),) = kinds
    total = sum((Decimal(item.amount or "0") for item in transactions), Decimal(0))
    return {"amount": f"{total:f}", "currency": currency, "credit_debit": credit_debit}


def _named(found: dict[str, Any], side: str) -> bool:
    return f"{side}_name" in found or f"ultimate_{side}_name" in found or f"{side}_account" in found
