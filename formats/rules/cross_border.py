"""Payments that leave their country outside SEPA, as the customer's bank must pass them on by SWIFT CBPR+.

Source: SWIFT CBPR+ usage guidelines of pacs.008, standards release 2026, as far as they are public; FATF Recommendation 16. What
the guidelines ask of the bank's message is asked here of the customer's, because the bank has it from nobody else.
"""

from formats.countries import IBAN_LENGTHS
from formats.model import Account, Agent, Party, PaymentTerms, PostalAddress, RemittanceInformation
from formats.rules.address import UNSTRUCTURED_ENDS
from formats.rules.places import Payment, agent_country, creditor_country
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting, how_many
from formats.rules.sepa import is_sepa

_GUIDE = "SWIFT CBPR+ usage guidelines, pacs.008, standards release 2026"


def _slev(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    return HERE if payment[0].charge_bearer == "SLEV" else NOTHING


def _no_charge_bearer(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    return HERE if payment[0].charge_bearer is None else NOTHING


def _creditor_address(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    creditor: object = payment[1].creditor
    if not isinstance(creditor, Party):
        return NOTHING  # reported by payee.required
    address = creditor.postal_address
    if address is None:
        return HERE
    if not isinstance(address, PostalAddress) or address.address_line:
        return NOTHING  # lines without town and country are reported by address.unstructured
    return tuple(
        [Finding(f"creditor.postal_address.{name}") for name in ("town_name", "country") if getattr(address, name) is None]
    )


def _creditor_agent(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    agent: object = payment[1].creditor_agent
    if agent is None:
        return HERE
    if not isinstance(agent, Agent):
        return NOTHING
    known = agent.bic is not None or agent.clearing_system_member_id is not None
    return NOTHING if known or (agent.name is not None and agent.postal_address is not None) else HERE


def _iban_expected(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    account, country = payment[1].creditor_account, agent_country(payment[1].creditor_agent)
    if not isinstance(account, Account) or account.iban is not None or account.other_id is None:
        return NOTHING
    return (Finding(details={"country": country}),) if country in IBAN_LENGTHS else NOTHING


_PURPOSE_WANTED = frozenset({"AE", "BH", "CN", "IN", "JO", "MY"})


def _purpose(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    transfer = payment[1]
    if transfer.purpose is not None or transfer.purpose_proprietary is not None:
        return NOTHING
    country = creditor_country(transfer)
    return (Finding(details={"country": country}),) if country in _PURPOSE_WANTED else NOTHING


def _remittance_one(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    remittance = payment[1].remittance_information
    if not isinstance(remittance, RemittanceInformation):
        return NOTHING
    lines, documents = how_many(remittance.unstructured), how_many(remittance.structured)
    return HERE if lines > 1 or (lines and documents) else NOTHING


def _outside_sepa(terms: PaymentTerms) -> bool:
    return not is_sepa(terms)


CROSS_BORDER = Pack(
    name="cross-border",
    applies=_outside_sepa,
    rules=(
        Rule(
            id="cross-border.charge-bearer",
            source=f"{_GUIDE}, ChargeBearer: CRED, DEBT or SHAR",
            parts=("abroad",),
            field="charge_bearer",
            message_en="SLEV does not cross borders. Say who bears the charges: SHAR (each its own), DEBT (you), CRED (payee).",
            message_zh="跨境付款不能使用 SLEV，请说明费用承担方：SHAR（各自承担）、DEBT（付款人）或 CRED（收款人）。",
            check=_slev,
        ),
        Rule(
            id="cross-border.charge-bearer-missing",
            source=f"{_GUIDE}, ChargeBearer: mandatory between banks, which fill in their own choice",
            severity="warning",
            parts=("abroad",),
            field="charge_bearer",
            message_en="Nothing says who bears the charges, so the bank decides (mostly SHAR). Write it to be sure.",
            message_zh="未说明费用承担方，将由银行决定（多为 SHAR）；如需确定请填写 SHAR、DEBT 或 CRED。",
            check=_no_charge_bearer,
        ),
        Rule(
            id="cross-border.creditor-address",
            source=f"{_GUIDE}, Creditor/PostalAddress: at least TownName and Country; FATF Recommendation 16",
            valid_from=UNSTRUCTURED_ENDS,
            parts=("abroad",),
            field="creditor.postal_address",
            message_en="A payment across borders carries the payee's address with at least town_name and country.",
            message_zh="跨境付款必须包含收款人地址，至少填写 town_name 和 country。",
            check=_creditor_address,
        ),
        Rule(
            id="cross-border.creditor-agent",
            source=f"{_GUIDE}, CreditorAgent: mandatory",
            parts=("abroad",),
            field="creditor_agent",
            message_en="A payment across borders names the payee's bank: by BIC, by clearing system and member id, or by name "
            "and address.",
            message_zh="跨境付款必须标明收款行：BIC、清算系统及成员行号，或名称和地址。",
            check=_creditor_agent,
        ),
        Rule(
            id="cross-border.iban",
            source="SWIFT IBAN registry; ISO 13616-1",
            severity="warning",
            parts=("abroad",),
            field="creditor_account.other_id",
            message_en="Accounts in {country} have IBANs; banks there may send a payment without one back. Ask the payee for it.",
            message_zh="{country} 的账户使用 IBAN，缺少 IBAN 的付款可能被退回，请向收款人索取。",
            check=_iban_expected,
        ),
        Rule(
            id="cross-border.purpose",
            source="CGI-MP, country-specific rules on the purpose of payments; to be confirmed with the bank",
            severity="warning",
            parts=("abroad",),
            field="purpose",
            message_en="Payments to {country} usually need a purpose; without one the payee's bank asks back, which takes days.",
            message_zh="汇往 {country} 的付款通常须填写用途，否则收款行会查询并延误数日。",
            check=_purpose,
        ),
        Rule(
            id="cross-border.remittance-one",
            source=f"{_GUIDE}, RemittanceInformation: one Unstructured of 140, or Structured",
            parts=("abroad",),
            field="remittance_information",
            message_en="A payment across borders carries one line of 140 characters, or structured documents, and not both.",
            message_zh="跨境付款只能携带一行（140 个字符）非结构化附言或结构化单据，不能同时使用。",
            check=_remittance_one,
        ),
    ),
)
"""For payments outside SEPA; its rules look at those that leave their country."""
