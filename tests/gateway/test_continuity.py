"""What fits among an account's statements and what does not, by the rules at the head of `gateway.continuity`."""

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.report import AccountIdentification, Balance, Entry, Statement
from gateway.continuity import BREAK, DUPLICATE, GAP, Reading, StatementFacts, findings


def one(number: int | None, day: str, opening: str, closing: str, **more: object) -> StatementFacts:
    """A statement that books the difference of its balances."""
    values: dict[str, object] = {
        "chain": "c",
        "account": "…3000",
        "currency": "EUR",
        "statement_id": "S",
        "number": number,
        "page": None,
        "day": day,
        "created": "",
        "opening": opening,
        "closing": closing,
        "opens_page": False,
        "closes_page": False,
        "entries": 0,
        "credits": "0",
        "debits": "0",
        **more,
    }
    return StatementFacts(**values)  # type: ignore[arg-type]


def found(*statements: StatementFacts) -> list[tuple[str, object]]:
    """Kind and what is missing (gaps) or the day (else)."""
    told = findings(statements)
    for _ in range(3):  # the order in which they came never counts
        shuffled = random.Random(len(told)).sample(statements, len(statements))
        assert {(f.kind, f.key) for f in findings(shuffled)} == {(f.kind, f.key) for f in told}
    return [(f.kind, f.facts["missing"] if f.kind == GAP else f.facts["day"]) for f in told]


# -- numbers ---------------------------------------------------------------------------------------------------------------


def test_consecutive_numbers_whose_balances_meet_say_nothing() -> None:
    assert found(one(7, "2026-11-02", "1", "2"), one(8, "2026-11-03", "2.00", "3"), one(9, "2026-11-04", "3", "3")) == []


def test_a_hole_is_told_once_with_all_that_is_missing_and_hides_the_balances_beside_it() -> None:
    told = findings([one(7, "2026-11-02", "1", "2"), one(11, "2026-11-06", "9", "10")])
    assert [(f.kind, f.facts["missing"], f.facts["before"], f.facts["after"]) for f in told] == [(GAP, "8–10", 7, 11)]


def test_a_late_statement_closes_its_part_of_the_hole_and_the_rest_stays_the_same_fact() -> None:
    first, last = one(7, "2026-11-02", "1", "1"), one(11, "2026-11-06", "1", "1")
    whole = findings([first, last])
    rest = findings([first, last, one(10, "2026-11-05", "1", "1")])
    assert [f.facts["missing"] for f in rest] == ["8–9"]
    assert [f.key for f in rest] == [f.key for f in whole]


@pytest.mark.parametrize(
    "statements",
    [
        [one(250, "2025-12-30", "1", "2"), one(1, "2026-01-02", "2", "3"), one(2, "2026-01-03", "3", "4")],  # with the year
        [one(250, "2025-12-30", "1", "2"), one(251, "2026-01-02", "2", "3")],  # no restart
        [one(99, "2026-06-30", "1", "2"), one(1, "2026-07-01", "2", "3"), one(2, "2026-07-02", "3", "4")],  # at 1
        [one(1, "2026-07-01", "1", "2"), one(1, "2026-07-02", "2", "3"), one(1, "2026-07-03", "3", "4")],  # always 1
        [one(5, "2025-12-30", "1", "2"), one(1, "2026-01-02", "2", "3"), one(5, "2026-01-08", "9", "9")][:2],
    ],
)
def test_numbers_that_start_anew_leave_no_gap(statements: list[StatementFacts]) -> None:
    assert found(*statements) == []


def test_what_is_missing_at_the_start_of_a_year_is_missed() -> None:
    assert found(one(250, "2025-12-30", "1", "2"), one(3, "2026-01-06", "5", "5")) == [(GAP, "1–2")]


def test_a_number_missing_within_a_year_is_missed_across_its_change_too() -> None:
    assert found(one(250, "2025-12-30", "1", "2"), one(252, "2026-01-06", "5", "5")) == [(GAP, "251")]


@pytest.mark.parametrize(
    "numbers",
    [(20261120, 20261123), (261120, 261123), (324, 327), (2026324, 2026327), (2026112001, 2026112301)],
)
def test_numbers_that_are_dates_leave_no_gap_over_a_weekend(numbers: tuple[int, int]) -> None:
    friday, monday = "2026-11-20", "2026-11-23"
    assert found(one(numbers[0], friday, "1", "2"), one(numbers[1], monday, "2", "3")) == []
    assert found(one(numbers[0], friday, "1", "2"), one(numbers[1], monday, "7", "8")) == [(BREAK, monday)]


def test_one_number_with_other_content_is_told_and_the_same_content_again_is_not() -> None:
    first, again = one(7, "2026-11-02", "1", "2"), one(7, "2026-11-02", "1.00", "2.00", created="2026-11-09", statement_id="X")
    assert found(first, again) == []
    assert found(first, one(7, "2026-11-02", "1", "5")) == [(DUPLICATE, "2026-11-02")]
    assert found(first, one(7, "2026-11-04", "1", "2", entries=3, credits="1")) == [(DUPLICATE, "2026-11-02")]


def test_a_corrected_statement_may_be_the_one_that_the_next_follows() -> None:
    statements = [one(7, "2026-11-02", "1", "2"), one(7, "2026-11-02", "1", "5"), one(8, "2026-11-03", "5", "6")]
    assert found(*statements) == [(DUPLICATE, "2026-11-02")]


def test_two_statements_of_one_number_that_follow_each_other_are_parts_of_one() -> None:
    assert found(one(7, "2026-11-02", "1", "2"), one(7, "2026-11-02", "2", "3"), one(8, "2026-11-03", "3", "3")) == []


# -- pages -----------------------------------------------------------------------------------------------------------------


def page(number: int, page: int, opening: str, closing: str, *, first: bool = False, last: bool = False) -> StatementFacts:
    return one(number, f"2026-11-{number:02}", opening, closing, page=page, opens_page=not first, closes_page=not last)


def test_pages_of_one_statement_make_one_and_a_missing_one_is_told() -> None:
    first, second, third = page(7, 1, "1", "2", first=True), page(7, 2, "2", "3"), page(7, 3, "3", "4", last=True)
    following = page(8, 1, "4", "5", first=True, last=True)
    assert found(first, second, third, following) == []
    assert found(first, third, following) == [(GAP, "7/2")]
    assert found(second, third, following) == [(GAP, "7/1")]
    assert found(first, second) == []  # the last page may still come
    assert found(first, second, following) == [(GAP, "7/3…")]


def test_pages_whose_balances_do_not_meet_are_told() -> None:
    assert found(page(7, 1, "1", "2", first=True), page(7, 2, "9", "9", last=True)) == [(BREAK, "2026-11-07")]


def test_a_count_behind_the_slash_that_bounds_no_page_is_compared_by_balances() -> None:
    first = one(26, "2026-11-02", "1", "2", page=1)
    assert found(first, one(26, "2026-11-04", "2", "3", page=3)) == []
    assert found(first, one(26, "2026-11-04", "8", "9", page=3)) == [(BREAK, "2026-11-04")]


# -- balances --------------------------------------------------------------------------------------------------------------


def test_a_closing_balance_that_is_not_the_next_opening_one_is_told() -> None:
    told = findings([one(7, "2026-11-02", "1", "2"), one(8, "2026-11-03", "-2", "3")])
    assert [(f.kind, f.facts["closing"], f.facts["opening"], f.facts["before_day"]) for f in told] == [
        (BREAK, "2", "-2", "2026-11-02")
    ]


def test_balances_that_are_not_told_break_nothing() -> None:
    unknown = replace(one(8, "2026-11-03", "0", "0"), opening=None, closing=None)
    assert found(one(7, "2026-11-02", "1", "2"), unknown, one(9, "2026-11-04", "5", "6")) == []


def test_statements_without_numbers_are_compared_by_their_days() -> None:
    days = [one(None, "2026-11-02", "1", "2"), one(None, "2026-11-03", "2", "3"), one(None, "2026-11-06", "3", "4")]
    assert found(*days) == []
    assert found(days[0], days[2]) == [(BREAK, "2026-11-06")]


def test_several_statements_of_a_day_without_numbers_are_put_into_the_order_of_their_balances() -> None:
    statements = [
        one(None, "2026-11-02", "0", "10"),
        one(None, "2026-11-03", "10", "20", statement_id="z"),
        one(None, "2026-11-03", "20", "10", statement_id="a"),  # there and back: greedy from 10 could miss it
        one(None, "2026-11-03", "10", "30", statement_id="b"),
        one(None, "2026-11-04", "30", "30"),
    ]
    assert found(*statements) == []
    assert {kind for kind, _ in found(*statements[:2], *statements[3:])} == {BREAK}


def test_an_unnumbered_statement_between_numbered_ones_is_no_break() -> None:
    assert found(one(7, "2026-11-02", "1", "2"), one(None, "2026-11-03", "2", "5"), one(8, "2026-11-04", "5", "6")) == []


def test_booked_entries_that_do_not_make_the_closing_balance_are_told_once_per_statement() -> None:
    wrong = one(7, "2026-11-02", "100", "70", entries=2, credits="20", debits="51")
    told = findings([wrong, replace(wrong, created="2026-11-09")])
    assert [(f.kind, f.facts["booked"], f.facts["opening"], f.facts["closing"]) for f in told] == [(BREAK, "-31", "100", "70")]
    right = replace(wrong, debits="50")
    unlisted = replace(wrong, entries=0, credits="0", debits="0")  # entries are in other files
    unclear = replace(wrong, credits=None, debits=None)
    for good in (right, unlisted, unclear, replace(wrong, opening=None), replace(wrong, closing=None)):
        assert findings([good]) == []


# -- properties ------------------------------------------------------------------------------------------------------------


@st.composite
def chains(draw: st.DrawFn) -> list[StatementFacts]:
    """A chain without a gap, over a change of year, numbered in one of the ways that banks have, or not."""
    way = draw(st.sampled_from(["yearly", "on", "none", "date", "ones"]))
    day, balance, number = date(2025, 12, draw(st.integers(20, 29))), 0, draw(st.integers(1, 300))
    statements = []
    for place in range(draw(st.integers(1, 14))):
        closing = balance + draw(st.integers(-2, 2))
        named = {"yearly": number, "on": number, "none": None, "date": int(day.strftime("%Y%m%d")), "ones": 1}[way]
        statements.append(
            one(named, day.isoformat(), str(balance), str(closing), statement_id=f"S{place}", created=f"{place:03}")
        )
        following = day + timedelta(days=draw(st.integers(0 if way in {"none", "on"} else 1, 4)))
        number = 1 if way == "yearly" and following.year != day.year else number + 1
        balance, day = closing, following
    return statements


@given(chains(), st.randoms(use_true_random=False))
def test_a_chain_without_a_gap_is_without_findings_in_any_order_and_however_often_it_comes(
    chain: list[StatementFacts], chance: random.Random
) -> None:
    come = [*chain, *chance.choices(chain, k=3)]
    chance.shuffle(come)
    assert findings(come) == []


@given(chains(), st.randoms(use_true_random=False))
def test_what_is_told_on_the_way_never_raises_and_has_a_key_of_its_own(
    chain: list[StatementFacts], chance: random.Random
) -> None:
    come = [*chain]
    chance.shuffle(come)
    for count in range(len(come)):
        keys = [finding.key for finding in findings(come[:count])]
        assert len(keys) == len(set(keys))


@given(chains(), st.data())
def test_a_numbered_statement_that_is_missing_within_a_year_is_always_missed(
    chain: list[StatementFacts], data: st.DataObject
) -> None:
    inner = [
        place
        for place in range(1, len(chain) - 1)
        if chain[place - 1].number is not None
        and chain[place + 1].number == (chain[place - 1].number or 0) + 2
        and len(str(chain[place].number)) < 8
    ]
    if inner:
        place = data.draw(st.sampled_from(inner))
        assert GAP in {finding.kind for finding in findings(chain[:place] + chain[place + 1 :])}


# -- from records to facts -------------------------------------------------------------------------------------------------


def balance(kind: str, amount: str, day: str = "2026-11-25", currency: str = "EUR", sign: str = "CRDT") -> Balance:
    return Balance(type=kind, amount=amount, currency=currency, credit_debit=sign, date=day)


def statement(*balances: Balance, number: str | None = "227", iban: str = "DE89370400440532013000") -> Statement:
    account = AccountIdentification(iban=iban, currency="EUR")
    return Statement(statement_id="S", account=account, balances=balances, sequence_number=number)


def entry(amount: str, direction: str, status: str | None = "BOOK", currency: str = "EUR") -> Entry:
    return Entry(statement_id="S", amount=amount, currency=currency, credit_debit=direction, status=status)


def facts(said: Statement, *entries: Entry, message: str = "camt.053.001.08") -> StatementFacts | None:
    reading = Reading(message, said)
    for item in entries:
        reading.take(item)
    return reading.facts()


def test_facts_have_signed_balances_and_the_sums_of_what_is_booked() -> None:
    said = statement(balance("OPBD", "10.50", sign="DBIT"), balance("CLBD", "3"), balance("CLAV", "9"))
    got = facts(said, entry("20", "CRDT"), entry("6.50", "DBIT"), entry("99", "DBIT", "PDNG"), entry("99", "CRDT", "INFO"))
    assert got is not None
    assert (got.opening, got.closing, got.credits, got.debits, got.entries) == ("-10.50", "3", "20", "6.50", 2)
    assert (got.number, got.page, got.day, got.account) == (227, None, "2026-11-25", "…3000")
    assert "DE89" not in repr(got)


@pytest.mark.parametrize("odd", [entry("1", "DBIT", currency="USD"), entry("1", "DBIT", "BOOKD"), entry("1", "")])
def test_sums_that_cannot_be_made_are_not_made(odd: Entry) -> None:
    got = facts(statement(balance("OPBD", "1"), balance("CLBD", "3")), odd)
    assert got is not None
    assert (got.credits, got.debits) == (None, None)


@pytest.mark.parametrize("message", ["camt.052.001.08", "camt.054.001.08", "MT942"])
def test_what_is_not_final_belongs_to_no_chain(message: str) -> None:
    assert facts(statement(balance("CLBD", "3")), message=message) is None


def test_formats_currencies_and_accounts_are_chains_of_their_own_and_blanks_in_an_account_are_none() -> None:
    closing = balance("CLBD", "3")
    dollars = AccountIdentification(iban="DE89370400440532013000", currency="USD")
    chains = [
        facts(statement(closing)),
        facts(statement(closing), message="MT940"),
        facts(statement(closing, iban="DE02120300000000202051")),
        facts(replace(statement(balance("CLBD", "3", currency="USD")), account=dollars)),
    ]
    assert len({got.chain for got in chains if got}) == 4
    spaced = facts(statement(closing, iban="DE89 3704 0044 0532 0130 00"), message="camt.053.001.02")
    assert spaced is not None
    assert chains[0] is not None
    assert spaced.chain == chains[0].chain


@pytest.mark.parametrize(
    ("text", "number", "page"),
    [
        ("227", 227, None),
        ("00227/001", 227, 1),
        ("0", None, None),
        ("00000/001", None, 1),
        ("A7", None, None),
        (None, None, None),
    ],
)
def test_numbers_are_read_as_banks_write_them(text: str | None, number: int | None, page: int | None) -> None:
    got = facts(statement(balance("CLBD", "3"), number=text))
    assert got is not None
    assert (got.number, got.page) == (number, page)


def test_of_several_days_in_one_statement_the_outermost_balances_count_and_two_of_one_day_count_nothing() -> None:
    several = facts(
        statement(
            balance("OPBD", "1", "2026-11-24"), balance("OPBD", "2"), balance("CLBD", "2", "2026-11-24"), balance("CLBD", "3")
        )
    )
    assert several is not None
    assert (several.opening, several.closing, several.day) == ("1", "3", "2026-11-25")
    unclear = facts(replace(statement(balance("CLBD", "3"), balance("CLBD", "4")), period_until="2026-11-25"))
    assert unclear is not None
    assert unclear.closing is None


def test_without_a_day_or_an_account_there_is_nothing_to_compare() -> None:
    assert facts(statement()) is None
    assert facts(statement(balance("CLBD", "3"), iban="")) is None
