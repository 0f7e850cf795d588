"""Dated rule packs: what a payment must keep to, with the source of every rule.

`check_payment` puts the common pack to one payment; banks put their own choice of packs through `RuleSet`.
"""

from datetime import date
from functools import lru_cache

from formats.checks import has_long_sum
from formats.errors import Violation
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.pain001_versions import VERSIONS, Pain001Version
from formats.rules.common import COMMON
from formats.rules.places import is_cross_border
from formats.rules.rule import SCHEMA, CleanParts, Finding, Inspection, Pack, RuleBook, Setting
from formats.rules.walk import FIELD_TYPE, is_day, walk_party, walk_terms, walk_text, walk_transfer

_EMPTY = (
    "message.empty",
    "A message has at least one block, and a block at least one transfer.",
    "报文至少有一个批次，每个批次至少一笔付款。",
)
_CONTROL_SUM = ("message.control-sum", "The sum has more than 18 digits. Split the message.", "合计金额超过 18 位，请拆分报文。")


class RuleSet:
    """Packs of rules, put to payments. Holds nothing but the packs; the caches below know rule books and terms already judged."""

    __slots__ = ("_book", "_clean", "_terms", "packs")

    def __init__(self, packs: tuple[Pack, ...]) -> None:
        self.packs = packs
        self._book = lru_cache(maxsize=256)(RuleBook)
        self._clean = lru_cache(maxsize=16)(lambda _packs, _setting: CleanParts())
        # Payments of one block share their terms: judged once, not once a payment.
        self._terms = lru_cache(maxsize=1_024)(self._judge_terms)

    def check(self, terms: object, transfer: object, setting: Setting) -> tuple[Violation, ...]:
        """Every rule the payment breaks, terms first. Never raises, whatever it is given for terms and transfer."""
        if not isinstance(terms, PaymentTerms) or not isinstance(transfer, CreditTransfer):
            return (FIELD_TYPE.violation("", Finding(), 0),)
        try:
            packs, found = self._terms(terms, setting)
        except TypeError:  # a field holds something unhashable: judged without the cache, which reports the field
            packs, found = self._judge_terms(terms, setting)
        book = self._book(packs, setting.on)
        inspection = Inspection(book, setting, self._clean(packs, setting))
        if book.by_part["payment"]:
            inspection.look("payment", "", (terms, transfer))
        if book.by_part["abroad"] and is_cross_border((terms, transfer)):
            inspection.look("abroad", "", (terms, transfer))
        walk_transfer(transfer, inspection)
        return (*found, *inspection.found) if inspection.found else found

    def _judge_terms(self, terms: PaymentTerms, setting: Setting) -> tuple[tuple[Pack, ...], tuple[Violation, ...]]:
        packs = tuple(pack for pack in self.packs if pack.applies(terms))
        inspection = Inspection(self._book(packs, setting.on), setting)
        walk_terms(terms, inspection)
        return packs, tuple(inspection.found)


_MESSAGE_RULES = RuleSet((COMMON,))


def check_payment(terms: PaymentTerms, transfer: CreditTransfer | None, version: Pain001Version) -> tuple[Violation, ...]:
    """The common rules on one payment in one version of pain.001, whatever the day and the bank. None: the terms alone."""
    day = terms.requested_execution_date
    setting = _setting_of(day if is_day(day) else date.min, version)
    if transfer is not None:
        return _MESSAGE_RULES.check(terms, transfer, setting)
    inspection = Inspection(RuleBook((COMMON,), setting.on), setting)
    walk_terms(terms, inspection)
    return tuple(inspection.found)


def check_message(message: PaymentInitiation) -> tuple[Violation, ...]:
    """What is wrong with the header of a message and the ids and sums of its blocks; its version must be known."""
    setting = _setting_of(message.creation_date_time.date(), VERSIONS[message.message_name])
    inspection = Inspection(_header_book(), setting)
    walk_text(message.message_id, "identifier", 35, "message_id", inspection)
    walk_party(message.initiating_party, "initiating_party", inspection)
    for index, block in enumerate(message.blocks):
        walk_text(block.payment_information_id, "identifier", 35, f"blocks[{index}].payment_information_id", inspection)
    found = inspection.found
    if not message.blocks or any(block.count < 1 for block in message.blocks):
        found.append(_violation("blocks", *_EMPTY))
    if has_long_sum(message.control_sum):
        found.append(_violation("control_sum", *_CONTROL_SUM))
    return tuple(found)


def unsupported_message(
    message_name: str, takes: tuple[str, ...] = tuple(VERSIONS), *, first: date | None = None, last: date | None = None
) -> Violation:
    """The violation for a message that cannot be written, or that the bank does not take on the day.

    `first` and `last` are the days on which it does take it, where the day asked for lies outside them.
    """
    days = [*((f"from {first.isoformat()}",) if first else ()), *((f"until {last.isoformat()}",) if last else ())]
    days_zh = [*((f"自 {first.isoformat()} 起",) if first else ()), *((f"至 {last.isoformat()} 止",) if last else ())]
    others, others_zh = ", ".join(takes) or "none", "、".join(takes) or "无"
    when, when_zh = (f" on that day (but {' '.join(days)})", f"（有效期：{''.join(days_zh)}）") if days else ("", "")
    return Violation(
        field="message_name",
        rule="message.unsupported",
        source="the bank's agreement (Capabilities.sends)",
        message_en=f"The message {message_name!r} is not taken here{when}. Send one of: {others}.",
        message_zh=f"此处不接受报文 {message_name!r}{when_zh}，可用：{others_zh}。",
    )


def _setting_of(on: date, version: Pain001Version) -> Setting:
    return Setting(on=on, version=version, horizon_days=(date.max - on).days, currencies=None)


@lru_cache(maxsize=1)
def _header_book() -> RuleBook:
    return RuleBook((COMMON,), date.min)


def _violation(field: str, rule: str, message_en: str, message_zh: str) -> Violation:
    return Violation(field=field, rule=rule, source=SCHEMA, message_en=message_en, message_zh=message_zh)
