"""What screening says of payments: who is found where, who was decided to be somebody else, and what is never taken for clean."""

from dataclasses import replace
from datetime import date

import pytest

from formats.model import Agent, Party, PostalAddress, RemittanceInformation
from gateway.policy.screening.entries import ListEntry, NotTheSame
from gateway.policy.screening.screen import Looked
from gateway.policy.verdict import Outcome, verdict_of

from .conftest import TODAY, MakeScreen, MakeSubject, made_list

IVAN = ListEntry(entry_id="e1", names=("Ivan Petrovich Sidorov",), about="programme X")
ACCOUNT = "CH9300762011623852957"


def test_a_payment_to_nobody_listed_passes_without_a_word(screen: MakeScreen, subject: MakeSubject) -> None:
    assert screen(made_list(IVAN)).judge(subject(), TODAY) == ()


def test_without_lists_nothing_is_said(screen: MakeScreen, subject: MakeSubject) -> None:
    assert screen().judge(subject(name="???"), TODAY) == ()


def test_a_hit_says_list_entry_words_and_score_in_both_languages(screen: MakeScreen, subject: MakeSubject) -> None:
    (finding,) = screen(made_list(IVAN)).judge(subject(name="Sidorof, Ivan"), TODAY)
    assert (finding.rule, finding.version, finding.outcome) == ("screening.watch", 20261120, Outcome.HOLD)
    assert finding.score == 84
    assert "sidorof for sidorov: sounds alike; not in the payment: petrovich" in finding.text_en
    assert "sidorof 对 sidorov：读音相近；付款中没有：petrovich" in finding.text_zh
    facts = dict(finding.facts)
    assert facts["entry_digest"] == IVAN.digest
    assert facts["about"] == "programme X"


def test_a_list_that_blocks_holds_what_is_only_near(screen: MakeScreen, subject: MakeSubject) -> None:
    one = screen(made_list(IVAN))
    assert verdict_of(one.judge(subject(name="Ivan Petrovich Sidorov"), TODAY)).outcome is Outcome.BLOCK
    assert verdict_of(one.judge(subject(name="Ivan Petrovic Sidorov"), TODAY)).outcome is Outcome.HOLD
    holding = screen(made_list(IVAN, action="hold"))
    assert verdict_of(holding.judge(subject(name="Ivan Petrovich Sidorov"), TODAY)).outcome is Outcome.HOLD


def test_a_name_the_list_calls_weak_never_blocks(screen: MakeScreen, subject: MakeSubject) -> None:
    entry = ListEntry(entry_id="w", names=("Boris Frolov",), weak=("Red Hammer",))
    (finding,) = screen(made_list(entry)).judge(subject(name="Red Hammer"), TODAY)
    assert (finding.outcome, finding.score) == (Outcome.HOLD, 90)


@pytest.mark.parametrize(
    ("entry", "changes", "where"),
    [
        (ListEntry(entry_id="a", accounts=(ACCOUNT,)), {}, "creditor_account"),
        (ListEntry(entry_id="b", bics=("MOCKRU2M",)), {"creditor_agent": Agent(bic="MOCKRU2M123")}, "creditor_agent"),
        (ListEntry(entry_id="b", bics=("MOCKRU2MXXX",)), {"creditor_agent": Agent(bic="MOCKRU2M")}, "creditor_agent"),
        (ListEntry(entry_id="c", countries=("CH",)), {}, "creditor_account"),
        (ListEntry(entry_id="c", countries=("RU",)), {"creditor_agent": Agent(bic="MOCKRU2M123")}, "creditor_agent"),
        (
            ListEntry(entry_id="c", countries=("KP",)),
            {"ultimate_creditor": Party(country_of_residence="KP")},
            "ultimate_creditor",
        ),
        (
            ListEntry(entry_id="c", countries=("KP",)),
            {"creditor_agent": Agent(name="Dawn", postal_address=PostalAddress(country="KP"))},
            "creditor_agent",
        ),
        (ListEntry(entry_id="n", names=("Dawn Star Bank",)), {"creditor_agent": Agent(name="Dawn Star Bank")}, "creditor_agent"),
        (ListEntry(entry_id="n", names=("Ivan Frolov",)), {"ultimate_creditor": Party(name="Ivan Frolov")}, "ultimate_creditor"),
        (
            ListEntry(entry_id="t", terms=("machine parts",)),
            {"remittance_information": RemittanceInformation(unstructured=("Inv 7: MACHINE-", "  parts"))},
            "remittance_information",
        ),
        (
            ListEntry(entry_id="t", terms=("machine parts",)),
            {"remittance_information": RemittanceInformation(unstructured=("spare machine", "parts"))},
            "remittance_information",
        ),
        (
            ListEntry(entry_id="t", terms=("machine parts",)),
            {"remittance_information": RemittanceInformation(unstructured=("spare machine pa", "rts"))},
            "remittance_information",
        ),
        (
            ListEntry(entry_id="t", terms=("武器",)),
            {"remittance_information": RemittanceInformation(unstructured=("購買武器零件",))},
            "remittance_information",
        ),
    ],
)
def test_every_part_of_a_payment_that_is_screened_is(
    entry: ListEntry, changes: dict[str, object], where: str, screen: MakeScreen, subject: MakeSubject
) -> None:
    findings = screen(made_list(entry)).judge(subject(**changes), TODAY)
    assert [dict(finding.facts)["where"] for finding in findings] == [where]
    assert findings[0].outcome is Outcome.BLOCK


def test_a_branch_on_a_list_is_that_branch_alone(screen: MakeScreen, subject: MakeSubject) -> None:
    one = screen(made_list(ListEntry(entry_id="b", bics=("MOCKRU2M123",))))
    assert one.judge(subject(creditor_agent=Agent(bic="MOCKRU2M123")), TODAY)
    assert not one.judge(subject(creditor_agent=Agent(bic="MOCKRU2M456")), TODAY)


def test_no_account_number_stands_in_what_is_told(screen: MakeScreen, subject: MakeSubject) -> None:
    entry = ListEntry(entry_id="a", accounts=(ACCOUNT,), about=f"complaint about {ACCOUNT}")
    (finding,) = screen(made_list(entry)).judge(subject(), TODAY)
    assert ACCOUNT not in str(finding)
    assert "2957" in dict(finding.facts)["value"]


@pytest.mark.parametrize("name", [None, "", "???", "...", "x" * 1001])
def test_attack_a_name_that_cannot_be_compared_is_held_and_not_clean(
    name: str | None, screen: MakeScreen, subject: MakeSubject
) -> None:
    (finding,) = screen(made_list(IVAN)).judge(subject(name=name), TODAY)
    assert (finding.rule, finding.outcome) == ("screening.unreadable", Outcome.HOLD)


def test_attack_a_listed_name_behind_another_one_is_found(screen: MakeScreen, subject: MakeSubject) -> None:
    assert screen(made_list(IVAN)).judge(subject(name="Rosa Bianchi / Ivan Petrovich Sidorov"), TODAY)


# -- who was decided to be somebody else --------------------------------------------------------------------------------------


def decision(entry: ListEntry, **changes: object) -> ListEntry:
    base = ListEntry(
        entry_id="d1",
        names=("Ivan Sidorov",),
        accounts=(ACCOUNT,),
        about="born 1999, passport seen",
        not_the_same=NotTheSame(list_id="watch", entry_id=entry.entry_id, digest=entry.digest),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_who_was_decided_to_be_somebody_else_passes_and_it_is_said(screen: MakeScreen, subject: MakeSubject) -> None:
    one = screen(made_list(IVAN), made_list(decision(IVAN), name="good", action="pass"))
    (finding,) = one.judge(subject(name="Ivan  SIDOROV"), TODAY)
    assert finding.outcome is Outcome.PASS
    assert "decided before that it is somebody else: born 1999, passport seen" in finding.text_en
    assert "先前已认定非同一人" in finding.text_zh


@pytest.mark.parametrize(
    ("name", "account", "why"),
    [
        ("Ivan Sidorov", "DE89370400440532013000", "another account"),
        ("Ivan P. Sidorov", ACCOUNT, "another name"),
        ("Ivan Sidorov", None, "no account"),
    ],
)
def test_attack_a_decision_does_not_cover_anybody_else(
    name: str, account: str | None, why: str, screen: MakeScreen, subject: MakeSubject
) -> None:
    one = screen(made_list(IVAN), made_list(decision(IVAN), name="good", action="pass"))
    assert verdict_of(one.judge(subject(name=name, account=account), TODAY)).outcome is Outcome.HOLD, why


def test_a_decision_falls_when_the_entry_changes(screen: MakeScreen, subject: MakeSubject) -> None:
    changed = replace(IVAN, names=(*IVAN.names, "Ivan Sidorov"))
    one = screen(made_list(changed), made_list(decision(IVAN), name="good", action="pass"))
    (finding,) = one.judge(subject(name="Ivan Sidorov"), TODAY)
    assert finding.outcome is Outcome.BLOCK
    assert "fell when the entry changed" in finding.text_en


def test_a_decision_about_one_entry_leaves_the_others_standing(screen: MakeScreen, subject: MakeSubject) -> None:
    other = ListEntry(entry_id="e2", names=("Ivan Sidorov",))
    one = screen(made_list(IVAN, other), made_list(decision(IVAN), name="good", action="pass"))
    findings = one.judge(subject(name="Ivan Sidorov"), TODAY)
    assert [(dict(found.facts)["entry"], found.outcome) for found in findings] == [("e2", Outcome.BLOCK), ("e1", Outcome.PASS)]


def test_a_decision_holds_as_long_as_it_says(screen: MakeScreen, subject: MakeSubject) -> None:
    one = screen(made_list(IVAN), made_list(decision(IVAN, valid_until=date(2026, 11, 30)), name="good", action="pass"))
    ivan = subject(name="Ivan Sidorov")
    assert verdict_of(one.judge(ivan, date(2026, 11, 30))).outcome is Outcome.PASS
    assert verdict_of(one.judge(ivan, date(2026, 12, 1))).outcome is Outcome.HOLD


def test_attack_many_decisions_do_not_crowd_out_the_one_that_stands(screen: MakeScreen, subject: MakeSubject) -> None:
    """Only some hits are told one by one; those that were excused must not take their places."""
    entries = [ListEntry(entry_id=f"e{number}", names=("Ivan Sidorov",), about=str(number)) for number in range(8)]
    decisions = [decision(entry, entry_id=f"d{entry.entry_id}") for entry in entries[:7]]
    one = screen(made_list(*entries), made_list(*decisions, name="good", action="pass"), told_max=2)
    assert verdict_of(one.judge(subject(name="Ivan Sidorov"), TODAY)).outcome is Outcome.BLOCK


def test_what_is_not_told_one_by_one_is_counted(screen: MakeScreen, subject: MakeSubject) -> None:
    entries = [ListEntry(entry_id=f"e{number}", names=("Ivan Sidorov",)) for number in range(8)]
    findings = screen(made_list(*entries), told_max=3).judge(subject(name="Ivan Sidorov"), TODAY)
    assert len(findings) == 3
    assert "5 more of the lists are as near" in findings[-1].text_en


# -- days and digests ---------------------------------------------------------------------------------------------------------


def test_an_entry_counts_from_its_first_to_its_last_day(screen: MakeScreen, subject: MakeSubject) -> None:
    entry = replace(IVAN, valid_from=date(2026, 11, 26), valid_until=date(2026, 11, 27))
    one = screen(made_list(entry))
    ivan = subject(name="Ivan Petrovich Sidorov")
    found = [bool(one.judge(ivan, date(2026, 11, day))) for day in (25, 26, 27, 28)]
    assert found == [False, True, True, False]
    digests = [one.digest_on(date(2026, 11, day)) for day in (24, 25, 26, 27, 28, 29)]
    assert digests[0] == digests[1] != digests[2] == digests[3] != digests[4] == digests[5]


def test_the_digest_tells_lists_and_rules_apart_and_nothing_else(screen: MakeScreen) -> None:
    base = screen(made_list(IVAN))
    assert base.digest == screen(made_list(IVAN)).digest
    others = (
        screen(made_list(IVAN, sha256="1" * 64)),
        screen(made_list(IVAN, action="hold")),
        screen(made_list(IVAN), hold_score=90),
        screen(),
    )
    assert len({base.digest, *(one.digest for one in others)}) == 5


def test_an_entry_is_the_same_in_whatever_order_it_is_written() -> None:
    one = ListEntry(entry_id="1", names=("A B", "C D"), accounts=("1", "2"))
    assert one.digest == replace(one, names=("C D", "A B"), accounts=("2", "1"), about="other").digest
    assert one.digest != replace(one, names=("A B",)).digest


def test_what_is_looked_at_without_a_payment_is_found_alike(screen: MakeScreen, subject: MakeSubject) -> None:
    one = screen(made_list(IVAN))
    looked = Looked(names=(("creditor", "Ivan Sidorov"),), account=ACCOUNT)
    assert one.look(looked, TODAY) == one.judge(subject(name="Ivan Sidorov"), TODAY)
