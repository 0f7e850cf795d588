"""The numbers by which a bank knows payments: given once, to one payment, for ever; and asked about until somebody ends it."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from formats.dialogue import HeldAccount
from formats.model import Account, Agent
from gateway.lifecycle import DeliveryEvent, PaymentEvent, PaymentState
from gateway.store.records import Delivery, PaymentFilter, PlannedBlock, Reason
from gateway.store.serials import GivenSerial, SentFilter, SerialAsk, SerialNote, SerialTaken
from gateway.store.store import Stale, Store
from tests.store.conftest import OpenAnother
from tests.store.support.make import CONNECTION, START, HandClock, change, formed, moved, new_delivery, sent, terms, waiting

TODAY = date(2026, 11, 26)  # where the bank is, it is tomorrow already
SOON = START + timedelta(seconds=30)


async def instruction_ids(store: Store, delivery: Delivery) -> list[str]:
    """In the order of the message."""
    blocks = await store.delivery_blocks(delivery.delivery_id)

    def read() -> list[str]:
        return [
            transfer.instruction_id
            for block in blocks
            for transfer in store.delivery_transfers(delivery.delivery_id, block.payment_information_id)
        ]

    return await asyncio.to_thread(read)


async def give(store: Store, delivery: Delivery, *serials: str, package: str | None = None) -> list[str]:
    """Gives the payments of a message these numbers; their instruction ids."""
    ids = await instruction_ids(store, delivery)
    await store.give_serials(delivery.delivery_id, delivery.fence, list(zip(ids, serials, strict=True)), package)
    return ids


async def started(store: Store, name: str, *serials: str, connection_id: str = CONNECTION) -> Delivery:
    """A message under way whose payments have these numbers."""
    delivery = await formed(store, len(serials), name, connection_id=connection_id)
    await give(store, delivery, *serials)
    return await moved(store, delivery, DeliveryEvent.STARTED, sent_on=TODAY, ask_at=SOON)


def numbers(given: list[GivenSerial]) -> list[str]:
    return [one.serial for one in given]


# -- giving ------------------------------------------------------------------------------------------------------------


async def test_every_payment_of_a_message_has_its_number_and_the_message_one_of_its_own(store: Store, clock: HandClock) -> None:
    delivery = await formed(store, 3)
    assert await store.serials_of(delivery.delivery_id) == []
    now = clock.advance(seconds=1)
    ids = await give(store, delivery, "S3", "S1", "S2", package="P1")
    given = await store.serials_of(delivery.delivery_id)
    assert [(one.instruction_id, one.payment_id, one.serial) for one in given] == [
        (ids[0], ids[0], "S3"),
        (ids[1], ids[1], "S1"),
        (ids[2], ids[2], "S2"),
    ]
    assert {(one.package, one.delivery_id, one.message_id, one.state) for one in given} == {
        ("P1", "delivery-1", "MSG-1", PaymentState.BATCHED)
    }
    assert {(one.given_at, one.first_sent_on, one.bank_reference, one.next_ask_at, one.asked) for one in given} == {
        (now, None, None, None, 0)
    }
    rendering = await asyncio.to_thread(store.delivery_serials, delivery.delivery_id)
    assert rendering.package == "P1"
    assert rendering.by_instruction_id == {ids[0]: "S3", ids[1]: "S1", ids[2]: "S2"}
    again = await store.delivery(delivery.delivery_id)
    assert again == delivery, "what was read before may be changed still: the fence stays"


async def test_the_account_is_the_debtor_s_with_the_code_of_its_bank(store: Store) -> None:
    ours = replace(
        terms("甲公司"),
        debtor_account=Account(other_id="6222021234567890", currency="CNY"),
        debtor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="309290000107"),
    )
    await waiting(store, 1, terms=ours)
    (group,) = await store.waiting_groups(CONNECTION)
    delivery = await store.form_delivery(
        new_delivery(PlannedBlock(payment_information_id="B1", terms_id=group.terms_id, count=1))
    )
    assert delivery is not None
    await give(store, delivery, "S1")
    (one,) = await store.serials_of(delivery.delivery_id)
    assert one.account == HeldAccount(number="6222021234567890", currency="CNY", holder="甲公司", bank_code="309290000107")


async def test_the_order_is_the_message_s_also_over_several_blocks(store: Store) -> None:
    await waiting(store, 1, terms=terms("One"))
    await waiting(store, 1, terms=terms("Two"))
    await waiting(store, 1, terms=terms("One"))
    one, two = await store.waiting_groups(CONNECTION)
    blocks = [PlannedBlock(payment_information_id=f"B{group.terms_id}", terms_id=group.terms_id, count=9) for group in (two, one)]
    delivery = await store.form_delivery(new_delivery(*blocks))
    assert delivery is not None
    await give(store, delivery, "S2", "S1", "S3")
    assert numbers(await store.serials_of(delivery.delivery_id)) == ["S2", "S1", "S3"]


async def test_numbers_that_were_given_stay(store: Store) -> None:
    """A worker that died after giving them, and before anything else, gives the same payments no others."""
    delivery = await formed(store, 2)
    await give(store, delivery, "S1", "S2", package="P1")
    await give(store, delivery, "S3", "S4", package="P2")
    assert numbers(await store.serials_of(delivery.delivery_id)) == ["S1", "S2"]
    assert (await asyncio.to_thread(store.delivery_serials, delivery.delivery_id)).package == "P1"
    other = await formed(store, 2, "2")
    await give(store, other, "S3", "S4", package="P2")
    assert numbers(await store.serials_of(other.delivery_id)) == ["S3", "S4"], "and those were not used up"


@pytest.mark.parametrize("taken", ["of a payment", "of a message", "twice in one call"])
async def test_a_number_in_use_is_given_to_nobody_else_and_nothing_of_the_call_is(store: Store, taken: str) -> None:
    await give(store, await formed(store, 2), "S1", "S2", package="P1")
    delivery = await formed(store, 3, "2")
    serials, package, named = {
        "of a payment": (("S3", "S2", "S4"), "P2", "S2"),
        "of a message": (("S3", "S4", "S5"), "P1", "P1"),
        "twice in one call": (("S3", "S4", "S4"), "P2", "S4"),
    }[taken]
    with pytest.raises(SerialTaken) as refused:
        await give(store, delivery, *serials, package=package)
    assert refused.value.serial == named
    assert await store.serials_of(delivery.delivery_id) == []
    assert await store.named_by_serial(CONNECTION, ["S3", "S4", "S5"]) == {}
    await give(store, delivery, "S3", "S4", "S5", package="P2")


async def test_two_connections_may_use_the_same_number_and_never_mix(store: Store) -> None:
    ours = await give(store, await formed(store, 1), "S1", package="P1")
    theirs = await give(store, await formed(store, 1, "b", connection_id="bank-b"), "S1", package="P1")
    assert await store.named_by_serial(CONNECTION, ["S1"]) == {"S1": ours[0]}
    assert await store.named_by_serial("bank-b", ["S1"]) == {"S1": theirs[0]}
    await store.ask_serials("bank-b", [SerialAsk(serial="S1", next_ask_at=SOON, bank_reference="R")])
    (one,) = await store.serials_of("delivery-1")
    assert (one.next_ask_at, one.bank_reference, one.asked) == (None, None, 0)
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=None, bank_reference="ours")])
    (one,) = await store.serials_of("delivery-b")
    assert (one.next_ask_at, one.bank_reference, one.asked) == (SOON, "R", 1)


async def test_numbers_are_given_to_a_ready_message_at_its_fence_only(store: Store) -> None:
    delivery = await formed(store, 1)
    ids = await instruction_ids(store, delivery)
    for delivery_id, fence in ((delivery.delivery_id, delivery.fence + 1), ("delivery-9", 1)):
        with pytest.raises(Stale):
            await store.give_serials(delivery_id, fence, [(ids[0], "S1")], None)
    sending = await moved(store, delivery, DeliveryEvent.STARTED)
    with pytest.raises(Stale):
        await store.give_serials(delivery.delivery_id, sending.fence, [(ids[0], "S1")], None)
    assert await store.serials_of(delivery.delivery_id) == []


@pytest.mark.parametrize("wrong", ["one missing", "one too many", "one twice", "a stranger's"])
async def test_there_is_one_number_for_each_payment_or_none_at_all(store: Store, wrong: str) -> None:
    delivery = await formed(store, 2)
    first, second = await instruction_ids(store, delivery)
    given = {
        "one missing": [(first, "S1")],
        "one too many": [(first, "S1"), (second, "S2"), ("f" * 32, "S3")],
        "one twice": [(first, "S1"), (second, "S2"), (second, "S3")],
        "a stranger's": [(first, "S1"), ("f" * 32, "S2")],
    }[wrong]
    with pytest.raises(ValueError, match="each payment"):
        await store.give_serials(delivery.delivery_id, delivery.fence, given, None)
    assert await store.serials_of(delivery.delivery_id) == []


async def test_of_two_workers_that_give_at_once_one_does(store: Store, another: OpenAnother) -> None:
    other = await another()
    for round_ in range(5):
        delivery = await formed(store, 2, f"{round_}")
        pairs = [(f"A{round_}", f"B{round_}"), (f"C{round_}", f"D{round_}")]
        await asyncio.gather(give(store, delivery, *pairs[0]), give(other, delivery, *pairs[1]))
        found = tuple(numbers(await store.serials_of(delivery.delivery_id)))
        assert found in pairs
        (lost,) = (pair for pair in pairs if pair != found)
        assert await store.named_by_serial(CONNECTION, lost) == {}


async def test_of_two_messages_that_want_the_same_number_one_gets_it(store: Store, another: OpenAnother) -> None:
    other = await another()
    one, two = await formed(store, 1, "1"), await formed(store, 1, "2")
    outcomes = await asyncio.gather(
        give(store, one, "S1", package="P1"), give(other, two, "S1", package="P2"), return_exceptions=True
    )
    assert sum(isinstance(outcome, SerialTaken) for outcome in outcomes) == 1
    assert len(await store.serials_of("delivery-1")) + len(await store.serials_of("delivery-2")) == 1


async def test_a_payment_whose_message_never_left_takes_its_number_along(store: Store) -> None:
    """What is unknown to us may be known to the bank: a payment never has two numbers."""
    delivery = await formed(store, 2)
    ids = await give(store, delivery, "S1", "S2", package="P1")
    await moved(store, delivery, DeliveryEvent.ABANDON, payment_event=PaymentEvent.UNBATCH, payment_reason=Reason(code="x"))
    (group,) = await store.waiting_groups(CONNECTION)
    block = PlannedBlock(payment_information_id="B1", terms_id=group.terms_id, count=9)
    await waiting(store, 1)
    second = await store.form_delivery(new_delivery(block, name="2"))
    assert second is not None
    await give(store, second, "T1", "T2", "T3", package="P2")
    given = await store.serials_of("delivery-2")
    assert numbers(given) == ["S1", "S2", "T3"]
    assert [one.instruction_id for one in given[:2]] == ids
    assert {(one.package, one.message_id) for one in given} == {("P2", "MSG-2")}
    assert await store.serials_of("delivery-1") == []
    assert await store.named_by_serial(CONNECTION, ["S1", "T1"]) == {"S1": ids[0]}


# -- finding -----------------------------------------------------------------------------------------------------------


async def test_a_number_names_its_payment_and_a_foreign_one_nobody(store: Store) -> None:
    ids = await give(store, await formed(store, 2), "S1", "S2", package="P1")
    assert await store.named_by_serial(CONNECTION, ["S2", "S1", "S9", "S2", "P1"]) == {"S1": ids[0], "S2": ids[1]}
    assert await store.named_by_serial(CONNECTION, []) == {}
    assert await store.named_by_serial("bank-b", ["S1"]) == {}


# -- asking ------------------------------------------------------------------------------------------------------------


async def test_a_message_that_starts_makes_a_question_due_and_keeps_the_day(store: Store, clock: HandClock) -> None:
    sending = await started(store, "1", "S1", "S2")
    assert [(one.first_sent_on, one.next_ask_at, one.asked) for one in await store.serials_of("delivery-1")] == [
        (TODAY, SOON, 0)
    ] * 2
    assert await store.next_serial_due(CONNECTION) == SOON
    assert await store.serials_due(CONNECTION, SOON - timedelta(microseconds=1), 9) == []
    assert numbers(await store.serials_due(CONNECTION, SOON, 9)) == ["S1", "S2"]
    clock.advance(days=1)
    doubt = await moved(store, sending, DeliveryEvent.LOST_TRACK)
    await moved(store, doubt, DeliveryEvent.SEND_AGAIN, sent_on=date(2026, 11, 27), ask_at=clock())
    (one, _) = await store.serials_of("delivery-1")
    assert (one.first_sent_on, one.next_ask_at) == (TODAY, SOON), "a repeat is not the first send"


async def test_without_a_day_and_a_moment_the_question_is_due_at_once(store: Store, clock: HandClock) -> None:
    delivery = await formed(store, 1)
    await give(store, delivery, "S1")
    clock.moment = datetime(2026, 11, 25, 23, 59, tzinfo=UTC)
    await moved(store, delivery, DeliveryEvent.STARTED)
    (one,) = await store.serials_due(CONNECTION, clock(), 9)
    assert (one.first_sent_on, one.next_ask_at) == (date(2026, 11, 25), clock())


async def test_messages_to_banks_of_files_are_never_asked_about(store: Store) -> None:
    await sent(store, 2)
    assert await store.next_serial_due(CONNECTION) is None
    assert await store.serials_due(CONNECTION, START + timedelta(days=9), 9) == []


async def test_the_longest_due_comes_first_and_no_more_than_asked_for(store: Store, clock: HandClock) -> None:
    await started(store, "1", "S1", "S2", "S3")
    await started(store, "b", "X1", connection_id="bank-b")
    later = [SerialAsk(serial="S1", next_ask_at=SOON + timedelta(seconds=9)), SerialAsk(serial="S3", next_ask_at=START)]
    await store.ask_serials(CONNECTION, later)
    clock.advance(hours=1)
    assert numbers(await store.serials_due(CONNECTION, clock(), 9)) == ["S3", "S2", "S1"]
    assert numbers(await store.serials_due(CONNECTION, clock(), 2)) == ["S3", "S2"]
    assert await store.next_serial_due(CONNECTION) == START
    assert numbers(await store.serials_due("bank-b", clock(), 9)) == ["X1"]


async def test_what_a_question_led_to_is_kept(store: Store) -> None:
    await started(store, "1", "S1", "S2")
    later = SOON + timedelta(minutes=1)
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=later, bank_reference="B-1")])
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=later), SerialAsk(serial="S9", next_ask_at=later)])
    one, other = await store.serials_of("delivery-1")
    assert (one.next_ask_at, one.bank_reference, one.asked) == (later, "B-1", 2)
    assert (other.next_ask_at, other.bank_reference, other.asked) == (SOON, None, 0)


async def test_questions_end_only_when_somebody_ends_them(store: Store) -> None:
    """Not by the send's outcome, nor by the payment's: after a success the bank may still say that the money came back."""
    sending = await started(store, "1", "S1")
    await moved(store, sending, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)
    (one,) = await store.serials_due(CONNECTION, SOON, 9)
    assert one.state is PaymentState.SENT
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=None)])
    assert await store.next_serial_due(CONNECTION) is None
    assert await store.serials_due(CONNECTION, SOON + timedelta(days=9), 9) == []
    (one,) = await store.serials_of("delivery-1")
    assert (one.next_ask_at, one.asked, one.first_sent_on) == (None, 1, TODAY)


async def test_a_message_that_starts_anew_is_asked_about_anew(store: Store, clock: HandClock) -> None:
    sending = await started(store, "1", "S1")
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=None)])
    ready = await moved(store, sending, DeliveryEvent.NOT_SENT, due_at=clock())
    later = clock.advance(hours=1)
    await moved(store, ready, DeliveryEvent.STARTED, sent_on=date(2026, 11, 27), ask_at=later)
    (one,) = await store.serials_of("delivery-1")
    assert (one.next_ask_at, one.first_sent_on) == (later, TODAY)


async def test_a_change_that_is_refused_makes_nothing_due(store: Store) -> None:
    delivery = await formed(store, 1)
    await give(store, delivery, "S1")
    with pytest.raises(Stale):
        await store.change_delivery(replace(change(delivery, DeliveryEvent.STARTED), fence=99))
    assert await store.next_serial_due(CONNECTION) is None


async def test_another_process_sees_what_was_given(store: Store, another: OpenAnother) -> None:
    await started(store, "1", "S1")
    other = await another()
    assert await other.serials_of("delivery-1") == await store.serials_of("delivery-1")
    assert (await other.list_payments(PaymentFilter(delivery_id="delivery-1"), limit=9))[0]


# -- what files of the bank say of a number ----------------------------------------------------------------------------


async def test_what_the_bank_calls_a_payment_is_its_last_word_and_the_line_of_its_return_the_first(store: Store) -> None:
    await started(store, "1", "S1", "S2")
    await started(store, "b", "S1", connection_id="bank-b")
    await store.note_serials(
        CONNECTION, [SerialNote(serial="S1", bank_reference="B1"), SerialNote(serial="S9", bank_reference="B9")]
    )
    await store.note_serials(CONNECTION, [SerialNote(serial="S1", bank_reference="B2", returned_line="L1")])
    await store.note_serials(CONNECTION, [SerialNote(serial="S1", returned_line="L2")])
    assert [one.bank_reference for one in await store.serials_of("delivery-1")] == ["B2", None]
    assert [one.next_ask_at for one in await store.serials_of("delivery-1")] == [SOON, SOON], "questions stay as they were"
    assert [one.returned_line for one in await store.sent_payments(CONNECTION, sent_filter())] == ["L1", None]
    assert [one.returned_line for one in await store.sent_payments("bank-b", sent_filter())] == [None]


async def test_the_last_question_and_the_end_to_end_id_are_shown_with_a_number(store: Store, clock: HandClock) -> None:
    await started(store, "1", "S1")
    asked_at = clock.advance(minutes=1)
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=SOON)])
    clock.advance(minutes=1)
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=None, questions=0)])
    (one,) = await store.serials_of("delivery-1")
    (payment,) = (await store.list_payments(PaymentFilter(), limit=9))[0]
    assert (one.asked, one.asked_at, one.next_ask_at) == (1, asked_at, None)
    assert one.end_to_end_id == payment.transfer.end_to_end_id


def sent_filter(amount: str = "12.50", account: str | None = None, **more: object) -> SentFilter:
    facts = {"since": TODAY, "until": TODAY, "currency": "EUR", "amount": Decimal(amount), "creditor_account": account, **more}
    return SentFilter(**facts)  # type: ignore[arg-type]


async def test_payments_that_went_out_are_found_by_their_day_and_amount_or_account(store: Store) -> None:
    await started(store, "1", "S1", "S2")
    waiting_still = await formed(store, 1, "2")
    await give(store, waiting_still, "S3")
    (one, _) = await store.sent_payments(CONNECTION, sent_filter())
    (payment, *_) = [row for row in (await store.list_payments(PaymentFilter(), limit=9))[0] if row.payment_id == one.payment_id]
    assert (one.serial, one.instruction_id, one.state) == ("S1", payment.payment_id, PaymentState.BATCHED)
    assert (one.account, one.amount, one.currency) == ("NL41MOCK0000000001", Decimal("12.50"), "EUR")
    assert (one.creditor_account, one.creditor_name) == ("DE89370400440532013000", "Müller & Söhne")
    assert (one.sent_on, one.executed_on, one.returned_line) == (TODAY, TODAY, None)

    async def found(**more: object) -> int:
        return len(await store.sent_payments(CONNECTION, sent_filter(**more)))  # type: ignore[arg-type]

    assert await found(amount="12.5") == 2
    assert await found(amount="12.500") == 2
    assert await found(amount="12.51") == 0
    assert await found(amount="1", account="DE89370400440532013000") == 2
    assert await found(amount="1", account="DE89370400440532013001") == 0
    assert await found(currency="CNY") == 0
    assert await found(since=TODAY + timedelta(days=1), until=TODAY + timedelta(days=9)) == 0
    assert await found(since=TODAY - timedelta(days=9), until=TODAY - timedelta(days=1)) == 0
