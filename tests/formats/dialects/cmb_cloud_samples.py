"""Payments to CMB 云直联 and replies of it, as the tests of its plugin make them; names and numbers are made up."""

import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from formats.banks.cmb_cloud import BANK, SINGLE
from formats.dialogue import (
    Asked,
    Asking,
    HeldAccount,
    Wrapping,
)
from formats.exchange import Exchange
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    Party,
    PaymentBlock,
    PaymentInitiation,
    PaymentTerms,
    RemittanceInformation,
)
from formats.report import TransactionStatus

CHINA = timezone(timedelta(hours=8))
DAY = date(2026, 1, 5)
SERIAL = "20260105000000000001"
OTHER = "20260105000000000002"
PACKAGE = "20260105000000000009"
ACCOUNT = HeldAccount(number="755900000000001")
WRAPPING = Wrapping(at=datetime(2026, 1, 5, 9, 30, 1, tzinfo=CHINA), fresh="26010509300112312345")
PAYING = Asked(kind=Asking.PAYMENT, function="BB1PAYOP", account=ACCOUNT.number, serials=(SERIAL,))
ASKING = Asked(kind=Asking.STATUS, function="BB1PAYQR", account=ACCOUNT.number, serials=(SERIAL,))

TERMS = PaymentTerms(
    debtor=Party(name="甲公司"),
    debtor_account=Account(other_id=ACCOUNT.number),
    debtor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="308584000013"),
    requested_execution_date=DAY,
)
TRANSFER = CreditTransfer(
    instruction_id="I1",
    end_to_end_id="E1",
    amount=Decimal("123.45"),
    currency="CNY",
    creditor=Party(name="乙公司"),
    creditor_account=Account(other_id="6200000000000000005"),
    creditor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="102100099996"),
    remittance_information=RemittanceInformation(unstructured=("货款",)),
    serial_number="GW20260105000000001",
)


def message_of(*transfers: CreditTransfer, name: str = SINGLE, terms: PaymentTerms = TERMS) -> PaymentInitiation:
    return PaymentInitiation(
        message_id="M1",
        message_name=name,
        creation_date_time=datetime(2026, 1, 5, 1, 30, tzinfo=UTC),
        initiating_party=Party(name="甲公司"),
        blocks=(
            PaymentBlock(
                payment_information_id="M1-1",
                terms=terms,
                count=len(transfers),
                control_sum=sum((one.amount for one in transfers), Decimal(0)),
                transfers=lambda: iter(transfers),
            ),
        ),
        serial_number=PACKAGE,
    )


def content_of(*transfers: CreditTransfer, bank: Any = BANK, **options: Any) -> bytes:
    out = io.BytesIO()
    bank.render(message_of(*transfers, **options), out)
    return out.getvalue()


def item_of(transfer: CreditTransfer, bank: Any = BANK, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content_of(transfer, bank=bank, **options))["body"]["bb1payopx1"][0]
    return found


def reply(function: str, *rows: object, code: str = "SUC0000", block: str = "anyz1", **beside: object) -> bytes:
    head = {"funcode": function, "resultcode": code, "resultmsg": "", "userid": "N123456789"}
    value = {"response": {"head": head, "body": {block: list(rows), **beside}}, "signature": {"sigdat": "AA==", "sigtim": "x"}}
    return json.dumps(value, ensure_ascii=False).encode()


def exchange(opened: bytes, asked: Asked = ASKING) -> Exchange:
    """A reply that the seal has opened."""
    return Exchange(reply=b"c2VhbGVk", asked=asked, opened=opened)


def row(status: str, flag: str = "", **fields: object) -> dict[str, object]:
    return {"yurRef": SERIAL, "reqNbr": "0028912345", "reqSts": status, "rtnFlg": flag, **fields}


def statuses_of(opened: bytes, asked: Asked = ASKING) -> list[TransactionStatus]:
    return [one for one in BANK.records(exchange(opened, asked)) if isinstance(one, TransactionStatus)]
