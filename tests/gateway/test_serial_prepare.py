"""Messages to banks that answer at once: numbers first, then bytes; and messages to all others as they always were."""

import hashlib
from dataclasses import replace

import pytest

from formats.dialogue import DialogueBank, SerialShape
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.store.serials import SerialTaken
from tests.gateway.conftest import Desk
from tests.gateway.talking import DIALOGUE, TalkingBank, talking


async def prepared(desk: Desk) -> str:
    """The text of the only message that has no document yet."""
    (ready,) = [row for row in await desk.form() if row.document_id is None]
    done = await desk.preparer.seal_document(ready)
    assert done is not None
    assert done.document_id is not None
    with desk.store.open_document(done.document_id) as source:
        content = source.read()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (done.document_sha256, done.document_size)
    return content.decode()


def rolls(desk: Desk, *numbers: int) -> None:
    """Every character of the next number is the first of these, of the one after it the second, …; then the last one again."""
    left = list(numbers)
    size = 8 + 12  # characters left to chance: 8 of the payment's number, 12 of the message's
    drawn = 0

    def below(_: int) -> int:
        nonlocal drawn
        value = left[min(drawn // size, len(left) - 1)]
        drawn += 1
        return value

    desk.preparer = replace(desk.preparer, below=below)
    desk.courier = replace(desk.courier, preparer=desk.preparer)


def test_the_bank_of_these_tests_is_one_that_answers_at_once() -> None:
    assert isinstance(TalkingBank(), DialogueBank)


async def test_payments_and_message_have_their_numbers_in_the_content_and_nothing_is_sealed(make_desk) -> None:
    desk = await talking(make_desk)
    ids = await desk.submit(3)
    text = await prepared(desk)
    given = await desk.store.serials_of((await desk.delivery()).delivery_id)
    assert [one.payment_id for one in given] == ids
    assert text.splitlines() == [f"package {given[0].package}", *(f"pay {one.serial} 10.00" for one in given)]
    assert {len(one.serial) for one in given} == {16}
    assert {one.serial[:8] for one in given} == {"20261125"}
    assert given[0].package is not None
    assert len(given[0].package) == 20
    assert len({one.serial for one in given}) == 3


async def test_the_day_in_a_number_is_the_bank_s(make_desk) -> None:
    desk = await talking(make_desk)
    desk.clock.advance(hours=7)  # 16:00 in UTC is midnight in Shanghai
    await desk.submit(1)
    await prepared(desk)
    (one,) = await desk.store.serials_of((await desk.delivery()).delivery_id)
    assert one.serial.startswith("20261126")


async def test_a_message_that_was_half_prepared_keeps_its_numbers(make_desk, monkeypatch) -> None:
    """After a crash between giving and rendering: what another process may have rendered has the same ones."""
    desk = await talking(make_desk)
    await desk.submit(2)
    (ready,) = await desk.form()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TalkingBank, "render", crash)
        with pytest.raises(KeyboardInterrupt):
            await desk.preparer.seal_document(ready)
    before = await desk.store.serials_of(ready.delivery_id)
    assert len(before) == 2
    text = await prepared(desk)
    assert await desk.store.serials_of(ready.delivery_id) == before
    assert [line.split()[1] for line in text.splitlines()[1:]] == [one.serial for one in before]


async def test_a_number_that_is_taken_is_drawn_anew(make_desk) -> None:
    desk = await talking(make_desk)
    rolls(desk, 1)
    await desk.submit(1, prefix="A")
    assert "2026112511111111" in await prepared(desk)
    await desk.submit(1, prefix="B")
    rolls(desk, 1, 1, 2)
    text = await prepared(desk)
    assert "pay 2026112522222222" in text
    assert "package 20261125222222222222" in text


async def test_where_no_free_number_is_found_nothing_leaves_and_somebody_is_told(make_desk) -> None:
    desk = await talking(make_desk)
    rolls(desk, 1)
    await desk.submit(1, prefix="A")
    await desk.pump()
    await desk.submit(1, prefix="B")
    ready = (await desk.form())[-1]
    with pytest.raises(SerialTaken):
        await desk.preparer.seal_document(ready)
    await desk.courier.advance_due()
    assert [row.state for row in await desk.deliveries()][-1] is DeliveryState.READY
    assert len(await desk.discrepancies()) == 1


async def test_a_bank_without_numbers_of_whole_messages_gets_none(make_desk) -> None:
    desk = await talking(make_desk)
    dialogue = replace(DIALOGUE, package=None, serial=SerialShape(length=12, alphabet="letters_and_digits", dated=False))
    connection = replace(desk.connection, bank=TalkingBank(dialogue=dialogue))
    desk.preparer = replace(desk.preparer, connection=connection)
    await desk.submit(1)
    text = await prepared(desk)
    (one,) = await desk.store.serials_of((await desk.delivery()).delivery_id)
    assert (one.package, len(one.serial)) == (None, 12)
    assert text.splitlines()[0] == "package None"


async def test_messages_of_files_have_no_numbers_and_the_bytes_that_they_always_had(make_desk, monkeypatch) -> None:
    """The digest is that of the message which was made of the same payments before there were serial numbers."""
    desk = await make_desk()
    numbers = iter(range(1, 9))
    monkeypatch.setattr("tests.gateway.conftest.new_payment_id", lambda: f"{next(numbers):032x}")
    monkeypatch.setattr(type(desk.store), "give_serials", None)
    monkeypatch.setattr(type(desk.store), "delivery_serials", None)
    desk.preparer = replace(desk.preparer, new_id=lambda _: "BG261125090000ABCDEFGHJK")
    await desk.submit(2)
    text = await prepared(desk)
    assert hashlib.sha256(text.encode()).hexdigest() == "332b6e8d9afd63cac4a14b287bee8d51fd598bc768887c9210d07360e72d0f92"
    assert await desk.store.serials_of((await desk.delivery()).delivery_id) == []
    await desk.courier.advance_due()
    assert await desk.states() == {PaymentState.SENT: 2}
    assert await desk.store.next_serial_due("bank") is None
