"""What we ask a bank to do, in ISO 20022 words and without any bank's particulars.

Frozen and hashable. `PaymentTerms` is the half that payments of one block share: payments with equal terms share a block,
and that is the whole of batching. Absent values are None. Money is Decimal. Each docstring names the ISO element in brackets.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PostalAddress:
    """[PstlAdr] Structured, or hybrid: town and country plus at most two address lines of 70."""

    department: str | None = None
    sub_department: str | None = None
    street_name: str | None = None
    building_number: str | None = None
    building_name: str | None = None
    floor: str | None = None
    post_box: str | None = None
    room: str | None = None
    post_code: str | None = None
    town_name: str | None = None
    town_location_name: str | None = None
    district_name: str | None = None
    country_sub_division: str | None = None
    country: str | None = None
    address_line: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherIdentification:
    """[Othr] An identification outside BIC, LEI and IBAN, with the scheme it belongs to."""

    id: str
    scheme_code: str | None = None
    scheme_proprietary: str | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationIdentification:
    """[OrgId]"""

    bic: str | None = None
    lei: str | None = None
    other: tuple[OtherIdentification, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateIdentification:
    """[PrvtId]"""

    birth_date: date | None = None
    city_of_birth: str | None = None
    country_of_birth: str | None = None
    other: tuple[OtherIdentification, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """[Dbtr, Cdtr, UltmtDbtr, UltmtCdtr, InitgPty]"""

    name: str | None = None
    postal_address: PostalAddress | None = None
    organisation: OrganisationIdentification | None = None
    person: PrivateIdentification | None = None
    country_of_residence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """[DbtrAcct, CdtrAcct] Exactly one of `iban` (no spaces, upper case) and `other_id`."""

    iban: str | None = None
    other_id: str | None = None
    other_scheme: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """[DbtrAgt, CdtrAgt] A bank: BIC, or clearing system and member id, or name and address."""

    bic: str | None = None
    clearing_system_id: str | None = None
    clearing_system_member_id: str | None = None
    lei: str | None = None
    name: str | None = None
    postal_address: PostalAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentType:
    """[PmtTpInf] Of each pair the code or the proprietary word, never both."""

    instruction_priority: str | None = None
    service_level: str | None = None
    service_level_proprietary: str | None = None
    local_instrument: str | None = None
    local_instrument_proprietary: str | None = None
    category_purpose: str | None = None
    category_purpose_proprietary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredRemittance:
    """[RmtInf/Strd] `remitted_amount` is in the payment's currency."""

    document_type: str | None = None
    document_number: str | None = None
    document_date: date | None = None
    remitted_amount: Decimal | None = None
    creditor_reference_type: str | None = None
    creditor_reference: str | None = None
    additional_information: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemittanceInformation:
    """[RmtInf]"""

    unstructured: tuple[str, ...] = ()
    structured: tuple[StructuredRemittance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentTerms:
    """The shared half of a payment [PmtInf]. Equal terms share a block."""

    debtor: Party
    debtor_account: Account
    debtor_agent: Agent
    requested_execution_date: date
    payment_type: PaymentType | None = None
    charge_bearer: str | None = None
    ultimate_debtor: Party | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTransfer:
    """The payment's own half [CdtTrfTxInf]. `amount` is positive; its scale is within the currency's minor unit."""

    instruction_id: str
    end_to_end_id: str
    amount: Decimal
    currency: str
    creditor: Party
    creditor_account: Account | None = None
    creditor_agent: Agent | None = None
    uetr: str | None = None
    purpose: str | None = None
    purpose_proprietary: str | None = None
    ultimate_creditor: Party | None = None
    remittance_information: RemittanceInformation | None = None
    supplementary: tuple[tuple[str, str], ...] = ()
    serial_number: str | None = None  # what a bank with serial numbers of its own shape knows the payment by (formats.dialogue)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentBlock:
    """[PmtInf] Terms and the transfers under them.

    `transfers` gives a fresh iterator at each call (the source is read twice, and never held in memory whole);
    `count` and `control_sum` are known beforehand and must agree with it, which the renderer checks as it writes.
    """

    payment_information_id: str
    terms: PaymentTerms
    count: int
    control_sum: Decimal
    transfers: Callable[[], Iterable[CreditTransfer]] = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentInitiation:
    """[CstmrCdtTrfInitn] One bank message. `message_name` says which message and version, e.g. "pain.001.001.09"."""

    message_id: str
    message_name: str
    creation_date_time: datetime  # aware, whole seconds; fixed once, so that rendering again gives the same bytes
    initiating_party: Party
    blocks: tuple[PaymentBlock, ...]
    serial_number: str | None = None  # what a bank with serial numbers of its own shape knows the whole message by

    @property
    def count(self) -> int:
        """[NbOfTxs]"""
        return sum(block.count for block in self.blocks)

    @property
    def control_sum(self) -> Decimal:
        """[CtrlSum] The plain sum of amounts, whatever their currencies (ISO 20022, pain.001, GroupHeader, ControlSum)."""
        return sum((block.control_sum for block in self.blocks), Decimal(0))
