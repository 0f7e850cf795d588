"""From a bank's statements to discrepancies: told once per fact, mended by a late statement, whatever order the files come in."""

import random
from itertools import permutations

import pytest

from gateway.lifecycle import PaymentState
from gateway.replay import Replay, ReplayedProblem
from gateway.store.records import BY_ITSELF

ACCOUNT = "NL41MOCK0000000001"


def mt940(number: str, day: str, opening: str, closing: str, *entries: str, made: str = "STMT") -> str:
    """A statement of 2026, `day` as MMDD, amounts as MT writes them."""
    lines = "".join(f":61:26{day}{day}{entry}\n" for entry in entries)
    return f":20:{made}\n:25:{ACCOUNT}\n:28C:{number}\n:60F:C26{day}EUR{opening}\n{lines}:62F:C26{day}EUR{closing}\n-\n"


def camt053(number: int, day: str, opening: str, closing: str, *entries: str, name: str = "053") -> str:
    def balance(kind: str, amount: str) -> str:
        return (
            f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy='EUR'>{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>"
            f"<Dt><Dt>{day}</Dt></Dt></Bal>"
        )

    roots = {"053": ("BkToCstmrStmt", "Stmt"), "052": ("BkToCstmrAcctRpt", "Rpt")}
    root, inner = roots[name]
    return (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{name}.001.08"><{root}><GrpHdr><MsgId>M{number}</MsgId>'
        f"<CreDtTm>{day}T18:00:00Z</CreDtTm></GrpHdr><{inner}><Id>S{number}</Id><ElctrncSeqNb>{number}</ElctrncSeqNb>"
        f"<CreDtTm>{day}T18:00:00Z</CreDtTm><Acct><Id><IBAN>{ACCOUNT}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        f"{balance('OPBD', opening)}{balance('CLBD', closing)}{''.join(entries)}</{inner}></{root}></Document>"
    )


CHAIN = [
    camt053(7, "2026-11-20", "100.00", "90.00"),
    camt053(8, "2026-11-23", "90.00", "95.00"),
    camt053(9, "2026-11-24", "95.00", "95.00"),
    camt053(10, "2026-11-25", "95.00", "20.00"),
]


async def test_a_missing_statement_is_told_and_the_late_one_resolves_it_with_a_reason(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(CHAIN[0])
    await desk.receive(CHAIN[2])
    (open_one,), _ = await desk.store.list_discrepancies(limit=9)
    assert open_one.kind == "statement_gap"
    assert "…0001 (EUR): 8, between 7 of 2026-11-20 and 9 of 2026-11-24" in open_one.summary_en
    assert "缺少对账单 8" in open_one.summary_zh
    assert ACCOUNT not in repr(open_one)
    await desk.receive(CHAIN[1])
    assert await desk.discrepancies() == []
    (resolved,), _ = await desk.store.list_discrepancies(include_resolved=True, limit=9)
    assert (resolved.discrepancy_id, resolved.resolved_by) == (open_one.discrepancy_id, BY_ITSELF)
    assert resolved.resolved_at is not None
    assert "A later statement mended it" in (resolved.resolution or "")
    assert "后到的对账单" in (resolved.resolution or "")


@pytest.mark.parametrize("order", random.Random(5).sample(list(permutations(range(4))), 6))
async def test_a_chain_without_a_gap_ends_without_open_discrepancies_in_any_order(make_desk, order: tuple[int, ...]) -> None:
    desk = await make_desk()
    for place in (*order, order[0]):  # one of them comes twice
        await desk.receive(CHAIN[place])
    assert await desk.discrepancies() == []


async def test_the_same_file_read_again_and_the_same_statement_in_another_file_tell_nothing_new(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(CHAIN[0])
    await desk.receive(CHAIN[3])
    before, _ = await desk.store.list_discrepancies(include_resolved=True, limit=9)
    (file, *_), _ = await desk.store.list_inbound(limit=9)
    await desk.store.finish_inbound(file.inbound_file_id, state="stored")
    await desk.intake.read_waiting()
    await desk.receive(CHAIN[3].replace("<MsgId>M10</MsgId>", "<MsgId>AGAIN</MsgId>"))
    assert (await desk.store.list_discrepancies(include_resolved=True, limit=9))[0] == before
    assert [one.kind for one in before] == ["statement_gap"]


async def test_a_corrected_statement_under_the_same_number_is_told(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(CHAIN[0])
    await desk.receive(camt053(7, "2026-11-20", "100.00", "80.00"))
    assert await desk.discrepancies() == ["statement_duplicate"]


async def test_a_balance_that_does_not_go_on_is_told_in_mt940_too(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(mt940("7/1", "1120", "100,00", "90,00"))
    await desk.receive(mt940("8/1", "1123", "91,00", "95,00"))
    (found,), _ = await desk.store.list_discrepancies(limit=9)
    assert found.kind == "balance_break"
    assert "opens with 91.00, and the one of 2026-11-20 before it closed with 90.00" in found.summary_en


async def test_entries_that_do_not_make_the_closing_balance_are_told_and_reversals_count_the_other_way(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(mt940("7", "1120", "100,00", "93,00", "D10,00NTRFA", "RD3,00NTRFB"))
    assert await desk.discrepancies() == []
    await desk.receive(mt940("8", "1123", "93,00", "80,00", "D10,00NTRFA"))
    (found,), _ = await desk.store.list_discrepancies(limit=9)
    assert found.kind == "balance_break"
    assert "opens with 93.00, books -10.00 and closes with 80.00" in found.summary_en


async def test_reports_of_the_day_are_not_compared(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(camt053(7, "2026-11-20", "1.00", "2.00", name="052"))
    await desk.receive(camt053(9, "2026-11-20", "5.00", "6.00", name="052"))
    assert await desk.discrepancies() == []


async def test_many_statements_in_one_file_tell_one_fact_each(make_desk) -> None:
    desk = await make_desk()
    text = "".join(mt940(f"{n}", f"11{n:02}", "1,00", "1,00", made=f"S{n}") for n in (1, 2, 4, 5, 9))
    await desk.receive(text)
    found, _ = await desk.store.list_discrepancies(limit=9)
    assert sorted(one.summary_en.split(": ")[1].split(",")[0] for one in found) == ["3", "6–8"]


async def test_a_dry_replay_tells_a_gap_against_what_is_stored_and_what_was_replayed_and_stores_nothing(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(CHAIN[0])

    async def uploaded():  # type: ignore[no-untyped-def]
        yield "a", CHAIN[2].encode()
        yield "b", CHAIN[1].encode()
        yield "c", camt053(12, "2026-11-27", "20.00", "20.00").encode()

    replay = Replay(desk.store, desk.intake, commit=False)
    told = [(r.file, r.kind) async for r in replay.run(uploaded(), sealed=False) if isinstance(r, ReplayedProblem)]
    assert told == [("a", "statement_gap"), ("c", "statement_gap")]
    assert await desk.discrepancies() == []


async def test_statements_that_do_not_follow_still_settle_payments(make_desk) -> None:
    desk = await make_desk()
    ids = await desk.submit()
    await desk.pump()
    entry = (
        "<Ntry><Amt Ccy='EUR'>10.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><NtryDtls><TxDtls><Refs>"
        f"<InstrId>{ids[0]}</InstrId></Refs></TxDtls></NtryDtls></Ntry>"
    )
    await desk.receive(camt053(7, "2026-11-26", "100.00", "1.00", entry))
    assert (await desk.payment(ids[0])).state is PaymentState.SETTLED
    assert await desk.discrepancies() == ["balance_break"]


async def test_an_account_number_in_a_statement_s_identification_is_not_told(make_desk) -> None:
    desk = await make_desk()
    await desk.receive(mt940("7", "1120", "1,00", "5,00", "C1,00NTRFA", made=ACCOUNT))
    (found,), _ = await desk.store.list_discrepancies(limit=9)
    assert found.kind == "balance_break"
    assert ACCOUNT not in repr(found)
