"""Lists that change while a payment is in a message or with the bank: stopped where it can be, told where it cannot."""

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from formats.model import Party, PostalAddress
from gateway.lifecycle import DeliveryState
from gateway.policy.chain import Choice
from gateway.rescreening import Rescreener
from gateway.review_screening import ScreenCheck
from gateway.store.records import DeliveryFilter
from tests.gateway.review.conftest import Build, House
from tests.gateway.review.test_checks import with_lists


def watching(house: House, days: int = 30) -> House:
    house.reviewer.rescreener = Rescreener(house.store, house.now, days)
    return house


async def found_after(house: House) -> list[tuple[str, str | None]]:
    return [one for one in await house.discrepancies() if one[0] == "screening_hit_after_sending"]


@pytest.fixture
def house(build: Build) -> House:
    return watching(with_lists(build(), "Somebody Else"))


async def test_a_payment_in_a_message_that_did_not_leave_is_taken_out_and_the_others_leave(house: House) -> None:
    good, bad = await house.judged("50.00", "60.00")
    (third,) = await house.judged("70.00", prefix="C", creditor=_party("Boris Frolow"))
    await house.preparer.form_messages()
    assert await house.states([good, bad, third]) == ["batched", "batched", "batched"]
    with_lists(house, "Somebody Else", "Boris Frolov")
    await house.reviewer.pump()
    assert await house.states([good, bad, third]) == ["batched", "batched", "batched"]
    assert ("batched", "bankgate.hit-in-message", "review") in await house.story(third)
    assert await house.send() == 0, "the message that had all three is given up"
    assert await house.send() == 1
    assert await house.states([good, bad, third]) == ["sent", "sent", "held"]
    held = await house.payment(third)
    assert held.reason.code == "policy.screening.own"
    assert (await house.discrepancies(), b"70.00" in b"".join(house.bank.got)) == ([], False)
    await house.reviewer.pump()
    case = await house.case(third)
    assert (case.intact, Choice.RELEASE in case.choices) == (True, True), "people decide about it as about any held payment"


async def test_a_hit_that_blocks_refuses_the_payment_once_it_is_out_of_its_message(house: House) -> None:
    (bad,) = await house.judged("50.00")
    await house.preparer.form_messages()
    with_lists(house, "Supplier")
    await house.reviewer.pump()
    assert (await house.send(), await house.states([bad])) == (0, ["held"])
    await house.reviewer.pump()
    assert (await house.send(), await house.states([bad])) == (0, ["rejected"])


async def test_a_sealed_message_that_waits_for_its_next_try_is_looked_at_before_it_leaves(house: House) -> None:
    (bad,) = await house.judged("50.00")
    await house.preparer.form_messages()
    ((delivery,), _) = await house.store.list_deliveries(DeliveryFilter(), limit=9)
    assert await house.preparer.seal_document(delivery) is not None
    with_lists(house, "Supplier")
    await house.reviewer.pump()
    assert (await house.send(), await house.states([bad])) == (0, ["held"])
    ((delivery,), _) = await house.store.list_deliveries(DeliveryFilter(), limit=9)
    assert delivery.state is DeliveryState.ABANDONED


async def test_what_the_bank_has_is_told_once_with_list_entry_and_score_and_stays_as_it_is(house: House) -> None:
    (paid,) = await house.judged("50.00")
    assert await house.send() == 1
    with_lists(house, "Somebody Else", "Supplier")
    for _ in range(3):
        await house.reviewer.pump()
    assert await found_after(house) == [("screening_hit_after_sending", paid)]
    ((told,), _) = await house.store.list_discrepancies(limit=9)
    evidence = json.loads(told.evidence)
    assert (evidence["list"], evidence["entry"], evidence["score"], evidence["state"]) == ("own", "line-3", "100.0", "sent")
    assert "recalled" in told.summary_en
    assert "撤回" in told.summary_zh
    assert await house.states([paid]) == ["sent"]
    assert [word for _, word, _ in await house.story(paid)][-1] == "bankgate.sent"


async def test_a_message_on_its_way_while_the_list_changed_is_told_when_it_arrived(house: House) -> None:
    """The gate had looked before the hit was written; the message then left."""
    (paid,) = await house.judged("50.00")
    await house.preparer.form_messages()
    ((delivery,), _) = await house.store.list_deliveries(DeliveryFilter(), limit=9)
    sealed = await house.preparer.seal_document(delivery)
    assert sealed is not None
    with_lists(house, "Supplier")
    await house.reviewer.pump()
    house.courier = replace(house.courier, preparer=replace(house.preparer, gate=None))  # past the gate
    assert (await house.send(), await found_after(house)) == (1, [])
    watching(house)  # another process
    await house.reviewer.pump()
    assert (await found_after(house), await house.states([paid])) == ([("screening_hit_after_sending", paid)], ["sent"])


async def test_a_hit_that_was_released_before_is_no_news_when_another_entry_changes(build: Build) -> None:
    house = watching(with_lists(build(), "Boris Frolov"))
    (held,) = await house.judged("50.00", creditor=_party("Boris Frolow"))
    await house.decide("ada", held, Choice.RELEASE)
    assert (await house.states([held]), await house.send()) == (["approved"], 1)
    with_lists(house, "Boris Frolov", "Somebody Else")
    await house.reviewer.pump()
    assert await found_after(house) == []


async def test_payments_older_than_the_days_asked_for_are_left_alone(build: Build) -> None:
    house = watching(with_lists(build(), "Somebody Else"), days=5)
    await house.judged("50.00")
    await house.send()
    house.moment[0] += timedelta(days=6)
    with_lists(house, "Supplier")
    await house.reviewer.pump()
    assert await found_after(house) == []
    watching(house, days=7)
    await house.store.finish_rescreening("")
    await house.reviewer.pump()
    assert len(await found_after(house)) == 1


async def test_lists_are_gone_through_once_a_change_and_new_payments_do_not_wait_meanwhile(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.judged("50.00", "60.00", "70.00")
    await house.send()
    await house.reviewer.pump()
    monkeypatch.setattr("gateway.rescreening.BATCH", 1)
    looks, hits = [], ScreenCheck.hits

    async def counted(check: ScreenCheck, subjects: object, now: object) -> object:
        looks.append(len(subjects))  # type: ignore[arg-type]
        if len(looks) == 2:
            await house.submit("80.00", prefix="NEW")
        return await hits(check, subjects, now)  # type: ignore[arg-type]

    monkeypatch.setattr(ScreenCheck, "hits", counted)
    with_lists(house, "Supplier")
    await house.reviewer.pump()
    # Three payments at the bank, each a page; the new one is judged after the second of them, by the list that changed.
    assert looks == [1, 1, 1, 1]
    assert len(await found_after(house)) == 3
    assert [one.payment.state for one in (await house.store.unjudged(9))] == []
    await house.reviewer.pump()
    assert looks == [1, 1, 1, 1]


async def test_a_look_that_is_cut_short_is_begun_again(house: House) -> None:
    await house.judged("50.00")
    await house.send()
    with_lists(house, "Supplier")
    await house.reviewer.checks.refresh()

    async def between() -> None:
        return None

    rescreener = Rescreener(house.store, house.now, 30)
    await rescreener.look(house.reviewer.checks.all, between, lambda: True)
    assert await found_after(house) == []
    await rescreener.look(house.reviewer.checks.all, between, lambda: False)
    assert len(await found_after(house)) == 1


async def test_attack_a_state_written_by_hand_is_still_told_as_such(house: House) -> None:
    """A held payment set to batched by hand carries no hit of the kind that comes afterwards."""
    with_lists(house, "Boris Frolov")
    (held,) = await house.judged("50.00", creditor=_party("Boris Frolow"))
    with sqlite3.connect(house.directory / "bankgate.db") as db:
        db.execute("UPDATE payments SET state = 'approved' WHERE payment_id = ?", (held,))
    assert await house.send() == 0
    assert (await house.discrepancies(), await house.states([held])) == ([("approval_void", held)], ["held"])


def _party(name: str) -> Party:
    return Party(name=name, postal_address=PostalAddress(town_name="Amsterdam", country="NL"))
