"""A payment as a caller asks for it, before it is checked and before the connection's defaults are filled in.

The gRPC layer and the commands turn their input into `PaymentOrder`; `gateway.validation` turns an order into the model's
`PaymentTerms` and `CreditTransfer`, or says everything that is wrong with it.
"""

import os
import time
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from formats.errors import Violation
from formats.model import Account, Agent, Party, PaymentType, RemittanceInformation
from gateway.instant import InstantChoice

# The two bits of the variant (RFC 9562, section 4.1) put into a random hex digit.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOrder:
    """Fields as in `bankgate.v1.PaymentRequest`; absent values are None.

    What could not even be read (an amount that is no number, a date that is no date) is None here and stands in `problems`.
    `content_sha256` is the digest of what the caller sent, for telling a repetition from a conflict.
    """

    payment_reference: str
    connection_id: str
    amount: Decimal | None
    currency: str | None
    content_sha256: bytes
    requested_execution_date: date | None = None
    charge_bearer: str | None = None
    end_to_end_id: str | None = None
    uetr: str | None = None
    debtor: Party | None = None
    debtor_account: Account | None = None
    debtor_agent: Agent | None = None
    ultimate_debtor: Party | None = None
    payment_type: PaymentType | None = None
    creditor: Party | None = None
    creditor_account: Account | None = None
    creditor_agent: Agent | None = None
    ultimate_creditor: Party | None = None
    purpose: str | None = None
    purpose_proprietary: str | None = None
    remittance_information: RemittanceInformation | None = None
    supplementary: tuple[tuple[str, str], ...] = ()
    instant: InstantChoice | None = None
    release_group: str | None = None
    problems: tuple[Violation, ...] = ()


def new_payment_id() -> str:
    """A fresh id: UUID version 7 (RFC 9562, section 5.7) as 32 hex digits, so that it fits InstrId and sorts by time."""
    milliseconds = time.time_ns() // 1_000_000
    random = os.urandom(10).hex()
    return f"{milliseconds:012x}7{random[1:4]}{_VARIANT[random[4]]}{random[5:]}"


def new_uetr() -> str:
    """A fresh UETR: UUID version 4 in lower case with hyphens (ISO 20022, UUIDv4Identifier)."""
    random = os.urandom(16).hex()
    return f"{random[:8]}-{random[8:12]}-4{random[13:16]}-{_VARIANT[random[16]]}{random[17:20]}-{random[20:]}"
