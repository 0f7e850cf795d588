"""What is asked by itself of a bank that answers at once: statuses, returns, balances, statements."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from channels.channel import Unreachable
from formats.dialogue import Heard
from formats.exchange import Exchange
from gateway.lifecycle import PaymentState
from gateway.restored import after_restore
from tests.gateway.dialogue.conftest import Desk, MakeDesk, usual
from tests.gateway.dialogue.talk import LOST, NO_LINE, USUAL, Answer, ScriptedLine, TalkBank

ACCOUNTS = {"statement_seconds": 600, "balance_seconds": 0}


async def sent(make_desk: MakeDesk, count: int = 1, **settings: object) -> tuple[Desk, list[str]]:
    """A desk with so many payments that the bank has; every question is answered "at it"."""
    desk = await make_desk(**settings)
    ids = await desk.submit(count)
    await desk.pump()
    await desk.read()
    desk.line.usual = lambda said: {"states": dict.fromkeys(said.get("status", ()), "PDNG")}
    return desk, ids


async def test_a_payment_is_asked_about_at_growing_pauses_until_its_end_is_known(make_desk: MakeDesk) -> None:
    desk, (payment_id,) = await sent(make_desk)
    asked: list[int] = []
    for second in range(0, 600, 10):
        await desk.fetch()
        if len(desk.questions()) > len(asked):
            asked.append(second)
        desk.clock.advance(seconds=10)
    pauses = [later - sooner for sooner, later in pairwise(asked)]
    assert len(asked) >= 3
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 2 * pauses[0]
    desk.line.usual = lambda said: {"states": dict.fromkeys(said.get("status", ()), "ACSC")}
    desk.clock.advance(hours=1)
    await desk.fetch()
    assert (await desk.payment(payment_id)).state is PaymentState.SETTLED


async def test_several_payments_go_into_one_question_as_far_as_the_bank_takes_them(make_desk: MakeDesk) -> None:
    desk, _ = await sent(make_desk, 3)
    desk.clock.advance(seconds=31)
    await desk.fetch()
    assert sorted(len(question) for question in desk.questions()) == [1, 2]


async def test_success_is_watched_for_returns_and_then_let_go(make_desk: MakeDesk) -> None:
    desk, (payment_id,) = await sent(make_desk)
    desk.line.usual = lambda said: {"states": dict.fromkeys(said.get("status", ()), "ACSC")}
    desk.clock.advance(seconds=31)
    await desk.fetch()
    desk.line.usual = lambda said: {"states": dict.fromkeys(said.get("status", ()), "RTRN")}
    desk.clock.advance(hours=7)
    await desk.fetch()
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason.code) == (PaymentState.RETURNED, "talk.back")
    before = len(desk.questions())
    for _ in range(5):
        desk.clock.advance(days=1)
        await desk.fetch()
    assert len(desk.questions()) == before
    assert await desk.store.next_serial_due("bank") is None


async def test_the_watch_for_returns_ends(make_desk: MakeDesk) -> None:
    desk, _ = await sent(make_desk)
    desk.line.usual = lambda said: {"states": dict.fromkeys(said.get("status", ()), "ACSC")}
    for _ in range(40):
        desk.clock.advance(hours=7)
        await desk.fetch()
    assert await desk.store.next_serial_due("bank") is None


async def test_no_such_record_is_never_a_failure_and_a_person_is_told_after_the_wait(make_desk: MakeDesk) -> None:
    desk, (payment_id,) = await sent(make_desk)
    desk.line.usual = lambda said: {"missing": said.get("status", [])}
    desk.clock.advance(minutes=30)
    await desk.fetch()
    assert await desk.discrepancies() == []
    for _ in range(4):
        desk.clock.advance(minutes=40)
        await desk.fetch()
    assert await desk.discrepancies() == ["not-known"]
    assert (await desk.payment(payment_id)).state is PaymentState.SENT
    assert len(desk.sends()) == 1


async def test_a_payment_in_doubt_is_left_to_those_who_send_it(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST]))
    await desk.submit()
    await desk.pump()
    for _ in range(3):
        desk.clock.advance(seconds=40)
        await desk.fetch()
    assert desk.questions() == []


async def test_a_bank_that_puts_questions_off_is_left_alone_for_this_round(make_desk: MakeDesk) -> None:
    desk, _ = await sent(make_desk, 3)
    desk.line.usual = lambda said: {"outcome": "not_taken", "code": "-5"}
    desk.clock.advance(seconds=31)
    await desk.fetch()
    assert len(desk.questions()) == 1
    assert any("-5" in trouble for trouble in desk.channel.troubles)


async def test_a_bank_that_is_not_reached_is_told_and_asked_again(make_desk: MakeDesk) -> None:
    desk, (payment_id,) = await sent(make_desk)
    desk.line.usual = lambda said: LOST
    desk.clock.advance(seconds=31)
    await desk.fetch()
    health = await desk.store.health("bank")
    assert "the line broke" in (health.last_problem or "")
    desk.line.usual = lambda said: {"states": dict.fromkeys(said.get("status", ()), "ACSC")}
    await desk.fetch()
    assert (await desk.payment(payment_id)).state is PaymentState.SETTLED


async def test_unreachable_is_raised_for_those_who_ask_directly(make_desk: MakeDesk) -> None:
    desk = await make_desk(dialogue=ACCOUNTS, line=ScriptedLine(usual=lambda said: LOST))
    with pytest.raises(Unreachable, match="the line broke"):
        await desk.channel.receive(desk.intake.keep)


def statements(desk: Desk) -> list[tuple[list[str], str | None]]:
    return [(said["statement"], said["page"]) for said in desk.line.said if "statement" in said]


async def test_days_that_are_over_are_asked_for_once_and_today_again_and_again(make_desk: MakeDesk) -> None:
    desk = await make_desk(dialogue=ACCOUNTS)
    await desk.fetch()
    assert statements(desk) == [(["2026-11-24", "2026-11-24"], None), (["2026-11-25", "2026-11-25"], None)]
    desk.clock.advance(minutes=5)
    await desk.fetch()
    assert len(statements(desk)) == 2
    desk.clock.advance(minutes=6)
    await desk.fetch()
    assert statements(desk)[2:] == [(["2026-11-25", "2026-11-25"], None)]
    desk.clock.advance(days=5)
    await desk.fetch()
    assert [days for days, _ in statements(desk)[3:]] == [
        ["2026-11-25", "2026-11-27"],  # three days in one question, by the bank's limit
        ["2026-11-28", "2026-11-29"],
        ["2026-11-30", "2026-11-30"],
    ]


async def test_pages_are_followed_to_the_end_each_kept_for_itself(make_desk: MakeDesk) -> None:
    def answers(said: dict[str, object]) -> Answer:
        following = {None: "2", "2": "3", "3": None}
        return {"next": following[said["page"]]} if "statement" in said else {}  # type: ignore[index]

    desk = await make_desk(dialogue=ACCOUNTS, line=ScriptedLine(usual=answers))
    await desk.fetch()
    assert [page for _, page in statements(desk)] == [None, "2", "3", None, "2", "3"]
    assert await desk.kept() == ["read"] * 6


async def test_a_statement_whose_pages_go_round_in_a_circle_ends_and_is_told(make_desk: MakeDesk) -> None:
    desk = await make_desk(dialogue=ACCOUNTS, line=ScriptedLine(usual=lambda said: {"next": "2"}))
    await desk.fetch()
    assert len(statements(desk)) <= 4
    assert any("never end" in trouble for trouble in desk.channel.troubles)


async def test_a_round_that_breaks_off_is_done_again_from_where_it_was_whole(make_desk: MakeDesk) -> None:
    line = ScriptedLine(answers=[{"next": "2"}, LOST])
    desk = await make_desk(dialogue=ACCOUNTS, line=line)
    await desk.fetch()
    assert len(statements(desk)) == 2
    await desk.fetch()
    assert statements(desk)[2] == (["2026-11-24", "2026-11-24"], None)


async def test_a_statement_that_the_bank_does_not_give_is_told_and_asked_for_again(make_desk: MakeDesk) -> None:
    desk = await make_desk(dialogue=ACCOUNTS, line=ScriptedLine(answers=[{"outcome": "unknown", "code": "E9"}]))
    await desk.fetch()
    assert any("E9" in trouble for trouble in desk.channel.troubles)
    await desk.fetch()
    assert statements(desk)[1] == (["2026-11-24", "2026-11-24"], None)


async def test_the_next_question_is_known_to_the_lane_and_waits_for_the_quiet_hours_to_end(make_desk: MakeDesk) -> None:
    desk, _ = await sent(make_desk)
    due = await desk.channel.next_due()
    assert due is not None
    assert due - desk.clock() <= timedelta(seconds=30)
    quiet = await make_desk(dialogue={"quiet": ({"begins": "09:00", "ends": "11:00"},)}, bank=usual())
    until = await quiet.channel.next_due()
    assert until is not None
    assert until.hour in {3, 11}  # 11:00 in Shanghai


async def test_after_a_restore_the_bank_is_asked_about_numbers_that_may_have_gone_out_since(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(usual=lambda said: {"states": dict.fromkeys(said.get("status", ()), "ACSC")}))
    (payment_id,) = await desk.submit()
    await desk.preparer.form_messages()
    delivery = await desk.delivery()
    given = [(payment_id, "2026112500000001")]
    await desk.store.give_serials(delivery.delivery_id, delivery.fence, given, "100000000001")
    await after_restore(desk.store, by="anna", backup_of="2026-11-25T01:00:00Z", clock=desk.clock)
    await desk.fetch()
    assert desk.questions() == [["2026112500000001"]]
    assert (await desk.payment(payment_id)).state is PaymentState.HELD
    assert "illegal" in await desk.discrepancies()  # the bank has what is held here: a person is told


@pytest.mark.parametrize("told_at", ["payment", "question"])
async def test_what_the_bank_calls_a_payment_is_kept_for_the_next_question(make_desk: MakeDesk, told_at: str) -> None:
    """ABC is asked by another function about what it handles by hand, and CCB by its own number beside ours."""
    desk = await make_desk()

    def answers(said: dict[str, object]) -> Answer:
        paid, asked = said.get("pay", []), said.get("status", [])
        assert isinstance(paid, list)
        assert isinstance(asked, list)
        serials = [one[0] for one in paid] if told_at == "payment" else asked
        return {"states": dict.fromkeys(serials, "PDNG"), "references": dict.fromkeys(serials, "H7")}

    desk.line.usual = answers
    await desk.submit()
    await desk.pump()
    if told_at == "question":
        desk.clock.advance(seconds=31)
        await desk.fetch()
    (given,) = await desk.serials()
    assert given.bank_reference == "H7"
    assert given.next_ask_at is not None
    assert given.next_ask_at > desk.clock()


class Stumbling(TalkBank):
    """A plugin with a fault: it stumbles over the answer about one payment."""

    def hear(self, exchange: Exchange) -> Heard:
        if b"stumble" in exchange.reply:
            raise KeyError("a fault of the plugin")
        return super().hear(exchange)


async def test_a_fault_of_a_plugin_over_one_reply_keeps_nobody_from_asking_about_the_others(make_desk: MakeDesk) -> None:
    talk = dict.fromkeys(("bank",), Stumbling(dialogue=replace(USUAL, serials_per_question=1)))
    desk, ids = await sent(make_desk, 2, **talk)

    def answers(said: dict[str, object]) -> Answer:
        return b'{"text": "stumble"}' if len(desk.questions()) == 1 else {"states": dict.fromkeys(said["status"], "ACSC")}  # type: ignore[call-overload]

    desk.line.usual = answers
    desk.clock.advance(seconds=31)
    await desk.fetch()
    assert sorted([(await desk.payment(one)).state for one in ids]) == [PaymentState.SENT, PaymentState.SETTLED]


@pytest.mark.parametrize("answer", [NO_LINE, LOST, {"outcome": "not_taken", "code": "TOO_OFTEN"}])
async def test_a_bank_that_cannot_be_asked_now_is_not_asked_again_at_once(make_desk: MakeDesk, answer: Answer) -> None:
    desk, _ = await sent(make_desk, 5)
    desk.line.usual = lambda said: answer
    desk.clock.advance(seconds=31)
    await desk.fetch()
    due = await desk.channel.next_due()
    assert due is not None
    assert due >= desk.clock() + timedelta(seconds=30)
    desk.line.usual = lambda said: {"states": dict.fromkeys(said.get("status", ()), "PDNG")}
    desk.clock.advance(seconds=31)
    await desk.fetch()
    assert len(desk.questions()) > 3
