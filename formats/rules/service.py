"""Which charge bearer, service level and priority go together, and whether account and bank do.

SLEV means "as the scheme says", so it needs a scheme that says so: SEPA. Urgent payments and payments across borders share
their charges by SHAR, DEBT or CRED, which is all that SWIFT CBPR+ carries.
"""

from formats.model import Agent, CreditTransfer, PaymentTerms, PaymentType
from formats.rules.places import account_country, agent_country, service_level
from formats.rules.rule import HERE, NOTHING, Findings, Pack, Rule, Setting

_URGENT = frozenset({"URGP", "URNS", "SDVA"})
"""Service levels (ISO 20022 external code set) that name a speed and no scheme with charges of its own."""


def _slev(terms: PaymentTerms, _limit: int, _setting: Setting) -> Findings:
    return HERE if terms.charge_bearer == "SLEV" and service_level(terms) in _URGENT else NOTHING


def _slev_doubtful(terms: PaymentTerms, _limit: int, _setting: Setting) -> Findings:
    level = service_level(terms)
    return HERE if terms.charge_bearer == "SLEV" and level not in (None, "SEPA") and level not in _URGENT else NOTHING


def _priority(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    level, priority = kind.service_level, kind.instruction_priority
    if not isinstance(level, str) or not isinstance(priority, str):
        return NOTHING
    return HERE if (priority == "NORM" and level in _URGENT) or (priority == "HIGH" and level == "NURG") else NOTHING


def _sepa_priority(kind: PaymentType, _limit: int, _setting: Setting) -> Findings:
    return HERE if kind.service_level == "SEPA" and kind.instruction_priority == "HIGH" else NOTHING


def _agent_of_account(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    agent = transfer.creditor_agent
    if not isinstance(agent, Agent) or agent.bic is None:
        return NOTHING
    account, bank = account_country(transfer.creditor_account), agent_country(agent)
    return HERE if account is not None and bank is not None and account != bank else NOTHING


SLEV_OUTSIDE_SEPA = Rule(
    id="charge-bearer.slev-outside-sepa",
    source="ISO 20022, ChargeBearerType1Code SLEV: the rules agreed in service level or scheme; SWIFT CBPR+ usage guidelines: "
    "CRED, DEBT or SHAR",
    parts=("terms",),
    field="charge_bearer",
    message_en="SLEV leaves the charges to a scheme, and this service level has none. Write SHAR, DEBT or CRED.",
    message_zh="SLEV 表示费用按方案规定承担，而该服务级别没有方案；请填写 SHAR、DEBT 或 CRED。",
    check=_slev,
)

SLEV_DOUBTFUL = Rule(
    id="charge-bearer.slev-doubtful",
    source="ISO 20022, ChargeBearerType1Code SLEV: the rules agreed in service level or scheme",
    severity="warning",
    parts=("terms",),
    field="charge_bearer",
    message_en="SLEV leaves the charges to a scheme. Whether this service level has one depends on the clearing; SHAR is safer.",
    message_zh="SLEV 表示费用按方案规定承担；该服务级别是否有方案取决于清算系统，填写 SHAR 更稳妥。",
    check=_slev_doubtful,
)

PRIORITY = Rule(
    id="instruction-priority.contradiction",
    source="ISO 20022, Priority2Code beside ExternalServiceLevel1Code; CGI-MP common implementation, PaymentTypeInformation",
    severity="warning",
    parts=("payment_type",),
    field="instruction_priority",
    message_en="The priority says one speed and the service level another. Banks follow the latter; leave the priority out.",
    message_zh="指令优先级与服务级别表示的速度不一致；银行以服务级别为准，请删除优先级。",
    check=_priority,
)

SEPA_PRIORITY = Rule(
    id="instruction-priority.sepa",
    source="EPC132-08 SCT C2PSP implementation guidelines 2025: InstructionPriority by agreement with the debtor's bank",
    severity="warning",
    parts=("payment_type",),
    field="instruction_priority",
    message_en="HIGH beside SEPA is by agreement with your bank, which may charge it as an express payment or ignore it.",
    message_zh="SEPA 付款中使用 HIGH 须与银行事先约定，否则可能按加急收费或被忽略。",
    check=_sepa_priority,
)

AGENT_OF_ACCOUNT = Rule(
    id="agent.iban-country",
    source="ISO 13616-1 and ISO 9362: country codes of IBAN and BIC",
    severity="warning",
    parts=("transfer",),
    field="creditor_agent.bic",
    message_en="The payee's bank is in another country than the IBAN. One of them is probably mistyped; ask the payee.",
    message_zh="收款行 BIC 与 IBAN 的国家不一致，其中之一可能有误，请向收款人确认。",
    check=_agent_of_account,
)

SERVICE = Pack(name="service", rules=(PRIORITY, SEPA_PRIORITY, AGENT_OF_ACCOUNT))
"""In every bank, for every payment."""

CHARGES = Pack(name="charges", rules=(SLEV_OUTSIDE_SEPA, SLEV_DOUBTFUL))
"""In every bank, for every payment, unless its community says otherwise."""
