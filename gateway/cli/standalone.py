"""Payments without a store or a connection: from requests to a bank's message, and what stands in the way.

Everything that a service would make up (MsgId, PmtInfId, InstrId, UETR, the moment of creation) follows from the content here,
so that the same request and day give the same bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from formats.bank import BankFormat
from formats.errors import Violation, refusing
from formats.model import CreditTransfer, Party, PaymentBlock, PaymentInitiation, PaymentTerms
from formats.rules.together import EndToEndIds
from gateway.cli.output import CommandFailed, Language, print_error, print_warning
from gateway.config import AccountSettings, ConnectionSettings
from gateway.errors import OrderViolation
from gateway.payment import PaymentOrder
from gateway.rpc.client import BadPayment, orders_from_messages, parse_json, payments_from_json
from gateway.validation import OrderCheck


@dataclass(frozen=True, slots=True)
class Judged:
    """An order as the bank would get it, and every rule it breaks: `violations` refuse it, `warnings` do not."""

    terms: PaymentTerms
    transfer: CreditTransfer
    violations: tuple[OrderViolation, ...]
    warnings: tuple[OrderViolation, ...] = ()


def orders_of_file(path: Path) -> list[PaymentOrder]:
    """The orders of a file with the JSON form of `SubmitPaymentsRequest`. Raises `CommandFailed`."""
    try:
        orders = orders_from_messages(payments_from_json(parse_json(path.read_text(encoding="utf-8-sig"))))
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{path}: is not UTF-8 text") from None
    except BadPayment as error:
        raise CommandFailed(f"{path}: {error}") from None
    if not orders:
        raise CommandFailed(f"{path}: there is no payment in it")
    return orders


def judge(orders: Sequence[PaymentOrder], bank: BankFormat, message: str | None, on: date) -> list[Judged]:
    """Each order checked as the service would, with the debtor's side taken from the order itself."""
    ids = EndToEndIds(bank.capabilities.repeated_end_to_end_ids)
    return [_told_apart(ids, index, order, _judge(index, order, bank, message, on)) for index, order in enumerate(orders)]


def _told_apart(ids: EndToEndIds, index: int, order: PaymentOrder, judged: Judged) -> Judged:
    repeated = ids.add(judged.transfer.end_to_end_id, index, order.payment_reference)
    if repeated is None:
        return judged
    told = OrderViolation(index=index, payment_reference=order.payment_reference, violation=repeated)
    if refusing((repeated,)):
        return replace(judged, violations=(*judged.violations, told))
    return replace(judged, warnings=(*judged.warnings, told))


def _judge(index: int, order: PaymentOrder, bank: BankFormat, message: str | None, on: date) -> Judged:
    account = order.debtor_account
    connection = ConnectionSettings(
        id="none",
        bank=bank.name,
        message=message,
        initiating_party="none",
        accounts=(
            AccountSettings(
                iban=account.iban if account else None,
                other_id=account.other_id if account else None,
                other_scheme=account.other_scheme if account else None,
                currency=account.currency if account else None,
                holder=(order.debtor.name if order.debtor else None) or "none",
            ),
        ),
        channel={},
    )
    digest = order.content_sha256
    checked = OrderCheck(connection, bank).check(order, digest.hex()[:32], on)
    missing = _debtor_side(order)
    told = {violation.field for violation in missing}
    found = [*missing, *(violation for violation in checked.violations if violation.field not in told)]
    terms, transfer = checked.written or (checked.terms, checked.transfer)
    if order.uetr is None and transfer.uetr is not None:
        transfer = replace(transfer, uetr=str(UUID(bytes=digest[16:32], version=4)))
    broken, warned = (
        tuple(OrderViolation(index=index, payment_reference=order.payment_reference, violation=one) for one in ones)
        for ones in (found, checked.warnings)
    )
    return Judged(terms, transfer, broken, warned)


def _debtor_side(order: PaymentOrder) -> list[Violation]:
    """Without a connection there is nothing to take the debtor from."""
    missing = []
    if order.debtor is None or not order.debtor.name:
        missing.append(("debtor.name", "付款人名称"))
    if order.debtor_account is None:
        missing.append(("debtor_account", "付款账户"))
    return [
        Violation(
            field=field,
            rule="field.required",
            source="bankgate.v1 PaymentRequest",
            message_en="This field is required here: there is no connection to take it from.",
            message_zh=f"此处没有连接配置可取默认值，{name_zh}为必填项。",
        )
        for field, name_zh in missing
    ]


def initiation(judged: Sequence[Judged], message_name: str, on: date, message_id: str | None = None) -> PaymentInitiation:
    """One bank message of all of them: equal terms share a block, blocks in the order of their first payment."""
    blocks: dict[PaymentTerms, list[CreditTransfer]] = {}
    for one in judged:
        blocks.setdefault(one.terms, []).append(one.transfer)
    fixed = json.dumps([message_name, on.isoformat(), [one.transfer.instruction_id for one in judged]]).encode()
    own_id = message_id or "BG" + sha256(fixed).hexdigest()[:28].upper()
    first = judged[0].terms.debtor
    return PaymentInitiation(
        message_id=own_id,
        message_name=message_name,
        creation_date_time=datetime.combine(on, time(), UTC),
        initiating_party=Party(name=first.name),
        blocks=tuple(
            _block(f"{own_id[:30]}-{number}", terms, tuple(transfers))
            for number, (terms, transfers) in enumerate(blocks.items(), start=1)
        ),
    )


def _block(payment_information_id: str, terms: PaymentTerms, transfers: tuple[CreditTransfer, ...]) -> PaymentBlock:
    return PaymentBlock(
        payment_information_id=payment_information_id,
        terms=terms,
        count=len(transfers),
        control_sum=sum((transfer.amount for transfer in transfers), Decimal(0)),
        transfers=lambda: transfers,
    )


def as_dict(order: OrderViolation) -> dict[str, Any]:
    """A violation for machines, in the words of `bankgate.v1.Violation`."""
    violation = order.violation
    return {
        "index": order.index,
        "payment_reference": order.payment_reference,
        "field": violation.field,
        "rule": violation.rule,
        "source": violation.source,
        "description_en": violation.message_en,
        "description_zh": violation.message_zh,
        "fix": violation.fix,
        "severity": violation.severity,
    }


def print_violations(file: Path, broken: Sequence[OrderViolation], language: Language = Language.EN) -> None:
    """Violations for people, one a line; warnings are marked as such."""
    for order in broken:
        violation = order.violation
        words, fixed = (violation.message_zh, "可改为") if language is Language.ZH else (violation.message_en, "Fix")
        fix = f" {fixed}: {violation.fix}" if violation.fix else ""
        place = f"{file}: payments[{order.index}].{violation.field}"
        tell = print_warning if violation.severity == "warning" else print_error
        tell(f"{place}: {words} [{violation.rule}; {violation.source}]{fix}")
