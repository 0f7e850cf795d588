"""Who wins: lists that block, lists that say who may pass, what people cleared. Only its own settings open a list's blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from gateway.policy.screening.cleared import Excuse, Payee, payee_key
from gateway.policy.screening.entries import ListEntry, NotTheSame, ScreeningList
from gateway.policy.verdict import Finding, Outcome, verdict_of
from gateway.screening_settings import ListSettings

from .conftest import TODAY, MakeScreen, MakeSubject, made_list

NAME, ACCOUNT = "Ivan Petrovich Sidorov", "CH9300762011623852957"
IVAN = ListEntry(entry_id="e1", names=(NAME,))
PAYEE: Payee = (payee_key(NAME), ACCOUNT)


def blocking(*, lifts: bool = False, entry: ListEntry = IVAN) -> ScreeningList:
    return replace(made_list(entry, name="watch"), lift_blocks=lifts)


def passing(entry: ListEntry = IVAN, list_id: str = "watch") -> ScreeningList:
    decided = NotTheSame(list_id=list_id, entry_id=entry.entry_id, digest=entry.digest)
    return made_list(
        ListEntry(entry_id="d1", names=(NAME,), accounts=(ACCOUNT,), not_the_same=decided), name="good", action="pass"
    )


def cleared(entry: ListEntry = IVAN) -> Mapping[Payee, Sequence[Excuse]]:
    excuse = Excuse(decision_id="c1", list_id="watch", entry_id=entry.entry_id, digest=entry.digest, person="ada")
    return {PAYEE: [excuse]}


def outcome(findings: Sequence[Finding]) -> Outcome:
    return verdict_of(tuple(findings)).outcome


@pytest.mark.parametrize("lifts", [False, True])
def test_attack_a_whitelist_entry_never_releases_a_block_unless_the_list_says_so(
    lifts: bool, screen: MakeScreen, subject: MakeSubject
) -> None:
    findings = screen(blocking(lifts=lifts), passing()).judge(subject(name=NAME), TODAY)
    assert outcome(findings) is (Outcome.PASS if lifts else Outcome.BLOCK)
    if not lifts:
        assert "does not count where this list blocks" in findings[0].text_en
        assert "不解除阻止" in findings[0].text_zh


@pytest.mark.parametrize("lifts", [False, True])
def test_attack_what_a_person_cleared_never_releases_a_block_unless_the_list_says_so(
    lifts: bool, screen: MakeScreen, subject: MakeSubject
) -> None:
    findings = screen(blocking(lifts=lifts)).judge(subject(name=NAME), TODAY, cleared())
    assert outcome(findings) is (Outcome.PASS if lifts else Outcome.BLOCK)


def test_attack_an_account_on_a_list_that_blocks_is_not_lifted_either(screen: MakeScreen, subject: MakeSubject) -> None:
    entry = ListEntry(entry_id="e1", accounts=(ACCOUNT,))
    one = screen(blocking(entry=entry), passing(entry))
    assert outcome(one.judge(subject(name=NAME), TODAY)) is Outcome.BLOCK
    assert outcome(screen(blocking(entry=entry, lifts=True), passing(entry)).judge(subject(name=NAME), TODAY)) is Outcome.PASS


@pytest.mark.parametrize("order", [0, 1])
def test_attack_the_order_of_the_lists_lifts_nothing(order: int, screen: MakeScreen, subject: MakeSubject) -> None:
    lists = [blocking(), passing()]
    assert outcome(screen(*(lists if order else lists[::-1])).judge(subject(name=NAME), TODAY)) is Outcome.BLOCK


def test_attack_a_decision_about_one_list_lifts_nothing_of_another(screen: MakeScreen, subject: MakeSubject) -> None:
    """The same entry id and content on two lists; one of them may be lifted."""
    other = replace(blocking(lifts=True), id="other")
    findings = screen(blocking(), other, passing(list_id="other")).judge(subject(name=NAME), TODAY)
    assert outcome(findings) is Outcome.BLOCK
    assert {dict(one.facts)["list"]: one.outcome for one in findings} == {"watch": Outcome.BLOCK, "other": Outcome.PASS}


def test_attack_who_is_known_to_be_good_without_an_entry_is_excused_of_nothing(screen: MakeScreen, subject: MakeSubject) -> None:
    good = made_list(ListEntry(entry_id="g", names=(NAME,), accounts=(ACCOUNT,)), name="good", action="pass")
    assert outcome(screen(made_list(IVAN, action="hold"), good).judge(subject(name=NAME), TODAY)) is Outcome.HOLD


def test_attack_a_bank_or_country_is_excused_for_nobody(screen: MakeScreen, subject: MakeSubject) -> None:
    entry = ListEntry(entry_id="e1", countries=("CH",))
    one = screen(blocking(entry=entry, lifts=True), passing(entry))
    assert outcome(one.judge(subject(name=NAME), TODAY, cleared(entry))) is Outcome.BLOCK


def test_what_only_holds_is_lifted_on_a_list_that_blocks(screen: MakeScreen, subject: MakeSubject) -> None:
    near = "Ivan Petrovic Sidorov"
    payee = (payee_key(near), ACCOUNT)
    findings = screen(blocking()).judge(subject(name=near), TODAY, {payee: cleared()[PAYEE]})
    assert (outcome(findings), "cleared by ada" in findings[0].text_en) == (Outcome.PASS, True)


def test_whether_blocks_can_be_lifted_changes_the_digest_and_belongs_to_lists_that_block(screen: MakeScreen) -> None:
    assert screen(blocking()).digest != screen(blocking(lifts=True)).digest
    with pytest.raises(ValueError, match="belongs to a list with action"):
        ListSettings(id="own", file="own.csv", kind="own", decisions_lift_blocks=True)
