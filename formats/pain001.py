"""Writing pain.001 (CustomerCreditTransferInitiation), versions .03 to .13, streaming and in constant memory.

The same message gives the same bytes, always: UTF-8, one transaction a line, no indentation, no attribute or namespace beyond the
schema's. `GrpHdr/CreDtTm` is the message's moment in UTC: with "Z" from .09 on ("2026-11-25T13:00:00Z"); without zone before
("2026-11-25T13:00:00"), since banks on the older versions widely read the plain form only. BtchBookg is never written: the
agreement with the bank decides. Number and sum of transactions stand before them, so they come from the message and are
compared as the transactions pass by.
"""

from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from itertools import islice
from typing import BinaryIO

from formats.errors import FormatError, Unrenderable, Violation, refusing
from formats.model import CreditTransfer, PaymentBlock, PaymentInitiation, PaymentTerms
from formats.pain001_parts import (
    IllegalText,
    account,
    agent,
    amount_start,
    code,
    code_or_proprietary,
    fit,
    money,
    party,
    payment_type,
    plain_sum,
    remittance,
    tracked,
)
from formats.pain001_usual import usual_transaction
from formats.pain001_versions import VERSIONS, Pain001Version
from formats.rules import check_message, check_payment, unsupported_message

TRANSFERS_A_WRITE = 256
"""Transactions joined before they are handed to the output: some 200 KB, so that memory stays flat and calls few."""


_UNWRITABLE = (
    IllegalText,
    TypeError,
    AttributeError,
    ArithmeticError,
)  # what a value that no check let through can do to the writer


class CountMismatch(FormatError, ValueError):
    """Ours: a block's transfers do not agree with its count or control sum. What was written so far is not a message."""

    def __init__(self, block: str, expected: tuple[int, Decimal], found: tuple[int, Decimal]) -> None:
        self.block = block
        self.expected = expected
        self.found = found
        super().__init__(
            f"block {block} was announced with {expected[0]} transfers and sum {expected[1]} but holds {found[0]} and {found[1]}"
        )


def write_pain001(message: PaymentInitiation, out: BinaryIO) -> None:
    """Writes the message to `out`.

    Raises `Unrenderable`, naming the fields, for an unknown version and for every value that the schema refuses or whose check
    digits are wrong, and `CountMismatch`. What a bank wants beyond that is `check`'s business and not repeated here.
    """
    version = VERSIONS.get(message.message_name)
    if version is None:
        raise Unrenderable((unsupported_message(message.message_name),))
    violations = refusing(check_message(message))
    if violations:
        raise Unrenderable(violations)
    out.write(_head(message, version).encode())
    for block in message.blocks:
        _write_block(block, version, out)
    out.write(b"</CstmrCdtTrfInitn></Document>\n")


def _head(message: PaymentInitiation, version: Pain001Version) -> str:
    moment = message.creation_date_time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{version.namespace}"><CstmrCdtTrfInitn><GrpHdr>'
        f"<MsgId>{fit(message.message_id, 35)}</MsgId><CreDtTm>{moment}{'Z' if version.zoned else ''}</CreDtTm>"
        f"<NbOfTxs>{message.count}</NbOfTxs><CtrlSum>{plain_sum(message.control_sum)}</CtrlSum>"
        f"{party('InitgPty', message.initiating_party, version)}</GrpHdr>\n"
    )


def _write_block(block: PaymentBlock, version: Pain001Version, out: BinaryIO) -> None:
    try:
        out.write(_block_head(block, version).encode())
    except _UNWRITABLE as failure:
        raise _explained(failure, block.terms, None, version) from failure
    count, total = 0, Decimal(0)
    transaction = transaction_writer(version)
    transfers = iter(block.transfers())
    while several := list(islice(transfers, TRANSFERS_A_WRITE)):
        out.write(_written(several, transaction, block.terms, version).encode())
        count += len(several)
        for transfer in several:
            total += transfer.amount
    if (count, total) != (block.count, block.control_sum):
        raise CountMismatch(block.payment_information_id, (block.count, block.control_sum), (count, total))
    out.write(b"</PmtInf>\n")


def _block_head(block: PaymentBlock, version: Pain001Version) -> str:
    terms = block.terms
    day = terms.requested_execution_date.isoformat()
    bearer = "" if terms.charge_bearer is None else f"<ChrgBr>{code(terms.charge_bearer)}</ChrgBr>"
    return (
        f"<PmtInf><PmtInfId>{fit(block.payment_information_id, 35)}</PmtInfId><PmtMtd>TRF</PmtMtd>"
        f"<NbOfTxs>{block.count}</NbOfTxs><CtrlSum>{plain_sum(block.control_sum)}</CtrlSum>"
        f"{payment_type(terms.payment_type)}<ReqdExctnDt>{f'<Dt>{day}</Dt>' if version.date_choice else day}</ReqdExctnDt>"
        f"{party('Dbtr', terms.debtor, version)}{account('DbtrAcct', terms.debtor_account)}"
        f"{agent('DbtrAgt', terms.debtor_agent, version)}{party('UltmtDbtr', terms.ultimate_debtor, version)}{bearer}\n"
    )


def transaction_writer(version: Pain001Version) -> Callable[[CreditTransfer], str]:
    """A function that gives the [CdtTrfTxInf] of one transfer as text, line feed included.

    Most transfers have one shape, and their texts need no escaping: those are written by `usual_transaction`, in half the time.
    """

    def transaction(transfer: CreditTransfer) -> str:
        return usual_transaction(transfer, version) or any_transaction(transfer, version)

    return transaction


def any_transaction(transfer: CreditTransfer, version: Pain001Version) -> str:
    """The text of any transfer; raises what `_UNWRITABLE` names."""
    currency = transfer.currency
    uetr = transfer.uetr
    bank = transfer.creditor_agent
    account_of = transfer.creditor_account
    ultimate = transfer.ultimate_creditor
    information = transfer.remittance_information
    purpose = code_or_proprietary("Purp", transfer.purpose, transfer.purpose_proprietary)
    return (
        f"<CdtTrfTxInf><PmtId><InstrId>{fit(transfer.instruction_id, 35)}</InstrId>"
        f"<EndToEndId>{fit(transfer.end_to_end_id, 35)}</EndToEndId>"
        f"{'' if uetr is None else f'<UETR>{tracked(uetr, version)}</UETR>'}</PmtId>"
        f"<Amt>{amount_start('InstdAmt', currency)}{money(transfer.amount, currency)}</InstdAmt></Amt>"
        f"{'' if bank is None else agent('CdtrAgt', bank, version)}{party('Cdtr', transfer.creditor, version)}"
        f"{'' if account_of is None else account('CdtrAcct', account_of)}"
        f"{'' if ultimate is None else party('UltmtCdtr', ultimate, version)}{purpose}"
        f"{'' if information is None else remittance(information, currency)}</CdtTrfTxInf>\n"
    )


def _written(
    transfers: list[CreditTransfer], transaction: Callable[[CreditTransfer], str], terms: PaymentTerms, version: Pain001Version
) -> str:
    try:
        return "".join(map(transaction, transfers))
    except _UNWRITABLE:
        for transfer in transfers:
            try:
                transaction(transfer)
            except _UNWRITABLE as failure:
                raise _explained(failure, terms, transfer, version) from failure
        raise


def _explained(failure: Exception, terms: PaymentTerms, transfer: CreditTransfer | None, version: Pain001Version) -> Unrenderable:
    """The failure in the words of the request: every rule of the message the payment breaks, or at least that it failed."""
    violations = refusing(check_payment(terms, transfer, version))
    if transfer is not None:
        failure.add_note(f"instruction {transfer.instruction_id!r}")
    if not violations:
        violations = (
            Violation(
                field="",
                rule="message.unrenderable",
                source=f"{version.name}, XML schema",
                message_en=f"This payment cannot be written as {version.name} ({type(failure).__name__}).",
                message_zh=f"该笔付款无法写成 {version.name}（{type(failure).__name__}）。",
            ),
        )
    return Unrenderable(violations)
