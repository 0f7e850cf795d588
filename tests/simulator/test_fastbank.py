"""The stand-in bank: its answers are valid and add up, its books count, and what it cannot execute it rejects whole."""

import asyncio
import io
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from formats.schemas import validate_inbound
from simulator.fastbank import FastLedger
from simulator.fixture import iban
from simulator.ledger import Refusal, Verdict
from simulator.settings import FastBankSettings
from tests.simulator.helpers import Pay, pain001, texts

ONE, OTHER = iban("NL", "FAST0000000005"), iban("NL", "FAST0000000006")


class Desk:
    """Hands files to a ledger and reads its answers."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.ledger = FastLedger(FastBankSettings.model_validate(settings), folder / "ledger")

    async def submit(self, content: bytes) -> Verdict:
        (self.folder / "message.xml").write_bytes(content)
        return await self.ledger.submit("acme", self.folder / "message.xml")

    async def answers(self) -> list[tuple[str, bytes]]:
        answers = await self.ledger.collect()
        found = [(answer.kind, answer.body.read_bytes()) for answer in answers if isinstance(answer.body, Path)]
        await self.ledger.confirm(answers)
        return found


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path, opening_balance="1000.00")
    yield desk
    await desk.ledger.close()


def two_blocks(message_id: str) -> bytes:
    """Blocks of ONE, of OTHER, and of ONE again: 3 + 2 + 1 transfers."""
    first = pain001(message_id, ONE, Pay("1a", "1.10"), Pay("1b", "2.20"), Pay("1c", "3.30"), count=6)
    other = pain001("x", OTHER, Pay("2a", "0.01"), Pay("2b", "0.02"))
    again = pain001("y", ONE, Pay("1d", "4.40"))
    blocks = b"".join(part[part.index(b"<PmtInf>") : part.index(b"</CstmrCdtTrfInitn>")] for part in (other, again))
    return first.replace(b"</CstmrCdtTrfInitn>", blocks + b"</CstmrCdtTrfInitn>")


async def test_every_transaction_is_reported_and_booked_on_the_statement_of_its_account(desk: Desk) -> None:
    verdict = await desk.submit(two_blocks("F-1"))
    (report_kind, report), (statement_kind, first), (_, second) = await desk.answers()

    assert verdict == Verdict(message_id="F-1", status="ACCP", reason=None, accepted=6, rejected=0)
    assert (report_kind, statement_kind) == ("pain.002.001.10", "camt.053.001.08")
    assert texts(report, "OrgnlEndToEndId") == ["1a", "1b", "1c", "2a", "2b", "1d"]
    assert texts(report, "TxSts") == ["ACCP"] * 6
    assert texts(report, "OrgnlPmtInfId") == ["F-1-1", "x-1", "y-1"]
    assert texts(first, "EndToEndId") == ["1a", "1b", "1c", "1d"]
    assert texts(second, "EndToEndId") == ["2a", "2b"]
    assert texts(first, "Nm") == ["Sand & Gravel"] * 4


@pytest.mark.parametrize("message", [two_blocks("F-2"), pain001("F-2 <&>", ONE, Pay("<&>")).replace(b"<&>", b"&lt;&amp;&gt;")])
async def test_the_answers_are_valid_by_the_official_schemas(desk: Desk, message: bytes) -> None:
    await desk.submit(message)
    await desk.submit(message)  # a duplicate: a group rejection
    await desk.submit(b"<not-a-message/>")
    answers = await desk.answers()
    assert len(answers) >= 4
    for kind, body in answers:
        assert validate_inbound(io.BytesIO(body), kind) == (True, ()), kind


async def test_the_balances_reconcile_and_the_next_statement_opens_where_the_last_one_closed(desk: Desk) -> None:
    closing = Decimal("1000.00")
    for message in ("F-3", "F-4"):
        await desk.submit(two_blocks(message))
        _, (_, statement), _ = await desk.answers()
        opened, closed, *entries = [Decimal(amount) for amount in texts(statement, "Amt")]
        assert opened == closing
        assert closed == opened - sum(entries[::2])  # each entry states its amount twice: Ntry and TxDtls
        closing = closed


async def test_an_overdrawn_account_has_a_debit_balance(desk: Desk) -> None:
    await desk.submit(pain001("F-5", ONE, Pay("5", "1000.01")))
    _, (_, statement) = await desk.answers()
    assert texts(statement, "CdtDbtInd")[:2] == ["CRDT", "DBIT"]
    assert texts(statement, "Amt")[:2] == ["1000.00", "0.01"]


@pytest.mark.parametrize(
    ("message", "code", "named"),
    [
        (b"", "FF01", "NOTPROVIDED"),
        (b"<Document/>", "FF01", "NOTPROVIDED"),
        (pain001("F-6", ONE, Pay("6"))[:-40], "FF01", "F-6"),
        (pain001("F-6", ONE, Pay("6"), count=2), "AM18", "F-6"),
        (pain001("F-6", ONE, Pay("6")).replace(b"<InitgPty>", b"<CtrlSum>9.99</CtrlSum><InitgPty>"), "AM10", "F-6"),
        (pain001("F-6", ONE, Pay("6"), Pay("7", currency="USD")), "AM03", "F-6"),
        (pain001("F-6", ONE, Pay("6"), Pay("7", amount="-1")), "FF01", "F-6"),
        (pain001("F-6", ONE, Pay("6")).replace(b"pain.001.001.09", b"pain.008.001.08"), "FF01", "NOTPROVIDED"),
        (
            pain001("F-6", ONE, Pay("6")).replace(b"<Document", b"<!DOCTYPE d [<!ENTITY e 'x'>]><Document", 1),
            "FF01",
            "NOTPROVIDED",
        ),
    ],
)
async def test_what_cannot_be_executed_is_rejected_whole_and_books_nothing(
    desk: Desk, message: bytes, code: str, named: str
) -> None:
    verdict = await desk.submit(message)
    ((_, report),) = await desk.answers()
    assert (verdict.status, verdict.reason) == ("RJCT", code)
    assert texts(report, "GrpSts") == ["RJCT"]
    assert texts(report, "Cd") == [code]
    assert texts(report, "OrgnlMsgId") == [named]
    assert await desk.ledger.payments() == []
    assert (await desk.submit(pain001("F-6", ONE, Pay("6")))).status == "ACCP"  # corrected, under the same MsgId


async def test_a_message_id_is_executed_once(desk: Desk) -> None:
    await desk.submit(pain001("F-7", ONE, Pay("7")))
    verdict = await desk.submit(pain001("F-7", ONE, Pay("7")))
    assert (verdict.status, verdict.reason) == ("RJCT", "DUPL")
    assert len(await desk.ledger.payments()) == 1


async def test_books_and_answers_outlive_the_program(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.submit(pain001("F-8", ONE, Pay("8")))
    await desk.ledger.advance(3)
    today = await desk.ledger.today()
    await desk.ledger.close()

    desk = Desk(tmp_path)
    assert (await desk.submit(pain001("F-8", ONE, Pay("8")))).reason == "DUPL"
    assert [kind for kind, _ in await desk.answers()] == ["pain.002.001.10", "camt.053.001.08", "pain.002.001.10"]
    assert await desk.answers() == []
    assert await desk.ledger.today() == today
    await desk.ledger.close()


async def test_a_thousand_transactions_take_no_more_open_files_or_memory_pieces_than_one(desk: Desk) -> None:
    await desk.submit(pain001("F-9", ONE, *(Pay(f"9-{n}", "0.01") for n in range(2500))))
    (_, report), (_, statement) = await desk.answers()
    assert len(texts(report, "TxSts")) == len(texts(statement, "EndToEndId")) == 2500
    assert len(await desk.ledger.payments()) == 2500
    assert [path.name for path in (desk.folder / "ledger").iterdir() if "entries" in path.name or "report" in path.name] == []


async def test_an_account_can_be_opened_with_a_balance_and_only_as_one_that_accepts(desk: Desk) -> None:
    await desk.ledger.open_account({"id": "A", "iban": ONE, "balance": 1234, "currency": "JPY"})
    assert [(row["id"], row["balance"]) for row in await desk.ledger.accounts()] == [("A", 1234)]
    for wrong in (
        {"id": "A"},
        {"iban": ONE, "balance": "12"},
        {"iban": ONE, "behaviour": "silent"},
        {"iban": ONE, "closed": True},
    ):
        with pytest.raises(Refusal):
            await desk.ledger.open_account(wrong)
    with pytest.raises(Refusal):
        await desk.ledger.advance(3651)


async def test_submitting_does_not_stop_the_event_loop(desk: Desk) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    await desk.submit(pain001("F-10", ONE, *(Pay(f"10-{n}", "0.01") for n in range(300))))
    ticking.cancel()
    assert ticks > 1
