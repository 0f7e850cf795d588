"""Rules that several schemes have in common and word alike: written once, made for each scheme with its own id, source and name.

Every function gives rules whose ids begin with the scheme's prefix. `payments` is how the messages call the scheme's payments, in
English and in Chinese ("SEPA payments", "SEPA 付款").
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from formats import checks
from formats.characters import BASIC, CharacterSet
from formats.errors import Severity
from formats.model import Account, Party, RemittanceInformation
from formats.rules.rule import HERE, NOTHING, Findings, Rule, Setting, how_many
from formats.rules.values import outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A scheme as its rules name it: prefix of ids ("sepa"), document behind it, its payments in English and Chinese."""

    prefix: str
    source: str
    payments_en: str
    payments_zh: str


def identifiers(scheme: Scheme, section: str) -> tuple[Rule, Rule]:
    """Identifiers in the basic Latin set, and without slashes at their ends or in a row."""
    return (
        Rule(
            id=f"{scheme.prefix}.slashes",
            source=f"{scheme.source}, {section}: identifiers must not start or end with '/' nor contain '//'",
            parts=("identifier",),
            spares_plain=True,
            message_en=f"Identifiers in {scheme.payments_en} must not begin or end with a slash nor hold two in a row.",
            message_zh=f"{scheme.payments_zh}中的标识不得以斜杠开头或结尾，也不得包含连续两个斜杠。",
            check=_slashes,
        ),
        Rule(
            id=f"{scheme.prefix}.identifier-characters",
            source=f"{scheme.source}, {section}: {BASIC.name} only",
            parts=("identifier",),  # codes have a narrower form of their own
            spares_plain=True,
            message_en=f"Identifiers in {scheme.payments_en} take letters, digits and / - ? : ( ) . , ' + only, "
            "not {characters}.",
            message_zh=f"{scheme.payments_zh}中的标识只能使用字母、数字和 / - ? : ( ) . , ' +，不能使用 {{characters}}。",
            check=_identifier_characters,
        ),
    )


def texts(scheme: Scheme, charset: CharacterSet, *, carries_en: str, carries_zh: str, severity: Severity = "error") -> Rule:
    """Names, addresses and remittance text within a character set."""
    return Rule(
        id=f"{scheme.prefix}.characters",
        source=charset.source,
        severity=severity,
        parts=("text",),
        spares_plain=True,
        message_en=f"{carries_en}; these characters would be lost: {{characters}}.",
        message_zh=f"{carries_zh}，以下字符会丢失：{{characters}}。",
        check=within(charset),
    )


def within(charset: CharacterSet, name_max: int = 70) -> Callable[[str, int, Setting], Findings]:
    """A check that a text keeps to a character set. A replacement may be longer than what it replaces ("…"): it is not to break
    the limit of names (`name_max`) in its turn."""

    def check(text: str, limit: int, _setting: Setting) -> Findings:
        return outside(text, charset, min(limit, max(len(text), name_max)))

    return check


def remittance_one(scheme: Scheme) -> Rule:
    """One unstructured line or one structured document."""
    return Rule(
        id=f"{scheme.prefix}.remittance-one",
        source=f"{scheme.source}, RemittanceInformation: either one Unstructured or one Structured",
        parts=("remittance",),
        message_en=f"{scheme.payments_en[0].upper()}{scheme.payments_en[1:]} carry one unstructured line or one structured "
        "document, not both and not several.",
        message_zh=f"{scheme.payments_zh}只能携带一行非结构化附言或一份结构化单据。",
        check=_remittance_one,
    )


def name_length(scheme: Scheme, limit: int, source: str, *, valid_until: date | None = None) -> Rule:
    """Names shorter than the schema's 140."""

    def check(party: Party, _limit: int, _setting: Setting) -> Findings:
        return HERE if isinstance(party.name, str) and len(party.name) > limit else NOTHING

    return Rule(
        id=f"{scheme.prefix}.name-length",
        source=source,
        valid_until=valid_until,
        parts=("party",),
        field="name",
        message_en=f"Names in {scheme.payments_en} have at most {limit} characters.",
        message_zh=f"{scheme.payments_zh}中的名称最多 {limit} 个字符。",
        check=check,
    )


def iban_only(scheme: Scheme, source: str) -> Rule:
    """Accounts by IBAN."""
    return Rule(
        id=f"{scheme.prefix}.iban-only",
        source=source,
        parts=("account",),
        field="iban",
        message_en=f"{scheme.payments_en[0].upper()}{scheme.payments_en[1:]} name accounts by IBAN only.",
        message_zh=f"{scheme.payments_zh}只能使用 IBAN 账号。",
        check=_iban_only,
    )


def _slashes(identifier: str, _limit: int, _setting: Setting) -> Findings:
    return HERE if checks.has_bad_slash(identifier) else NOTHING


def _identifier_characters(text: str, limit: int, _setting: Setting) -> Findings:
    return tuple(
        finding._replace(fix=None) if finding.fix is not None and checks.has_bad_slash(finding.fix) else finding
        for finding in outside(text, BASIC, limit)
    )


def _remittance_one(remittance: RemittanceInformation, _limit: int, _setting: Setting) -> Findings:
    return HERE if how_many(remittance.unstructured) + how_many(remittance.structured) > 1 else NOTHING


def _iban_only(account: Account, _limit: int, _setting: Setting) -> Findings:
    return HERE if account.iban is None and account.other_id is not None else NOTHING
