"""A payment to a bank that answers at once: what each kind of answer, and of silence, makes of it."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from channels.frontend import Carried
from formats.dialogue import Asking, Heard, Request, Wrapping
from formats.exchange import Exchange
from gateway.dialogue.conversation import SignedIn
from gateway.lifecycle import DeliveryState, PaymentState
from tests.gateway.dialogue.answers import IDEMPOTENT, QUERYABLE_FINAL, decide, knows_none, shows
from tests.gateway.dialogue.conftest import MakeDesk, usual
from tests.gateway.dialogue.talk import LOST, NO_LINE, USUAL, Answer, ScriptedLine, TalkBank


async def test_a_payment_goes_out_under_its_serial_number_and_its_reply_is_kept_before_it_counts(make_desk: MakeDesk) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    await desk.pump()
    (given,) = await desk.serials()
    assert desk.line.said == [{"package": given.package, "pay": [[given.serial, "123.45"]]}]
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert (await desk.payment(payment_id)).state is PaymentState.SENT
    assert await desk.kept() == ["stored"]
    assert desk.line.purposes == ["payment"]


@pytest.mark.parametrize(
    ("answer", "delivery", "payment"),
    [
        ({"outcome": "taken"}, DeliveryState.SENT, PaymentState.SENT),
        ({"outcome": "refused", "code": "E1", "text": "no"}, DeliveryState.REFUSED, PaymentState.HELD),
        ({"outcome": "not_taken", "code": "E2"}, DeliveryState.READY, PaymentState.BATCHED),
        ({"outcome": "unknown", "code": "E3"}, DeliveryState.IN_DOUBT, PaymentState.BATCHED),
        (b"", DeliveryState.IN_DOUBT, PaymentState.BATCHED),
        (b"<html>502</html>", DeliveryState.IN_DOUBT, PaymentState.BATCHED),
        (LOST, DeliveryState.IN_DOUBT, PaymentState.BATCHED),
        (NO_LINE, DeliveryState.READY, PaymentState.BATCHED),
        (RuntimeError("unforeseen"), DeliveryState.IN_DOUBT, PaymentState.BATCHED),
    ],
)
async def test_only_what_the_reply_proves_counts(
    make_desk: MakeDesk, answer: Answer, delivery: DeliveryState, payment: PaymentState
) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[answer]))
    (payment_id,) = await desk.submit()
    await desk.pump()
    assert (await desk.delivery()).state is delivery
    assert (await desk.payment(payment_id)).state is payment


async def test_a_verdict_in_the_reply_to_the_payment_reaches_the_payment(make_desk: MakeDesk) -> None:
    def answers(said: dict[str, object]) -> Answer:
        paid = said["pay"]
        assert isinstance(paid, list)
        return {"states": {paid[0][0]: "RJCT"}}

    desk = await make_desk(line=ScriptedLine(usual=answers))
    (payment_id,) = await desk.submit()
    await desk.pump()
    await desk.read()
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason.code) == (PaymentState.REJECTED, "talk.RJCT")


async def test_doubt_is_asked_about_by_serial_number_and_ends_when_the_bank_shows_the_payment(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=shows))
    (payment_id,) = await desk.submit()
    await desk.pump()
    desk.clock.advance(seconds=31)
    await desk.pump()
    (given,) = await desk.serials()
    assert desk.questions() == [[given.serial]]
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert (await desk.payment(payment_id)).state is PaymentState.SENT
    assert len(desk.sends()) == 1


async def test_not_found_is_no_end_where_the_bank_promises_nothing(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=knows_none))
    await desk.submit()
    for _ in range(10):
        await desk.pump()
        desk.clock.advance(hours=2)
    assert len(desk.questions()) > 3
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert len(desk.sends()) == 1


async def test_not_found_ends_a_doubt_only_after_the_wait_and_with_the_banks_promise(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=knows_none), guarantee=QUERYABLE_FINAL)
    await desk.submit()
    await desk.pump()
    desk.clock.advance(minutes=50)
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    for _ in range(3):
        desk.clock.advance(minutes=30)
        await desk.pump()
    sends = desk.sends()
    assert len(sends) == 2
    assert sends[0] == sends[1]


async def test_a_clock_that_is_set_forward_does_not_cut_the_banks_wait_short(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=knows_none), guarantee=QUERYABLE_FINAL)
    up = [0.0]
    desk.courier.uptime = lambda: up[0]
    await desk.submit()
    await desk.pump()
    desk.clock.advance(hours=2)
    up[0] = 3000.0  # less than the bank's wait, more than the quiet time
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    desk.clock.advance(hours=1)
    up[0] = 3601.0
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.READY


async def test_found_missing_it_is_asked_once_more_before_it_goes_out_again(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=knows_none), guarantee=QUERYABLE_FINAL)
    await desk.submit()
    await desk.pump()
    desk.clock.advance(minutes=61)
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.READY
    desk.line.usual = shows
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert len(desk.sends()) == 1


class SilentToQuestions(ScriptedLine):
    """Answers no question, ever."""

    async def exchange(self, request: Carried) -> bytes:
        if request.purpose == "question" and self.silent:
            await asyncio.Event().wait()
        return await super().exchange(request)

    silent = False


@pytest.mark.parametrize(("guarantee", "sends"), [(QUERYABLE_FINAL, 1), (IDEMPOTENT, 2)])
async def test_questions_before_a_repeat_end_in_time_and_prove_nothing(
    make_desk: MakeDesk, guarantee: dict[str, object], sends: int
) -> None:
    line = SilentToQuestions(answers=[LOST], usual=knows_none)
    desk = await make_desk(line=line, guarantee=guarantee, ask_within=0.01)
    await desk.submit()
    await desk.pump()
    desk.clock.advance(minutes=61)
    if guarantee is QUERYABLE_FINAL:
        await desk.pump()
        assert (await desk.delivery()).state is DeliveryState.READY
    line.silent = True
    await desk.pump()
    assert len(desk.sends()) == sends
    assert (await desk.delivery()).state is (DeliveryState.IN_DOUBT if sends == 1 else DeliveryState.SENT)


async def test_a_bank_that_cannot_be_asked_gets_nothing_again(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=knows_none), guarantee=QUERYABLE_FINAL)
    await desk.submit()
    await desk.pump()
    desk.clock.advance(minutes=61)
    await desk.pump()
    desk.line.usual = lambda said: LOST
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert len(desk.sends()) == 1


async def test_where_repeats_are_safe_it_is_asked_first_and_repeated_only_after_the_banks_wait(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=knows_none), guarantee=IDEMPOTENT)
    await desk.submit()
    for _ in range(10):
        await desk.pump()
        desk.clock.advance(seconds=80)
    assert desk.questions()
    assert len(desk.sends()) == 1
    desk.line.usual = lambda said: {"missing": said["status"]} if "status" in said else {"outcome": "taken"}
    desk.clock.advance(seconds=300)
    await desk.pump()
    sends = desk.sends()
    assert len(sends) == 2
    assert sends[0] == sends[1]
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_a_refusal_of_a_repeat_is_no_refusal_of_the_payment(make_desk: MakeDesk) -> None:
    def answers(said: dict[str, object]) -> Answer:
        return {"missing": said["status"]} if "status" in said else {"outcome": "refused", "code": "DUP"}

    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=answers), guarantee=IDEMPOTENT)
    (payment_id,) = await desk.submit()
    await desk.pump()
    desk.clock.advance(seconds=1000)
    await desk.pump()
    assert len(desk.sends()) == 2
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert (await desk.payment(payment_id)).state is PaymentState.BATCHED


@dataclass(frozen=True, kw_only=True)
class Remembering(TalkBank):
    """Remembers each reply to a payment, and whether that went out before."""

    repeats: list[bool] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)

    def hear(self, exchange: Exchange) -> Heard:
        if exchange.asked is not None and exchange.asked.kind is Asking.PAYMENT:
            self.repeats.append(exchange.asked.repeat)
            self.replies.append(exchange.reply)
        return super().hear(exchange)


async def test_the_reply_to_a_repeat_is_marked_as_one_for_those_who_read_it_later(make_desk: MakeDesk) -> None:
    bank = Remembering()
    desk = await make_desk(bank=bank, line=ScriptedLine(answers=[{"outcome": "unknown"}], usual=knows_none), guarantee=IDEMPOTENT)
    await desk.submit()
    await desk.pump()
    desk.clock.advance(seconds=1000)
    await desk.pump()
    assert bank.repeats == [False, True]


def refuses(said: dict[str, object]) -> Answer:
    """The bank refuses payments, as a whole and each of them; it finds none of those it is asked about."""
    paid = said.get("pay", ())
    assert isinstance(paid, list | tuple)
    states = {one[0]: "RJCT" for one in paid}
    return {"missing": said["status"]} if "status" in said else {"outcome": "refused", "code": "E1", "states": states}


async def test_a_refused_repeat_rejects_no_payment_when_its_reply_is_read(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=refuses))
    (payment_id,) = await desk.submit()
    await desk.pump()
    await decide(desk)
    await desk.pump()
    await desk.read()
    assert len(desk.sends()) == 2
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert (await desk.payment(payment_id)).state is PaymentState.BATCHED


async def test_a_refused_request_that_rejects_each_payment_is_the_banks_verdict_on_them(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(usual=refuses))
    ids = await desk.submit(2)
    await desk.pump()
    await desk.read()
    assert (await desk.delivery()).state is DeliveryState.SENT
    payments = [await desk.payment(one) for one in ids]
    assert [(one.state, one.reason.code) for one in payments] == [(PaymentState.REJECTED, "talk.RJCT")] * 2
    assert await desk.discrepancies() == []


def refuses_one_of_two(said: dict[str, object]) -> Answer:
    """The bank refuses the request and says so of its first payment only."""
    paid = said["pay"]
    assert isinstance(paid, list)
    return {"outcome": "refused", "code": "E1", "states": {paid[0][0]: "RJCT"}}


async def test_a_refused_message_is_not_taken_for_sent_when_its_reply_is_read(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(usual=refuses_one_of_two))
    ids = await desk.submit(2)
    await desk.pump()
    await desk.read()
    assert (await desk.delivery()).state is DeliveryState.REFUSED
    assert [(await desk.payment(one)).state for one in ids] == [PaymentState.HELD] * 2
    assert len(await desk.discrepancies()) == 1


async def test_several_payments_of_one_message_are_known_by_the_first_that_is_found(make_desk: MakeDesk) -> None:
    def answers(said: dict[str, object]) -> Answer:
        serials = said.get("status", [])
        assert isinstance(serials, list)
        return {"missing": serials} if len(serials) == 2 else {"states": dict.fromkeys(serials, "PDNG")}

    desk = await make_desk(line=ScriptedLine(answers=[LOST], usual=answers))
    await desk.submit(3)
    await desk.pump()
    desk.clock.advance(seconds=31)
    await desk.pump()
    assert [len(question) for question in desk.questions()] == [2, 1]
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_a_reply_whose_seal_does_not_hold_is_kept_and_proves_nothing(make_desk: MakeDesk) -> None:
    line = ScriptedLine(broken_seal=True)
    desk = await make_desk(bank=TalkBank(sealed=True), line=line)
    (payment_id,) = await desk.submit()
    await desk.pump()
    await desk.read()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert (await desk.payment(payment_id)).state is PaymentState.BATCHED
    assert await desk.kept() == ["quarantined"]


async def test_in_the_quiet_hours_nothing_is_said(make_desk: MakeDesk) -> None:
    hours = {"statement_seconds": 0, "balance_seconds": 0, "quiet": ({"begins": "09:00", "ends": "11:00"},)}
    desk = await make_desk(dialogue=hours)
    await desk.submit()
    await desk.pump()
    await desk.fetch()
    assert desk.line.said == []
    delivery = await desk.delivery()
    assert delivery.state is DeliveryState.READY
    assert delivery.attempt == 0, "waiting for the quiet hours to end costs no attempt"
    assert "11:00" in delivery.reason.bank_text
    desk.clock.advance(hours=2)
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.SENT


async def test_the_sign_in_comes_first_and_again_when_the_bank_wants_it_and_its_reply_is_not_kept(make_desk: MakeDesk) -> None:
    tokens = iter(["T1", "T2"])

    def answers(said: dict[str, object]) -> Answer:
        if "sign" in said:
            return {"token": next(tokens)}
        return {"outcome": "sign_in"} if line.envelopes[-1]["token"] == "T1" else {"outcome": "taken"}

    line = ScriptedLine(usual=answers)
    desk = await make_desk(bank=usual(signs_in=True), line=line)
    await desk.submit()
    await desk.pump()
    assert [envelope["token"] for envelope in line.envelopes] == [None, "T1", None, "T2"]
    assert (await desk.delivery()).state is DeliveryState.SENT
    assert len(await desk.kept()) == 1
    assert len({envelope["fresh"] for envelope in line.envelopes}) == 4


@pytest.mark.parametrize("answer", [{}, LOST, NO_LINE, b"rubbish"])
async def test_a_sign_in_that_fails_sends_nothing(make_desk: MakeDesk, answer: Answer) -> None:
    desk = await make_desk(bank=usual(signs_in=True), line=ScriptedLine(answers=[answer]))
    await desk.submit()
    await desk.pump()
    assert desk.sends() == []
    assert (await desk.delivery()).state is DeliveryState.READY


async def test_a_message_found_sending_after_a_crash_is_asked_about_and_not_sent_again(make_desk: MakeDesk) -> None:
    desk = await make_desk(line=ScriptedLine(answers=[KeyboardInterrupt()]))
    await desk.submit()
    with pytest.raises(KeyboardInterrupt):
        await desk.pump()
    reborn = await make_desk(line=ScriptedLine(usual=shows))
    await reborn.pump()
    assert (await reborn.delivery()).state is DeliveryState.IN_DOUBT
    reborn.clock.advance(seconds=31)
    await reborn.pump()
    assert (await reborn.delivery()).state is DeliveryState.SENT
    assert reborn.sends() == []


async def test_no_password_is_in_what_is_stored(make_desk: MakeDesk, tmp_path: object) -> None:
    from pathlib import Path

    desk = await make_desk()
    await desk.submit()
    await desk.pump()
    assert desk.line.envelopes[0]["password"] == "geheim"
    await desk.store.close()
    assert isinstance(tmp_path, Path)
    assert not any(b"geheim" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


class Stumbling(TalkBank):
    """A plugin with a fault: it stumbles over each reply."""

    def hear(self, exchange: Exchange) -> Heard:
        raise KeyError("a fault of the plugin")


async def test_a_reply_over_which_a_plugin_stumbles_is_kept_and_proves_nothing(make_desk: MakeDesk) -> None:
    desk = await make_desk(bank=Stumbling())
    await desk.submit()
    await desk.pump()
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT
    assert len(await desk.kept()) == 1


async def test_a_password_that_a_reply_repeats_is_not_kept(make_desk: MakeDesk) -> None:
    """A reply of CCB repeats the head of its request, with the password."""
    bank = Remembering(dialogue=replace(USUAL, secret_elements=("PASSWORD",)))
    reply = b'{"text": "<TX><PASSWORD>geheim</PASSWORD><PASSWORD >geheim</PASSWORD></TX>"}'
    desk = await make_desk(bank=bank, line=ScriptedLine(answers=[reply]))
    await desk.submit()
    await desk.pump()
    assert bank.replies == [b'{"text": "<TX><PASSWORD></PASSWORD><PASSWORD ></PASSWORD></TX>"}']
    assert (await desk.delivery()).state is DeliveryState.SENT


def test_nothing_that_holds_a_secret_shows_it() -> None:
    """Frames and objects end up in logs."""
    at = datetime(2026, 1, 5, tzinfo=UTC)
    wrapping = Wrapping(at=at, fresh="1", token="geheim", secrets={"password": "geheim"}, sealed=b"geheim")
    request = Request(body=b"geheim", fields=(("f", "geheim"),), target="?geheim")
    carried = Carried(body=b"geheim", fields=(("f", "geheim"),), target="?geheim")
    for one in (wrapping, request, carried, SignedIn(token="geheim")):
        assert "geheim" not in repr(one)
