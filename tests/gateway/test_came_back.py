"""Money that came back, told by a line of a statement that names no payment: moves the one that it must be of, or none."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.report import AccountIdentification, Entry, EntryTransaction
from gateway.apply_parts import Line
from gateway.came_back import Credit, Doubt, credits_of, judge
from gateway.lifecycle import PaymentState
from gateway.news import of_entry
from gateway.replay import ReplayedChange, ReplayedProblem
from gateway.store.serials import SentPayment
from tests.gateway.conftest import CREDITOR, Desk
from tests.gateway.talking import talking
from tests.gateway.test_replay import run

DAY = "2026-11-26"
BACK = f"back 10.00 {CREDITOR} Supplier {DAY} R1"
ELSEWHERE = "DE02120300000000202051"


async def settled(make_desk, count: int = 1, **settings: object) -> tuple[Desk, list[str]]:  # type: ignore[no-untyped-def]
    """A desk whose payments, of one creditor and amount, are settled; their ids. The day of the statements is over."""
    desk = await talking(make_desk, **settings)
    ids = await desk.submit(count)
    await desk.pump()
    await settle(desk, *ids)
    desk.clock.advance(days=2)
    return desk, ids


async def settle(desk: Desk, *payment_ids: str) -> None:
    given = [one for row in await desk.deliveries() for one in await desk.store.serials_of(row.delivery_id)]
    lines = [f"status {one.serial} ACSC" for one in given if one.payment_id in payment_ids]
    await desk.receive("\n".join(lines), f"settled-{payment_ids[0]}.txt")


async def state(desk: Desk, payment_id: str) -> PaymentState:
    return (await desk.payment(payment_id)).state


async def told(desk: Desk) -> list[tuple[str, set[str]]]:
    """The kind of each open discrepancy, and the payments that it names."""
    rows, _ = await desk.store.list_discrepancies(limit=99)
    return [(row.kind, set(json.loads(row.evidence).get("candidates", ()))) for row in rows]


async def test_a_credit_that_fits_one_settled_payment_returns_it_with_the_bank_s_words(make_desk) -> None:
    desk, (payment_id,) = await settled(make_desk)
    await desk.receive(BACK, "1.txt")
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason.code, payment.reason.bank_text) == (PaymentState.RETURNED, "bankgate.returned", "退票")
    assert (await desk.store.payment_events(payment_id))[-1].source == "talking.answer"
    assert await desk.discrepancies() == []
    (row,) = (await desk.store.list_statements(limit=9))[0]
    (entry,) = await desk.store.entries(row.statement_row_id, limit=9)
    assert entry.payment_ids == (payment_id,)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"back 10.01 {CREDITOR} Supplier {DAY} R1", "unmatched"),
        (f"back 10.00 - Supplier {DAY} R1", "unmatched"),
        (f"back 10.00 {ELSEWHERE} Supplier {DAY} R1", "unmatched"),
        (f"back 10.00 {CREDITOR} Somebody {DAY} R1", "unmatched"),
        (f"back 10.00 {CREDITOR} Supplier - R1", "unmatched"),
        (f"back 10.00 {CREDITOR} Supplier {DAY} R1 9999999999999999", "unmatched"),
    ],
    ids=["other amount", "no account", "other account", "other name", "no day", "a foreign number"],
)
async def test_anything_less_is_told_with_the_payments_that_may_be_meant_once(make_desk, line: str, kind: str) -> None:
    desk, (payment_id,) = await settled(make_desk)
    await desk.receive(line, "1.txt")
    await desk.receive(f"{line}\nstatus 1 ACSP", "2.txt")
    assert await state(desk, payment_id) is PaymentState.SETTLED
    assert [one for one in await told(desk) if one[1]] == [(kind, {payment_id})]


@pytest.mark.parametrize(
    "line",
    [
        f"back 11.00 {ELSEWHERE} X {DAY}",
        f"back 10.00 {CREDITOR} Supplier 2026-11-24",
        f"back 10.00 {CREDITOR} Supplier 2026-12-05",
    ],
    ids=["nothing fits", "before the payment", "after the days in which payments come back"],
)
async def test_a_credit_that_no_payment_can_be_meant_by_is_nothing_to_us(make_desk, line: str) -> None:
    desk, (payment_id,) = await settled(make_desk)
    await desk.receive(line)
    assert (await state(desk, payment_id), await told(desk)) == (PaymentState.SETTLED, [])


async def test_of_two_payments_alike_none_moves_and_both_are_named(make_desk) -> None:
    desk, ids = await settled(make_desk, 2)
    await desk.receive(BACK)
    assert await desk.states() == {PaymentState.SETTLED: 2}
    assert await told(desk) == [("ambiguous", set(ids))]


async def test_a_payment_under_way_that_is_alike_makes_it_uncertain(make_desk) -> None:
    """It may have been settled, and this be its return, though we have not heard of it yet."""
    desk, (first,) = await settled(make_desk)
    (second,) = await desk.submit(prefix="LATER", day=date(2026, 11, 27))
    await desk.pump()
    await desk.receive(f"back 10.00 {CREDITOR} Supplier 2026-11-28 R1")
    assert await state(desk, first) is PaymentState.SETTLED
    assert await told(desk) == [("ambiguous", {first, second})]


async def test_a_payment_that_the_bank_refused_is_not_among_those_that_came_back(make_desk) -> None:
    desk = await talking(make_desk)
    refused, paid = await desk.submit(2)
    await desk.pump()
    (delivery,) = await desk.deliveries()
    serials = {one.payment_id: one.serial for one in await desk.store.serials_of(delivery.delivery_id)}
    await desk.receive(f"status {serials[refused]} RJCT\nstatus {serials[paid]} ACSC", "1.txt")
    desk.clock.advance(days=2)
    await desk.receive(BACK, "2.txt")
    assert (await state(desk, refused), await state(desk, paid)) == (PaymentState.REJECTED, PaymentState.RETURNED)


async def test_the_same_line_in_later_statements_moves_no_second_payment(make_desk) -> None:
    desk, (first,) = await settled(make_desk)
    await desk.receive(BACK, "1.txt")
    (second,) = await desk.submit(prefix="AGAIN")  # as one does, once money came back
    await desk.pump()
    await settle(desk, second)
    for name in ("2.txt", "3.txt"):
        await desk.receive(f"{BACK}\nstatus {name} ACSP", name)
    assert (await state(desk, first), await state(desk, second)) == (PaymentState.RETURNED, PaymentState.SETTLED)
    assert [one for one in await told(desk) if one[1]] == []


async def test_a_second_credit_for_a_payment_that_came_back_is_a_person_s(make_desk) -> None:
    desk, (payment_id,) = await settled(make_desk)
    await desk.receive(BACK, "1.txt")
    await desk.receive(BACK.replace("R1", "R2"), "2.txt")
    assert await told(desk) == [("ambiguous", {payment_id})]


async def test_without_a_reference_the_line_itself_tells_it_from_others(make_desk) -> None:
    desk, (payment_id,) = await settled(make_desk)
    line = BACK.removesuffix(" R1")
    await desk.receive(line, "1.txt")
    await desk.receive(f"{line}\nstatus 1 ACSP", "2.txt")
    assert await state(desk, payment_id) is PaymentState.RETURNED
    assert [one for one in await told(desk) if one[1]] == []


async def test_today_s_line_waits_for_the_payment_s_status_and_moves_it_when_it_is_told_again(make_desk) -> None:
    desk = await talking(make_desk)
    (payment_id,) = await desk.submit()
    await desk.pump()
    today = f"back 10.00 {CREDITOR} Supplier 2026-11-25 R1"
    await desk.receive(today, "1.txt")
    assert (await state(desk, payment_id), await told(desk)) == (PaymentState.SENT, [])
    await settle(desk, payment_id)
    await desk.receive(f"{today}\nstatus 1 ACSP", "2.txt")
    assert await state(desk, payment_id) is PaymentState.RETURNED


async def test_a_day_that_is_over_is_not_told_again_so_a_person_is_and_reading_it_again_moves_the_payment(make_desk) -> None:
    desk = await talking(make_desk)
    (payment_id,) = await desk.submit()
    await desk.pump()
    desk.clock.advance(days=2)
    await desk.receive(BACK, "1.txt")
    assert await told(desk) == [("unmatched", {payment_id})]
    await settle(desk, payment_id)
    (file,) = [one for one in (await desk.store.list_inbound(limit=9))[0] if one.name == "1.txt"]
    await desk.store.finish_inbound(file.inbound_file_id, state="stored")
    await desk.intake.read_waiting()
    assert await state(desk, payment_id) is PaymentState.RETURNED


async def test_a_debit_in_the_same_statement_settles_the_payment_before_its_return(make_desk) -> None:
    desk = await talking(make_desk)
    (payment_id,) = await desk.submit()
    await desk.pump()
    ((one,),) = [await desk.store.serials_of(row.delivery_id) for row in await desk.deliveries()]
    desk.clock.advance(days=2)
    await desk.receive(f"entry {one.serial} DBIT 10.00\n{BACK}")
    assert await state(desk, payment_id) is PaymentState.RETURNED


async def test_nothing_is_taken_for_a_return_where_the_operator_says_that_none_come_back(make_desk) -> None:
    desk, (payment_id,) = await settled(make_desk, dialogue={"returns_days": 0})
    await desk.receive(BACK)
    assert (await state(desk, payment_id), await told(desk)) == (PaymentState.SETTLED, [])


async def test_a_bank_that_is_sent_files_moves_nothing_by_such_a_line(make_desk, files) -> None:
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    await desk.pump()
    await desk.receive(files.camt054(files.entry("10.00", f"<InstrId>{payment_id}</InstrId>")), "1.xml")
    party = f"<RltdPties><CdtrAcct><Id><IBAN>{CREDITOR}</IBAN></Id></CdtrAcct></RltdPties>"
    credit = files.entry("10.00", "", direction="CRDT", more="<RvslInd>true</RvslInd>", details=party)
    await desk.receive(files.camt054(credit), "2.xml")
    assert (await state(desk, payment_id), await told(desk)) == (PaymentState.SETTLED, [])


async def test_a_replay_shows_it_over_several_files_and_does_it_when_asked_to(make_desk) -> None:
    desk, (payment_id,) = await settled(make_desk)
    lines = ("1.txt", BACK), ("2.txt", f"{BACK}\nstatus 1 ACSP"), ("3.txt", BACK.replace("R1", "R2"))
    results = await run(desk, *lines)
    moves = [(r.file, r.before, r.after, r.matched_by) for r in results if isinstance(r, ReplayedChange)]
    assert moves == [("1.txt", PaymentState.SETTLED, PaymentState.RETURNED, "account+counterparty_account+amount")]
    assert [(r.file, r.kind) for r in results if isinstance(r, ReplayedProblem)] == [
        ("2.txt", "unmatched"),
        ("3.txt", "ambiguous"),
    ]
    assert await state(desk, payment_id) is PaymentState.SETTLED
    await run(desk, *lines, commit=True)
    assert await state(desk, payment_id) is PaymentState.RETURNED


# -- any credit, any payments ------------------------------------------------------------------------------------------

ACCOUNTS = st.sampled_from(["1001", "1002", "1003"])
AMOUNTS = st.sampled_from([Decimal("10.00"), Decimal("10.0"), Decimal("10.01"), Decimal(100)])
NAMES = st.sampled_from(["甲公司", "乙公司", ""])
DAYS = st.dates(date(2026, 1, 1), date(2026, 1, 12))
LINES = st.sampled_from([None, "line-1", "line-2"])


@st.composite
def sent_payments(draw: st.DrawFn) -> list[SentPayment]:
    found = []
    for number in range(draw(st.integers(0, 4))):
        sent_on = draw(DAYS)
        found.append(
            SentPayment(
                payment_id=f"p{number}",
                instruction_id=f"p{number}",
                serial=f"s{number}",
                state=draw(st.sampled_from(PaymentState)),
                account=draw(ACCOUNTS),
                amount=draw(AMOUNTS),
                currency="CNY",
                creditor_account=draw(ACCOUNTS),
                creditor_name=draw(NAMES),
                sent_on=sent_on,
                executed_on=sent_on + timedelta(days=draw(st.integers(0, 3))),
                returned_line=draw(LINES),
            )
        )
    return found


@st.composite
def credits_told(draw: st.DrawFn) -> Credit:
    """As they come of an entry, so that reading it is tried as well."""
    entry = Entry(
        statement_id=None,
        amount=str(draw(AMOUNTS)),
        currency="CNY",
        credit_debit="CRDT",
        reversal=True,
        booking_date=draw(st.one_of(st.none(), DAYS.map(date.isoformat))),
        transactions=(
            EntryTransaction(
                counterparty_account=draw(st.one_of(st.none(), ACCOUNTS, st.just("10 01"))),
                counterparty_name=draw(st.one_of(st.none(), NAMES)),
                serial_number=draw(st.sampled_from([None, None, "x"])),
            ),
        ),
    )
    account = draw(st.one_of(st.none(), ACCOUNTS))
    line = Line(position=1, entry=entry, news=of_entry(entry), keys=["1"], places=["here"], payment_ids=[None])
    (credit,) = credits_of([line], None if account is None else AccountIdentification(other_id=account), ())
    return replace(credit, line=draw(st.sampled_from(["line-1", "line-3"])))


@given(credit=credits_told(), sent=sent_payments(), days=st.integers(1, 9))
def test_no_credit_moves_a_payment_of_another_amount_or_account_nor_a_second_one(
    credit: Credit, sent: list[SentPayment], days: int
) -> None:
    judged = judge(credit, sent, timedelta(days=days), date(2026, 1, 20))
    if isinstance(judged, Doubt):
        assert len(judged.candidates) > 0
        return
    if judged is None or judged.returned_line == credit.line:
        return
    assert not [one for one in sent if one.returned_line == credit.line], "the line was taken for another payment before"
    assert (judged.amount, judged.account, judged.creditor_account) == (credit.amount, credit.account, credit.other_account)
    assert judged.state in {PaymentState.SETTLED, PaymentState.RETURNED}
    assert judged.returned_line is None
    assert credit.on is not None
    assert judged.sent_on <= credit.on
    alike = [
        one
        for one in sent
        if (one.amount, one.account, one.creditor_account) == (judged.amount, judged.account, judged.creditor_account)
        and (not credit.other_name or one.creditor_name in {"", credit.other_name})
        and one.sent_on <= credit.on <= one.executed_on + timedelta(days=days)
        and one.state not in {PaymentState.REJECTED, PaymentState.CANCELLED}
    ]
    assert alike == [judged], "another payment fits as well"


async def test_a_return_reason_in_words_alone_is_one(make_desk, files) -> None:
    """[RtrInf] with [AddtlInf] and no code: there is none but for money that came back."""
    desk = await make_desk()
    (payment_id,) = await desk.submit()
    await desk.pump()
    reference = f"<InstrId>{payment_id}</InstrId>"
    words = "<RtrInf><AddtlInf>account closed</AddtlInf></RtrInf>"
    await desk.receive(files.camt054(files.entry("10.00", reference)), "1.xml")
    await desk.receive(files.camt054(files.entry("10.00", reference, direction="CRDT", details=words)), "2.xml")
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason.bank_text) == (PaymentState.RETURNED, "account closed")
