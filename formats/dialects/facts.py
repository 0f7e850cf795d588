"""What a Chinese bank wants to know of a payment, taken from its ISO words in one place: own bank or another, company or person,
urgent or not, purpose (用途), remark (附言), city, bank code (联行号).

ISO 20022 has no field for some of it. What the caller says in `supplementary` wins:

    cn.payee_type   company | person            cn.same_city   yes | no
    cn.city, cn.province (of the payee's bank)  cn.remark      附言
    cn.rail         HVPS | BEPS | IBPS          cn.own_bank    yes | no
"""

from collections.abc import Mapping
from dataclasses import dataclass

from formats.model import Account, CreditTransfer, PaymentTerms

CNAPS = "CNAPS"
"""ExternalClearingSystemIdentification1Code: China National Advanced Payment System; its member ids are the 联行号."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one payment. Texts are "" where nobody said them; `same_city` is None where nobody did."""

    own_bank: bool
    person: bool
    urgent: bool
    same_city: bool | None
    payee_account: str
    payee_name: str
    bank_code: str  # 联行号 of the payee's bank, 12 digits
    bank_name: str
    province: str
    city: str
    purpose: str  # 用途: the first line of the remittance information
    remark: str  # 附言
    payer_account: str
    payer_name: str
    rail: str = ""  # HVPS, BEPS or IBPS, where the caller wants one


def number_of(account: Account | None) -> str:
    """The account's number, an IBAN's too."""
    return "" if account is None else account.other_id or account.iban or ""


def facts_of(terms: PaymentTerms, transfer: CreditTransfer, bank_class: str) -> Facts:
    """`bank_class`: the first three digits of our bank's 联行号 ("309")."""
    said = dict(transfer.supplementary)
    agent = transfer.creditor_agent
    code = (agent.clearing_system_member_id if agent else None) or ""
    address = agent.postal_address if agent else None
    lines = transfer.remittance_information.unstructured if transfer.remittance_information else ()
    kind = terms.payment_type
    return Facts(
        own_bank=_yes(said, "cn.own_bank", otherwise=code.startswith(bank_class)),
        person=said.get("cn.payee_type", "person" if transfer.creditor.person is not None else "company") == "person",
        urgent=kind is not None and (kind.service_level == "URGP" or kind.instruction_priority == "HIGH"),
        same_city=_yes(said, "cn.same_city", otherwise=False) if "cn.same_city" in said else None,
        payee_account=number_of(transfer.creditor_account),
        payee_name=transfer.creditor.name or "",
        bank_code=code,
        bank_name=(agent.name if agent else None) or "",
        province=said.get("cn.province") or (address.country_sub_division if address else None) or "",
        city=said.get("cn.city") or (address.town_name if address else None) or "",
        purpose=lines[0] if lines else "",
        remark=said.get("cn.remark") or (lines[1] if len(lines) > 1 else ""),
        payer_account=number_of(terms.debtor_account),
        payer_name=terms.debtor.name or "",
        rail=said.get("cn.rail", ""),
    )


def _yes(said: Mapping[str, str], name: str, *, otherwise: bool) -> bool:
    return said[name].lower() in {"yes", "y", "true", "1"} if name in said else otherwise
