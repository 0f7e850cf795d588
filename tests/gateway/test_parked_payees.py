"""What a person is told of the payees before an order is released: each result counted, and never more than was told."""

from typing import Any, cast

import pytest

from gateway.cli.ebics import Seen, _must_be_seen
from gateway.cli.output import CommandFailed
from gateway.lifecycle import PaymentState
from gateway.parked_orders import Origin, Pays
from gateway.parked_payees import Payees, payees_of
from gateway.store.store import Store

PAYS = Pays(count=4, sums=(("EUR", "40.00"),), own=True)


async def at_the_bank(make_desk: Any) -> tuple[Any, list[str], str]:
    desk = await make_desk()
    ids = await desk.submit(4)
    await desk.pump()
    return desk, ids, (await desk.delivery()).message_id


async def found(desk: Any) -> Payees:
    delivery = await desk.delivery()
    seen = await payees_of(cast("Store", desk.store), Origin(ours=True, matches=True, delivery_id=delivery.delivery_id))
    assert seen is not None
    return seen


async def test_every_result_is_counted_and_those_that_are_no_plain_match_are_named(make_desk: Any, files: Any) -> None:
    desk, ids, message = await at_the_bank(make_desk)
    assert ((await found(desk)).words, (await found(desk)).complete) == ("4 not told yet", False)
    codes = ("RCVC", "RVMC", "RVNM", "RVNA")
    each = [files.transaction(one, f"INV-{number}", code) for number, (one, code) in enumerate(zip(ids, codes, strict=True), 1)]
    await desk.receive(files.pain002(message, group="RVCM", body=files.block(f"{message}-1", *each)))
    seen = await found(desk)
    assert (seen.words, seen.complete) == ("1 match, 1 close match, 1 no match, 1 not available", True)
    assert {one.status for one in seen.doubtful} == {"RVMC", "RVNM", "RVNA"}
    assert await desk.states() == {PaymentState.SENT: 4}, "none of it is a verdict"


@pytest.mark.parametrize(
    ("group", "words", "complete"),
    [("RCVC", "4 match", True), ("RVCM", "4 not told singly", True), ("RVNC", "4 not told yet", False)],
)
async def test_a_word_about_the_whole_counts_for_what_it_says(
    make_desk: Any, files: Any, group: str, words: str, complete: bool
) -> None:
    desk, _, message = await at_the_bank(make_desk)
    await desk.receive(files.pain002(message, group=group))
    seen = await found(desk)
    assert (seen.words, seen.complete) == (words, complete)


async def test_an_order_is_not_released_over_a_result_that_was_not_told(make_desk: Any) -> None:
    desk, _, _ = await at_the_bank(make_desk)
    assert await payees_of(cast("Store", desk.store), Origin(ours=False)) is None, "another's order: not known here"
    ours = Origin(ours=True, matches=True, delivery_id="d1")
    waiting = Seen(cast("Any", None), PAYS, ours, True, Payees(counts=(), untold=4, doubtful=()))
    with pytest.raises(CommandFailed, match="not told here yet"):
        _must_be_seen(waiting, signs=True)
    _must_be_seen(waiting, signs=False)  # it may be cancelled at any time
    assert Seen(cast("Any", None), PAYS, Origin(ours=False), True, None).payees_words == "not known here"
    assert Seen(cast("Any", None), PAYS, ours, False, None).payees_words == "", "nothing is verified of this one"
