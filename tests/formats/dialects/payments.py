"""A domestic payment in China as the tests of dialects make it; names and numbers are made up."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from formats.dialects.facts import CNAPS
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    Party,
    PaymentBlock,
    PaymentInitiation,
    PaymentTerms,
    PaymentType,
    RemittanceInformation,
)

DAY = date(2026, 1, 5)

TERMS = PaymentTerms(
    debtor=Party(name="甲公司"),
    debtor_account=Account(other_id="117000000000000001"),
    debtor_agent=Agent(clearing_system_id=CNAPS, clearing_system_member_id="309100000011"),
    requested_execution_date=DAY,
)
TRANSFER = CreditTransfer(
    instruction_id="I0001",
    end_to_end_id="E0001",
    amount=Decimal("123.45"),
    currency="CNY",
    creditor=Party(name="乙公司"),
    creditor_account=Account(other_id="6200000000000000005"),
    creditor_agent=Agent(clearing_system_id=CNAPS, clearing_system_member_id="102100099996", name="某银行深圳某支行"),
    remittance_information=RemittanceInformation(unstructured=("货款",)),
    supplementary=(("cn.city", "深圳"),),
)
URGENT = PaymentType(service_level="URGP")


def message_of(
    name: str, *transfers: CreditTransfer, terms: PaymentTerms = TERMS, serial_number: str | None = None
) -> PaymentInitiation:
    """One message of one block."""
    return PaymentInitiation(
        message_id="M1",
        message_name=name,
        creation_date_time=datetime(2026, 1, 5, 4, 0, tzinfo=UTC),
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
        serial_number=serial_number,
    )


def transfer(**changes: Any) -> CreditTransfer:
    """`TRANSFER` with other fields."""
    return replace(TRANSFER, **changes)
