"""Statements and their entries into bankgate.v1 messages."""

from bankgate.v1 import statements_pb2 as statements
from bankgate.v1 import types_pb2 as pb
from formats import report
from formats.codes import explain_bank_transaction_code
from gateway.rpc.present import moment, texts_of
from gateway.store.records import EntryRow, StatementRow


def statement_message(row: StatementRow) -> statements.Statement:
    """A stored statement with its balances; absent values are empty strings."""
    statement = row.statement
    related = statement.related_account
    return statements.Statement(
        id=str(row.statement_row_id),
        connection_id=row.connection_id,
        statement_id=statement.statement_id or "",
        message=row.message,
        account=pb.Account(**texts_of(statement.account, "iban", "other_id", "currency")),
        balances=[
            statements.Balance(**texts_of(balance, "type", "amount", "currency", "credit_debit", "date"))
            for balance in statement.balances
        ],
        entry_count=statement.entry_count,
        sequence_number=statement.sequence_number or "",
        received_at=moment(row.received_at),
        inbound_file_id=str(row.inbound_file_id),
        **texts_of(statement, *_STATEMENT_TEXTS),
        related_account=None if related is None else pb.Account(**texts_of(related, "iban", "other_id", "currency")),
        supplementary=dict(statement.supplementary),
    )


_STATEMENT_TEXTS = (
    *("period_from", "period_until", "additional_information", "legal_sequence_number", "page_number", "last_page"),
)
_CHARGE_TEXTS = ("amount", "currency", "credit_debit", "type", "bearer", "included")
_AMOUNT_TEXTS = ("kind", "amount", "currency", "source_currency", "target_currency", "unit_currency", "exchange_rate")
_REMITTANCE_TEXTS = (
    *("document_type", "document_number", "document_date", "amount", "currency", "creditor_reference_type", "creditor_reference"),
)
_ENTRY_TEXTS = (
    "amount",
    "currency",
    "credit_debit",
    "status",
    "booking_date",
    "value_date",
    "account_servicer_reference",
    "bank_transaction_code",
    "additional_information",
    "entry_reference",
    "proprietary_transaction_code",
)
_TRANSACTION_TEXTS = (
    "end_to_end_id",
    "instruction_id",
    "message_id",
    "amount",
    "currency",
    "credit_debit",
    "counterparty_name",
    "counterparty_account",
    "return_reason",
    "counterparty_agent_bic",
    "uetr",
    "account_servicer_reference",
    "return_reason_text",
    "purpose",
    "mandate_id",
    "additional_information",
)


def entry_message(statement_row_id: int, row: EntryRow) -> statements.Entry:
    """One entry, each transaction with the payment of ours that it was matched with.

    An entry without transactions that was matched as a whole is shown with one transaction that says so.
    """
    entry, matched = row.entry, row.payment_ids
    transactions = entry.transactions
    if not transactions and any(matched):
        transactions = (report.EntryTransaction(amount=entry.amount, currency=entry.currency, credit_debit=entry.credit_debit),)
    ids = (*matched, *(None for _ in range(len(transactions) - len(matched))))
    code = entry.bank_transaction_code
    text_en, text_zh = explain_bank_transaction_code(code) if code else ("", "")
    return statements.Entry(
        **texts_of(entry, *_ENTRY_TEXTS),
        statement_id=str(statement_row_id),
        position=row.position,
        reversal=entry.reversal,
        bank_transaction_text_en=text_en,
        bank_transaction_text_zh=text_zh,
        charges=[_charge(charge) for charge in entry.charges],
        amounts=[_amount(amount) for amount in entry.amounts],
        supplementary=dict(entry.supplementary),
        transactions=[_transaction(item, payment_id or "") for item, payment_id in zip(transactions, ids, strict=False)],
    )


def _transaction(transaction: report.EntryTransaction, payment_id: str) -> statements.EntryTransaction:
    debtor, creditor = transaction.ultimate_debtor, transaction.ultimate_creditor
    return statements.EntryTransaction(
        **texts_of(transaction, *_TRANSACTION_TEXTS),
        remittance_information=transaction.remittance_information,
        payment_id=payment_id,
        return_reasons=[reason.code for reason in transaction.return_reasons if reason.code],
        ultimate_debtor_name=(debtor.name if debtor else None) or "",
        ultimate_creditor_name=(creditor.name if creditor else None) or "",
        charges=[_charge(charge) for charge in transaction.charges],
        amounts=[_amount(amount) for amount in transaction.amounts],
        structured_remittance=[
            statements.RemittanceDetail(**texts_of(item, *_REMITTANCE_TEXTS), additional_information=item.additional_information)
            for item in transaction.structured_remittance
        ],
        supplementary=dict(transaction.supplementary),
    )


def _charge(charge: report.Charge) -> statements.Charge:
    return statements.Charge(**texts_of(charge, *_CHARGE_TEXTS))


def _amount(amount: report.DetailedAmount) -> statements.DetailedAmount:
    return statements.DetailedAmount(**texts_of(amount, *_AMOUNT_TEXTS))
