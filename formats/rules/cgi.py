"""CGI-MP: how banks that follow the Common Global Implementation want payments said, in whatever country.

Source: CGI-MP customer credit transfer initiation, 2019 version (pain.001.001.09), common implementation handbook and appendices.
Regulatory reporting is not asked for here: countries that want it want it in words of their own, which are a bank's pack.
"""

import re

from formats.characters import CharacterSet
from formats.model import Agent, Party, PaymentTerms, PaymentType
from formats.rules.places import Payment
from formats.rules.rule import HERE, NOTHING, Finding, Findings, Pack, Rule, Setting
from formats.rules.sepa import is_sepa
from formats.rules.templates import Scheme, identifiers, texts

_GUIDE = "CGI-MP customer credit transfer initiation, pain.001.001.09"
_SCHEME = Scheme(prefix="cgi", source=_GUIDE, payments_en="payments by CGI-MP", payments_zh="CGI-MP 付款")

LATIN = CharacterSet(
    "printable ASCII", "SWIFT CBPR+ usage guidelines, character set of names, addresses and remittance", re.compile(r"[^ -~]")
)
"""What banks can pass on across borders whatever the language of the payee."""


def _service_level(terms: PaymentTerms, _limit: int, _setting: Setting) -> Findings:
    kind: object = terms.payment_type
    if kind is None:
        return (Finding("payment_type.service_level"),)
    if not isinstance(kind, PaymentType):
        return NOTHING
    said = kind.service_level is not None or kind.service_level_proprietary is not None
    return NOTHING if said else (Finding("payment_type.service_level"),)


def _creditor_address(payment: Payment, _limit: int, _setting: Setting) -> Findings:
    creditor: object = payment[1].creditor
    if not isinstance(creditor, Party):
        return NOTHING
    return HERE if creditor.postal_address is None else NOTHING


def _agents_known(agent: Agent, _limit: int, _setting: Setting) -> Findings:
    return HERE if agent.bic is None and agent.clearing_system_member_id is None and agent.name is None else NOTHING


def _outside_sepa(terms: PaymentTerms) -> bool:
    return not is_sepa(terms)


CGI = Pack(
    name="cgi",
    applies=_outside_sepa,
    rules=(
        Rule(
            id="cgi.service-level",
            source=f"{_GUIDE}, ServiceLevel: URGP for wires, NURG for clearings, SDVA for same-day value",
            severity="warning",
            parts=("terms",),
            message_en="Without a service level the bank chooses way and price. Write URGP (wire), NURG (clearing) or SEPA.",
            message_zh="未填写服务级别时由银行决定路径和费用，请填写 URGP（电汇）、NURG（清算）或 SEPA。",
            check=_service_level,
        ),
        Rule(
            id="cgi.creditor-address",
            source=f"{_GUIDE}, Creditor/PostalAddress/Country: required for wires",
            severity="warning",
            parts=("payment",),
            field="creditor.postal_address",
            message_en="The payee has no address. Banks want at least town_name and country, and screen faster with them.",
            message_zh="未填写收款人地址；银行至少需要 town_name 和 country，填写后筛查更快。",
            check=_creditor_address,
        ),
        Rule(
            id="cgi.agent",
            source=f"{_GUIDE}, FinancialInstitutionIdentification: BICFI, ClearingSystemMemberIdentification, or name",
            severity="warning",
            parts=("agent",),
            message_en="A bank is named by BIC, by clearing system and member id, or by name.",
            message_zh="银行须以 BIC、清算系统及成员行号或名称标识。",
            check=_agents_known,
        ),
        *identifiers(_SCHEME, "character set"),
        texts(
            _SCHEME,
            LATIN,
            severity="warning",
            carries_en="Across borders banks carry printable ASCII",
            carries_zh="跨境付款只传送可打印的 ASCII 字符",
        ),
    ),
)
"""For payments outside SEPA, at banks that follow CGI-MP."""
