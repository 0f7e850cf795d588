"""Whatever order the bank's files come in, and however often each: consistent news ends in the same states."""

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from formats.model import PaymentType
from gateway.instant import InstantChoice
from gateway.lifecycle import PaymentState

RETURNED = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"


def news(files: Any, message: str, ids: list[str], ends: list[str]) -> list[str]:
    """All that a bank says of one message: the whole first, each payment, bookings one by one or in one sum, what came back."""
    block, told = f"{message}-1", []
    for number, (payment_id, end_to_end_id) in enumerate(zip(ids, ends, strict=True)):
        rejected = number == 1
        word, reason = ("RJCT", "AC04") if rejected else ("ACSP", None)
        told.append(files.pain002(message, body=files.block(block, files.transaction(payment_id, end_to_end_id, word, reason))))
    booked = f"<Btch><PmtInfId>{block}</PmtInfId><NbOfTxs>3</NbOfTxs></Btch>"
    batch = files.entry("30.00", "").replace("<TxDtls><Refs></Refs>", f"{booked}<TxDtls><Refs></Refs>")
    batch = batch.replace('<TxDtls><Refs></Refs><Amt Ccy="EUR">30.00</Amt><CdtDbtInd>DBIT</CdtDbtInd></TxDtls>', "")
    back = files.entry("10.00", f"<EndToEndId>{ends[2]}</EndToEndId>", direction="CRDT", details=RETURNED)
    single = files.entry("10.00", f"<AcctSvcrRef>REF{message}</AcctSvcrRef><EndToEndId>{ends[3]}</EndToEndId>")
    return [
        files.pain002(message, group="ACTC"),
        files.pain002(message, group="PART"),
        *told,
        files.camt054(batch),
        files.camt054(single),
        files.camt054(back),
    ]


async def play(desk: Any, files: Any, prefix: str, order: list[int]) -> list[PaymentState]:
    """Sends a message of three payments, lets the bank say the numbered things, and answers where the payments stand."""
    ids = await desk.submit(4, prefix=prefix)
    await desk.pump()
    message = (await desk.payment(ids[0])).message_id
    said = news(files, message, ids, [f"{prefix}-{n}" for n in (1, 2, 3, 4)])
    for place, number in enumerate(order):
        await desk.receive(f"{said[number]}<!-- {place} -->", f"{place}.xml")
    while await desk.intake.read_waiting():
        pass
    return [(await desk.payment(i)).state for i in ids]


NEWS = range(9)


def test_consistent_news_ends_in_the_same_states_in_every_order_and_number(make_desk: Any, files: Any) -> None:
    numbers = count()
    with asyncio.Runner() as runner:
        desk = runner.run(make_desk())

        @settings(max_examples=25)
        @given(st.permutations(NEWS), st.lists(st.sampled_from(NEWS), max_size=4))
        def check(order: list[int], again: list[int]) -> None:
            states = runner.run(play(desk, files, f"P{next(numbers)}", [*order, *again]))
            assert states == [PaymentState.SETTLED, PaymentState.REJECTED, PaymentState.RETURNED, PaymentState.SETTLED]

        check()


# -- instant, else normal ------------------------------------------------------------------------------------------------------


async def instant(desk: Any, prefix: str) -> tuple[list[str], str]:
    """Two instant-else-normal payments with the bank: (their ids, their message)."""
    rows = [
        replace(
            row := desk.row(f"{prefix}-{number}"),
            terms=replace(row.terms, payment_type=PaymentType(service_level="SEPA", local_instrument="INST")),
            instant=InstantChoice.INSTANT_ELSE_NORMAL,
            may_fall_back=True,
        )
        for number in (1, 2)
    ]
    assert (await desk.store.submit(rows)).stored
    await desk.pump()
    return [row.payment_id for row in rows], (await desk.payment(rows[0].payment_id)).message_id or ""


def first_news(files: Any, message: str, ids: list[str], prefix: str) -> list[str]:
    """What a truthful bank says of the instant attempts: the first is refused, accepted before perhaps; the second settles."""

    def status(number: int, word: str, minute: int, reason: str | None = None) -> str:
        body = files.block(f"{message}-1", files.transaction(ids[number], f"{prefix}-{number + 1}", word, reason))
        return str(files.pain002(message, group="PART", body=body)).replace("T10:00:00Z", f"T10:{minute:02}:00Z")

    return [
        files.pain002(message, group="ACTC"),
        status(0, "PDNG", 1),
        status(0, "ACSP", 2),
        status(0, "RJCT", 3, "AB06"),
        status(1, "ACSP", 2),
        files.camt054(files.entry("10.00", f"<MsgId>{message}</MsgId><EndToEndId>{prefix}-2</EndToEndId>")),
    ]


REFUSAL = 3
FIRST, SECOND = range(6), range(6, 9)


async def play_instant(desk: Any, files: Any, prefix: str, early: list[int], late: list[int]) -> None:
    """`early` comes before the normal payment goes out, `late` after it; both hold news of either attempt."""
    before = len(desk.channel.bank)
    ids, message = await instant(desk, prefix)
    said = first_news(files, message, ids, prefix)
    for place, number in enumerate(early):
        await desk.receive(f"{said[number]}<!-- {place} -->", f"{prefix}-early-{place}.xml")
    await desk.pump()
    again = await desk.payment(ids[0])
    assert again.state is PaymentState.SENT
    body = files.block(f"{again.message_id}-1", files.transaction(f"{ids[0]}-2", f"{prefix}-1", "ACSP"))
    said += [
        files.pain002(again.message_id, group="ACTC"),
        files.pain002(again.message_id, body=body),
        files.camt054(files.entry("10.00", f"<AcctSvcrRef>R{prefix}</AcctSvcrRef><EndToEndId>{prefix}-1</EndToEndId>")),
    ]
    for place, number in enumerate(late):
        await desk.receive(f"{said[number]}<!-- {place} -->", f"{prefix}-late-{place}.xml")
    await desk.pump()
    assert [(await desk.payment(i)).state for i in ids] == [PaymentState.SETTLED, PaymentState.SETTLED]
    assert len(desk.channel.bank) == before + 2
    assert await desk.discrepancies() == []


def test_a_refused_instant_payment_goes_out_once_more_and_settles_in_every_order_and_number_of_news(
    make_desk: Any, files: Any
) -> None:
    numbers = count()
    with asyncio.Runner() as runner:
        desk = runner.run(make_desk())

        @settings(max_examples=12)
        @given(st.permutations(FIRST), st.permutations([*FIRST, *SECOND]), st.lists(st.sampled_from(FIRST), max_size=4))
        def check(first: list[int], second: list[int], again: list[int]) -> None:
            early = first[: first.index(REFUSAL) + 1] + again
            runner.run(play_instant(desk, files, f"I{next(numbers)}", early, second))

        check()


def test_a_refusal_and_a_debit_of_the_same_attempt_end_before_a_person_in_every_order(make_desk: Any, files: Any) -> None:
    numbers = count()
    with asyncio.Runner() as runner:
        desk = runner.run(make_desk())

        async def play_lie(prefix: str, order: list[str]) -> None:
            before = len(desk.channel.bank)
            ids, message = await instant(desk, prefix)
            refused = first_news(files, message, ids, prefix)[REFUSAL]
            debit = files.camt054(files.entry("10.00", f"<MsgId>{message}</MsgId><InstrId>{ids[0]}</InstrId>"))
            sends = False
            for place, step in enumerate(order):
                if step == "pump":
                    await desk.pump()
                    sends = sends or {"refused"} == set(order[:place]) - {"pump"}
                else:
                    await desk.receive(f"{refused if step == 'refused' else debit}<!-- {place} -->", f"{prefix}-{place}.xml")
            await desk.pump()
            # It went out again only where a turn of the worker came between the refusal and the debit.
            assert len(desk.channel.bank) == before + 1 + sends
            found, _ = await desk.store.list_discrepancies(limit=1000)
            kinds = {one.kind for one in found if one.payment_id == ids[0]}
            assert kinds == ({"paid_twice"} if sends else {"contradiction"})

        @settings(max_examples=12)
        @given(st.permutations(["refused", "refused", "debit", "debit", "pump", "pump"]))
        def check(order: list[str]) -> None:
            runner.run(play_lie(f"L{next(numbers)}", order))

        check()
