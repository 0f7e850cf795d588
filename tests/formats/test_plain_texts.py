"""Plain texts are looked at once, not once a rule: that must never hide what a rule would say."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.model import Party
from formats.pain001_versions import VERSIONS
from formats.rules import RuleSet
from formats.rules.common import COMMON
from formats.rules.rule import ALL_TEXTS, HERE, NOTHING, Inspection, Pack, Rule, RuleBook, Setting
from formats.rules.sepa import SEPA_ALWAYS

SETTING = Setting(on=date(2026, 11, 25), version=VERSIONS["pain.001.001.09"], horizon_days=365, currencies=None)
PACKS = (COMMON, SEPA_ALWAYS)
SPARING = [rule for pack in PACKS for rule in pack.rules if rule.spares_plain]
TEXTS = st.text(min_size=0, max_size=40) | st.text("abcXYZ019 .,'()?:+-/", max_size=40)


@given(text=TEXTS, limit=st.integers(1, 40))
def test_a_rule_that_spares_plain_texts_is_never_broken_by_one(text: str, limit: int) -> None:
    inspection = Inspection(RuleBook(PACKS, SETTING.on), SETTING)
    for kind in ("text", "identifier"):
        if inspection.spares(kind, text, limit):
            assert [rule.id for rule in SPARING if rule.check(text, limit, SETTING)] == []


def test_everyday_texts_are_plain_and_others_are_not() -> None:
    inspection = Inspection(RuleBook(PACKS, SETTING.on), SETTING)
    assert inspection.spares("text", "O'Brien Ltd. (UK)", 70)
    for text in ("", " a", "a/b", "Müller", "a\n", "a" * 71, None, 1):
        assert not inspection.spares("text", text, 70), text


def test_codes_are_always_looked_at_because_plain_texts_are_no_codes() -> None:
    assert not Inspection(RuleBook(PACKS, SETTING.on), SETTING).spares("code", "sala", 4)


@pytest.mark.parametrize("kind", ALL_TEXTS)
def test_a_banks_own_rule_on_texts_sees_plain_ones_too(kind: str) -> None:
    own = Rule(
        id="own.x",
        source="the bank",
        parts=(kind,),
        message_en="No X.",
        message_zh="不得含 X。",
        check=lambda text, _limit, _setting: HERE if "X" in text else NOTHING,
    )
    book = RuleBook((*PACKS, Pack(name="own", rules=(own,))), SETTING.on)
    assert not Inspection(book, SETTING).spares(kind, "X", 35)


def test_a_banks_own_rule_is_reported_for_a_plain_name(payments: SimpleNamespace) -> None:
    own = Rule(
        id="own.name",
        source="the bank",
        parts=("text",),
        message_en="Not this.",
        message_zh="不可用。",
        check=lambda text, _limit, _setting: HERE if text == "Plain" else NOTHING,
    )
    rules = RuleSet((COMMON, Pack(name="own", rules=(own,))))
    transfer = replace(payments.sepa_transfer(), creditor=Party(name="Plain"))
    assert [
        violation.field for violation in rules.check(payments.sepa_terms(), transfer, SETTING) if violation.rule == "own.name"
    ] == ["creditor.name"]
