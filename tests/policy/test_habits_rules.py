"""Each rule about habits: what it stops, what it lets through, and how it says why."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from gateway.habits_settings import BelowLimitSettings, HabitsSettings, HabitWeights
from gateway.lifecycle import PaymentState
from gateway.policy.habits.judge import FAMILIES
from gateway.policy.verdict import Outcome, verdict_of
from tests.policy.habits_workshop import (
    ACME,
    FRENCH,
    NOON,
    OTHER,
    busy,
    judged,
    months,
    past,
    payment,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def stopped(found: dict[str, object]) -> bool:
    summary = found.get("habits")
    return summary is not None and summary.outcome >= Outcome.HOLD  # type: ignore[attr-defined]


# -- duplicates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "days", "rule"),
    [
        ("RE 4711", "RE 4711", 3, "habits.duplicate"),
        ("RE 4711", "Rechnung 004711", 20, "habits.duplicate"),
        ("RE 4711", "RE 4711 (Kopie)", 0, "habits.duplicate"),
        ("RE 4711", "RE 4711", 170, "habits.duplicate"),  # a document's number says it over months
        ("", "", 10, "habits.duplicate"),
        ("Beratung Maerz", "Beratung  MAERZ", 10, "habits.duplicate"),
        ("RE 4711", "RE 4712", 3, "habits.duplicate-amount"),
        ("RE 4711", "", 3, "habits.duplicate-amount"),
        ("RE 4711", "RE 4712", 12, None),  # another invoice over the same sum
        ("RE 4711", "RE 4711", 200, None),
        ("RE 4711 Kd 30017", "RE 4750 Kd 30017", 9, None),  # the customer's number makes no two invoices one
        ("Kd 30017 01/2026", "Kd 30017 02/2026", 9, None),
        ("Beratung", "Beratung", 30, None),
    ],
)
def test_the_same_payment_under_a_new_key_is_found_by_its_content(before: str, now: str, days: int, rule: str | None) -> None:
    earlier = past(payment("earlier", at=NOON - days * DAY, amount="1234.56", said=before))
    found = judged(payment(amount="1234.56", said=now), [earlier])
    assert [name for name in found if name.startswith("habits.dup")] == ([rule] if rule else [])
    if rule:
        assert "earlier" in found[rule].text_en
        assert "earlier" in found[rule].text_zh
        assert dict(found[rule].facts)["other_end_to_end_id"] == "E2E-earlier"
        assert dict(found[rule].facts)["days_apart"] == str(days)


def test_days_apart_are_those_between_the_execution_dates() -> None:
    """Twelve rents entered in one sitting are twelve rents."""
    january = past(payment("jan", due=date(2026, 4, 1), said="Miete"))
    assert "habits" not in judged(payment(due=date(2026, 5, 1), said="Miete"), [january])
    assert "habits.duplicate" in judged(payment(due=date(2026, 4, 2), said="Miete"), [january])


@pytest.mark.parametrize("state", [PaymentState.REJECTED, PaymentState.CANCELLED, PaymentState.RETURNED])
def test_paying_again_what_never_arrived_is_no_duplicate(state: PaymentState) -> None:
    assert "habits" not in judged(payment(said="RE 4711"), [past(payment("earlier", at=NOON - DAY, said="RE 4711"), state)])


@pytest.mark.parametrize("state", [PaymentState.RECEIVED, PaymentState.HELD, PaymentState.AWAITING_APPROVAL, PaymentState.SENT])
def test_what_still_waits_can_be_doubled_already(state: PaymentState) -> None:
    assert "habits.duplicate" in judged(payment(said="RE 4711"), [past(payment("e", at=NOON - HOUR, said="RE 4711"), state)])


@pytest.mark.parametrize(("every", "said"), [(7, "Reinigung"), (14, "Miete Kran"), (30, "Miete"), (1, "Kantine")])
def test_a_rhythm_once_learned_is_no_duplicate(every: int, said: str) -> None:
    assert "habits" not in judged(payment(said=said), months(6, every=every, said=said))


def test_a_payment_out_of_its_rhythm_is_one() -> None:
    rows = months(6, every=30, said="Miete", until=NOON - 3 * DAY + 30 * DAY)  # the last one three days ago
    assert "habits.duplicate" in judged(payment(said="Miete"), rows)


def test_a_duplicate_of_another_caller_is_told_without_its_name() -> None:
    found = judged(payment(said="RE 4711"), [past(payment("theirs", at=NOON - DAY, said="RE 4711", caller="other"))])
    told = found["habits.duplicate"]
    assert "another caller" in told.text_en
    assert "theirs" not in repr(told)


def test_an_invoice_paid_before_with_another_amount_is_told_and_a_part_weighs_half() -> None:
    earlier = past(payment("earlier", at=NOON - 20 * DAY, amount="1000.00", said="RE 4711"))
    edited = judged(payment(amount="1090.00", said="RE 4711"), [earlier])
    assert stopped(edited)
    part = judged(payment(amount="500.00", said="RE 4711 Restbetrag"), [earlier])
    assert not stopped(part)
    assert part["habits.invoice-again"].score == 20


# -- bank details ----------------------------------------------------------------------------------------------------------


def test_a_known_creditor_with_another_account_is_held_and_the_old_one_is_told_masked() -> None:
    found = judged(payment(account=OTHER, name="ACME G.m.b.H.", said="RE 9"), months(7))
    told = found["habits.changed-account"]
    assert stopped(found)
    assert "7 times since 2025-08-06" in told.text_en
    assert dict(told.facts)["known_account"] == "•••6199"
    assert dict(told.facts)["creditor_account"] == "•••9890"


def test_another_country_weighs_more() -> None:
    here, abroad = (judged(payment(account=one), months(3))["habits.changed-account"] for one in (OTHER, FRENCH))
    assert (abroad.score or 0) > (here.score or 0)
    assert "another country" in abroad.text_en


@pytest.mark.parametrize("name", ["Аcme GmbH", "Ac\u200bme GmbH", "ＡＣＭＥ GmbH", "GmbH, Acme", "acme"])
def test_a_name_written_to_look_different_hides_no_change(name: str) -> None:
    """A Cyrillic letter, an invisible one, full width, another order, no legal form."""
    assert "habits.changed-account" in judged(payment(account=OTHER, name=name), months(3))


def test_an_account_that_looks_like_the_known_one_is_found() -> None:
    typed = ACME[:2] + "48" + ACME[4:-2] + "89"
    found = judged(payment(account=typed), months(3))
    assert stopped(found)
    assert "habits.near-account" in found
    assert "habits.changed-account" not in found


def test_a_held_payment_makes_no_account_known() -> None:
    """Or the second try would go through."""
    tried = [past(payment(f"t{number}", at=NOON - number * HOUR, account=OTHER), PaymentState.HELD) for number in (1, 2, 3)]
    assert stopped(judged(payment(account=OTHER, amount="77.00"), [*months(5), *tried]))


def test_an_account_let_go_by_a_person_is_known() -> None:
    released = past(payment("released", at=NOON - 9 * DAY, account=OTHER, amount="55.00"), PaymentState.SENT)
    assert not stopped(judged(payment(account=OTHER), [*months(5), released]))


def test_what_another_caller_pays_makes_no_account_known_to_this_one() -> None:
    theirs = months(5, account=OTHER, caller="other")
    assert "habits.changed-account" in judged(payment(account=OTHER), [*months(5), *theirs])


def test_of_another_callers_creditor_a_finding_says_no_more_than_that_there_is_one() -> None:
    told = judged(payment(account=OTHER), months(7, caller="other"))["habits.changed-account"]
    assert told.text_en == "a known creditor with a new account, at another bank; another caller paid it elsewhere"
    assert [name for name, _ in told.facts] == ["creditor_account"]


def test_an_account_under_quite_another_name_is_told_and_a_collectors_account_is_not() -> None:
    assert "habits.other-name" in judged(payment(name="Zyx Holding"), months(4))
    assert "habits.other-name" not in judged(payment(name="Acme Handel"), months(4))
    collector = [past(payment(f"c{n}", at=NOON - n * 40 * DAY, name=name)) for n, name in enumerate(("Qqqq", "Wwww", "Jjjj"), 1)]
    assert "habits.other-name" not in judged(payment(name="Zyx Holding"), collector)


# -- amounts ---------------------------------------------------------------------------------------------------------------


def test_twelve_times_the_median_is_held_and_told_so() -> None:
    rows = [past(payment(f"b{n}", at=NOON - n * 30 * DAY, amount=f"{90 + n}.00", said=f"RE {n}0000")) for n in range(1, 12)]
    found = judged(payment(amount="1152.00", said="RE 99"), rows)
    assert stopped(found)
    assert found["habits.amount-creditor"].text_en == "12 times the median of 11 payments to this creditor"
    assert found["habits.amount-creditor"].text_zh == "是向该收款人 11 笔付款中位数的 12 倍"


@pytest.mark.parametrize(("count", "amount", "told"), [(2, "9000.00", False), (3, "600.00", True), (3, "450.00", False)])
def test_of_a_few_payments_only_a_far_larger_one_is_told(count: int, amount: str, *, told: bool) -> None:
    assert ("habits.amount-creditor" in judged(payment(amount=amount), months(count))) is told


def test_one_huge_payment_of_the_past_does_not_open_the_door() -> None:
    """The median and its deviation stay where they are; the second huge one is told unless it is no larger."""
    rows = months(12, every=25)
    huge = past(payment("huge", at=NOON - 60 * DAY, amount="9000.00"))
    assert "habits.amount-creditor" in judged(payment(amount="10000.00"), [*rows, huge])


def test_a_steady_creditor_may_grow_a_little() -> None:
    assert "habits" not in judged(payment(amount="129.00"), months(12))


def test_the_largest_payment_ever_to_a_stranger_is_held() -> None:
    rows = busy(30)
    found = judged(payment(amount="400.00", account=OTHER, name="Nobody"), rows)
    assert stopped(found)
    assert "times the largest of 120 payments from this account" in found["habits.amount-account"].text_en
    assert "habits.amount-account" not in judged(payment(amount="250.00", account=OTHER, name="Nobody"), rows)


# -- times -----------------------------------------------------------------------------------------------------------------


def test_night_and_sunday_are_told_and_alone_hold_nothing() -> None:
    rows = busy(30)
    night = judged(payment(at=NOON.replace(hour=3), account="DE00370400440000000001", name="Supplier 1 AG", said="RE 1"), rows)
    assert "habits.hour" in night
    assert not stopped(night)
    sunday = NOON - 3 * DAY
    assert "habits.weekday" in judged(
        payment(at=sunday.replace(hour=10), account="", name="", said="RE 1"), busy(30, until=sunday)
    )
    assert "habits" not in judged(payment(at=NOON.replace(hour=10), account="", name="", said="RE 2"), rows)


def test_the_hour_is_that_of_the_zone_of_the_settings() -> None:
    early = payment(at=NOON.replace(hour=23), account="", name="")
    assert "habits.hour" in judged(early, busy(30))
    shifted = judged(early, busy(30), HabitsSettings(time_zone="Asia/Shanghai"))
    assert "07:00 (Asia/Shanghai)" in judged(early, busy(30), HabitsSettings(time_zone="Asia/Shanghai"))["habits.hour"].text_en
    assert "habits.hour" in shifted


def test_a_burst_at_night_to_strangers_is_held_from_the_fourth_on_and_one_to_suppliers_is_not() -> None:
    three = NOON.replace(hour=3)
    strangers = [
        past(payment(f"n{n}", at=three + n * timedelta(minutes=2), account=f"DE9937040044{n:010d}", name=f"Mule {n}"))
        for n in range(3)
    ]
    last = payment(at=three + timedelta(minutes=9), account=OTHER, name="Mule 9")
    assert stopped(judged(last, [*busy(30), *strangers]))
    assert not stopped(judged(last, [*busy(30), *strangers[1:]]))
    known = payment(at=three + timedelta(minutes=9), account="DE00370400440000000001", name="Supplier 1 AG", said="RE 5")
    assert not stopped(judged(known, [*busy(30), *strangers]))


def test_far_more_payments_than_ever_within_an_hour_are_told() -> None:
    crowd = [past(payment(f"c{n}", at=NOON - timedelta(minutes=n), account="", name="", amount=f"{n}.10")) for n in range(1, 14)]
    found = judged(payment(account="", name=""), [*busy(30), *crowd])
    assert found["habits.burst"].text_en == "14 payments from this account within one hour; before, 2 were the most"
    assert "habits.burst" not in judged(payment(account="", name=""), [*busy(30), *crowd[:5]])


# -- places and limits -----------------------------------------------------------------------------------------------------


def test_the_first_payment_to_a_country_and_in_a_currency_is_told() -> None:
    found = judged(payment(account=FRENCH, name="Neuf SA", currency="CHF"), busy(30))
    assert stopped(found)
    assert "to FR, after 120 to 1 countries" in found["habits.new-country"].text_en
    assert dict(found["habits.new-currency"].facts)["currency"] == "CHF"


LIMITED = HabitsSettings(limits=(BelowLimitSettings(currency="EUR", amount=Decimal(10_000)),))


def test_the_third_payment_just_below_a_limit_is_held() -> None:
    rows = [past(payment(f"s{n}", at=NOON - n * DAY, amount=f"{9_700 + n}.00", said=f"RE {n}1111")) for n in (1, 2)]
    found = judged(payment(amount="9900.00", said="RE 5"), rows, LIMITED)
    assert stopped(found)
    assert found["habits.below-limit"].text_en == "3 payments within 7 days, each just below 10000 EUR"
    assert not stopped(judged(payment(amount="10100.00", said="RE 5"), rows, LIMITED))
    assert not stopped(judged(payment(amount="9900.00", said="RE 5"), rows[:1], LIMITED))


def test_payments_just_below_a_limit_to_several_strangers_count_together() -> None:
    rows = [
        past(payment(f"s{n}", at=NOON - n * DAY, amount=f"{9_700 + n}.00", account=f"DE9937040044{n:010d}", name=f"Mule {n}"))
        for n in (1, 2)
    ]
    assert stopped(judged(payment(amount="9950.00", account=OTHER, name="Mule 3"), rows, LIMITED))


def test_a_price_just_below_a_limit_is_a_price() -> None:
    rows = [past(payment(f"s{n}", at=NOON - n * 3 * DAY, amount=f"{9_700 + n}.00", said=f"RE {n}1111")) for n in range(1, 20)]
    assert not stopped(judged(payment(amount="9750.00", said="RE 5"), rows, LIMITED))


# -- the sum ---------------------------------------------------------------------------------------------------------------


def test_of_a_family_the_strongest_counts_and_families_add_up() -> None:
    rows = [*busy(30), *months(8)]
    found = judged(payment(account=FRENCH, amount="5000.00", at=NOON.replace(hour=3)), rows)
    summary = found["habits"]
    strongest: dict[str, int] = {}
    for rule, one in found.items():
        if rule in FAMILIES:
            strongest[FAMILIES[rule]] = max(strongest.get(FAMILIES[rule], 0), one.score or 0)
    assert len(strongest) >= 3
    assert summary.score == min(100, sum(strongest.values()))
    assert "times the median of 8 payments" in summary.text_en
    assert verdict_of(tuple(found.values())).leading is summary


def test_settings_turn_rules_off_and_say_from_where_on_a_payment_is_refused() -> None:
    earlier = past(payment("earlier", at=NOON - DAY, said="RE 4711"))
    again = payment(said="RE 4711")
    assert judged(again, [earlier], HabitsSettings(block_score=60))["habits"].outcome is Outcome.BLOCK
    off = HabitsSettings(weights=HabitWeights(duplicate=0, duplicate_amount=0))
    assert "habits" not in judged(again, [earlier], off)
    assert not judged(again, [earlier], HabitsSettings(enabled=False))


def test_an_account_hardly_known_is_said_to_be_new() -> None:
    found = judged(payment(), months(3))
    assert list(found) == ["habits.cold-start"]
    assert found["habits.cold-start"].outcome is Outcome.PASS
    assert "3 payments on 3 days are known" in found["habits.cold-start"].text_en
    assert "habits.cold-start" not in judged(payment(said="RE 1"), busy(30))


def test_a_payment_judged_again_is_not_compared_with_itself() -> None:
    """Held, released, judged again: it stands in the store by then."""
    own = past(payment(said="RE 4711"), PaymentState.HELD)
    assert "habits" not in judged(payment(said="RE 4711"), [own])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"time_zone": "Mars/Olympus"}, "time zone"),
        ({"hold_score": 60, "block_score": 50}, "block_score is below hold_score"),
        ({"duplicate_days": 3}, "duplicate_amount_days is longer"),
        ({"hold_scores": 3}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        HabitsSettings.model_validate(bad)
