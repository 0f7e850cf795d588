"""Rules on parties, accounts, banks and addresses, as the schema wants them. Part of the pack `common`."""

from formats.model import (
    Account,
    Agent,
    OrganisationIdentification,
    OtherIdentification,
    Party,
    PostalAddress,
    PrivateIdentification,
)
from formats.pain001_versions import ADDRESS_FIELDS_SINCE_09
from formats.rules.rule import HERE, NOTHING, SCHEMA, Finding, Findings, Rule, Setting, how_many


def _party_identification(party: Party, _limit: int, _setting: Setting) -> Findings:
    return HERE if party.organisation is not None and party.person is not None else NOTHING


def _empty(part: OrganisationIdentification | PrivateIdentification, _limit: int, _setting: Setting) -> Findings:
    if isinstance(part, OrganisationIdentification):
        values: tuple[object, ...] = (part.bic, part.lei, part.other)
    else:
        values = (part.birth_date, part.city_of_birth, part.country_of_birth, part.other)
    return NOTHING if any(values) else HERE


def _birth(person: PrivateIdentification, _limit: int, _setting: Setting) -> Findings:
    names = ("birth_date", "city_of_birth", "country_of_birth")
    missing = [name for name in names if getattr(person, name) is None]
    return tuple(map(Finding, missing)) if 0 < len(missing) < len(names) else NOTHING


def _other(other: OtherIdentification, _limit: int, _setting: Setting) -> Findings:
    return (Finding("id"),) if other.id is None else NOTHING


def _other_both(other: OtherIdentification, _limit: int, _setting: Setting) -> Findings:
    return HERE if other.scheme_code is not None and other.scheme_proprietary is not None else NOTHING


def _account_one(account: Account, _limit: int, _setting: Setting) -> Findings:
    return HERE if (account.iban is None) == (account.other_id is None) else NOTHING


def _account_scheme(account: Account, _limit: int, _setting: Setting) -> Findings:
    return HERE if account.other_scheme is not None and account.other_id is None else NOTHING


def _clearing_system(agent: Agent, _limit: int, _setting: Setting) -> Findings:
    return HERE if agent.clearing_system_id is not None and agent.clearing_system_member_id is None else NOTHING


def _address_version(address: PostalAddress, _limit: int, setting: Setting) -> Findings:
    if setting.version.extended:
        return NOTHING
    details = {"version": setting.version.name}
    return tuple(Finding(name, details=details) for name in ADDRESS_FIELDS_SINCE_09 if getattr(address, name) is not None)


def _address_lines(address: PostalAddress, _limit: int, _setting: Setting) -> Findings:
    return HERE if how_many(address.address_line) > 7 else NOTHING


RULES: tuple[Rule, ...] = (
    Rule(
        id="party.identification",
        source="ISO 20022 pain.001, Party38Choice",
        parts=("party",),
        message_en="A party is identified as an organisation or as a person, not as both.",
        message_zh="当事方只能作为机构或个人之一进行标识。",
        check=_party_identification,
    ),
    Rule(
        id="party.identification-empty",
        source=SCHEMA,
        parts=("organisation", "person"),
        message_en="The identification is empty. Fill it or leave it out.",
        message_zh="标识为空，请填写或删除。",
        check=_empty,
    ),
    Rule(
        id="person.birth",
        source="ISO 20022 pain.001, DateAndPlaceOfBirth1",
        parts=("person",),
        message_en="Date, city and country of birth go together: give all three or none.",
        message_zh="出生日期、城市和国家必须同时填写或全部留空。",
        check=_birth,
    ),
    Rule(
        id="other.required",
        source=SCHEMA,
        parts=("other",),
        message_en="This field is required.",
        message_zh="此字段必填。",
        check=_other,
    ),
    Rule(
        id="other.scheme",
        source=SCHEMA,
        parts=("other",),
        field="scheme_code",
        message_en="Give either the scheme's code or its proprietary name, not both.",
        message_zh="方案代码与专有名称只能填写其一。",
        check=_other_both,
    ),
    Rule(
        id="account.identification",
        source="ISO 20022 pain.001, AccountIdentification4Choice",
        parts=("account",),
        message_en="Give exactly one of iban and other_id.",
        message_zh="iban 与 other_id 必须且只能填写其一。",
        check=_account_one,
    ),
    Rule(
        id="account.scheme",
        source="ISO 20022 pain.001, GenericAccountIdentification1",
        parts=("account",),
        field="other_scheme",
        message_en="A scheme belongs to other_id; beside an IBAN it would be lost.",
        message_zh="other_scheme 只能与 other_id 一起使用，与 IBAN 同用会丢失。",
        check=_account_scheme,
    ),
    Rule(
        id="agent.clearing-system",
        source="ISO 20022 pain.001, ClearingSystemMemberIdentification2",
        parts=("agent",),
        field="clearing_system_member_id",
        message_en="A clearing system needs the bank's member id in it.",
        message_zh="填写清算系统时必须同时填写成员行号。",
        check=_clearing_system,
    ),
    Rule(
        id="address.version",
        source="ISO 20022, PostalAddress6",
        parts=("address",),
        message_en="{version} has no such element in an address. Move it into an address line, or send pain.001.001.09 or later.",
        message_zh="{version} 的地址中没有此元素，请移至地址行或改用 pain.001.001.09 及以上版本。",
        check=_address_version,
    ),
    Rule(
        id="address.lines",
        source="ISO 20022, PostalAddress24: at most 7 address lines",
        parts=("address",),
        field="address_line",
        message_en="An address has at most 7 lines.",
        message_zh="地址行最多 7 行。",
        check=_address_lines,
    ),
)
