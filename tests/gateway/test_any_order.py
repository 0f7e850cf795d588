"""Whatever order the bank's files come in, and however often each: consistent news ends in the same states."""

import asyncio
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

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

        @settings(max_examples=25, deadline=None, derandomize=True, database=None)
        @given(st.permutations(NEWS), st.lists(st.sampled_from(NEWS), max_size=4))
        def check(order: list[int], again: list[int]) -> None:
            states = runner.run(play(desk, files, f"P{next(numbers)}", [*order, *again]))
            assert states == [PaymentState.SETTLED, PaymentState.REJECTED, PaymentState.RETURNED, PaymentState.SETTLED]

        check()
