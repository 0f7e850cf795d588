"""A payment is asked back over EBICS: an order of its own, sent once whatever goes wrong, whose answer is fetched."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from channels.channel import Fate, NotSent, Parcel
from channels.ebics.profile import EbicsProfile
from channels.profiles import parse_profile
from formats.camt055 import write_camt055
from formats.container import members
from formats.model import Agent, Party
from formats.model_requests import (
    CancellationReason,
    CancellationRequest,
    MessageCancellation,
    PaymentInformationCancellation,
    TransactionCancellation,
)
from formats.reader import parse
from formats.report import CancellationStatus
from gateway.recall import answer_of
from tests.channels.support.parcels import parcel
from tests.ebics.test_channel_at_the_simulator import BOTH, branch, onboarded, settled
from tests.simulator.ebics_support.bank import DEBTOR
from tests.simulator.helpers import Pay, pain001

CAMT055 = "camt.055.001.09"
ORDERS: dict[str, dict[str, Any]] = {
    "H004": {"recalls": {"order_type": "C55"}, "downloads": [{"order_type": "C29"}]},
    "H005": {
        "recalls": {"service": {"name": "SCT", "scope": "DE", "message": "camt.055", "version": "09"}},
        "downloads": [{"service": {"name": "SCT", "scope": "DE", "container": "ZIP", "message": "camt.029"}}],
    },
}
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("ebics_lose_request", {"when": "last"}),
    ("ebics_lose_answer", {"when": "last"}),
    ("ebics_bad_signature", {"when": "last"}),
    ("ebics_forget", {"when": "last"}),
    ("ebics_return_code", {"when": "last", "code": "061099", "executed": True}),
]


def request(recall_id: str, message_id: str, instruction_id: str) -> Parcel:
    """A request for cancellation of one payment, as the gateway hands it to a channel."""
    single = TransactionCancellation(
        cancellation_id=recall_id,
        original_instruction_id=instruction_id,
        original_end_to_end_id=instruction_id,
        original_amount=Decimal("1.00"),
        original_currency="EUR",
        reason=CancellationReason(code="DUPL"),
    )
    block = PaymentInformationCancellation(original_payment_information_id=f"{message_id}-B", transactions=(single,))
    message = MessageCancellation(
        original_message_id=message_id, original_message_name="pain.001.001.09", payment_informations=(block,)
    )
    asked = CancellationRequest(
        message_id=f"C{recall_id}",
        message_name=CAMT055,
        creation_date_time=datetime(2026, 11, 25, 9, tzinfo=UTC),
        assigner=Party(name="Acme"),
        assignee=Agent(bic="MOCKNL2A"),
        case_id=recall_id,
        cancellations=(message,),
    )
    written = io.BytesIO()
    write_camt055(asked, written)
    return replace(parcel(written.getvalue()), message=CAMT055)


def answers(files: dict[str, bytes]) -> list[CancellationStatus]:
    found = []
    for content in files.values():
        for _, member in members(io.BytesIO(content)):
            found += [one for one in parse(member) if isinstance(one, CancellationStatus) and one.level == "transaction"]
    return found


@BOTH
async def test_a_recall_goes_by_its_own_order_and_its_answer_is_fetched(tmp_path: Path, version: str) -> None:
    async with branch(tmp_path, version) as (bank, desk):
        desk.settings |= ORDERS[version]
        channel = await onboarded(bank, desk)
        assert await channel.check() == (), "the bank grants both orders"
        payment = Pay("PAY-1", "1.00")
        await channel.send(parcel(pain001("T-1", DEBTOR, payment)))
        await bank.idle()
        (paid,) = await bank.bank.ledger.payments()
        for number, (mood, state) in enumerate((("PDCR", "pending"), ("RJCR/CUST", "refused"), ("ACCR", "accepted"))):
            bank.moods.set("recalls", 1, mood)
            receipt = await channel.send(request(f"R{number}", "T-1", paid["instruction_id"]))
            assert receipt.evidence == "ebics 000000"
            await bank.idle()
            desk.kept.clear()
            assert await channel.receive(desk.keep) == 1, channel.troubles
            (answer,) = answers(desk.kept)
            assert (answer.case_id, answer.original_instruction_id) == (f"R{number}", paid["instruction_id"])
            meant = answer_of(answer)
            assert meant is not None
            assert meant.value == state
        assert (await bank.books())["messages"] == {"T-1": {"executed": 1, "rejected": 0, "returned": 0}}, "the books stand"


async def test_a_recall_is_at_the_bank_once_or_visibly_waits_whatever_goes_wrong(tmp_path: Path) -> None:
    async with branch(tmp_path, "H005", finished_uploads="remembered", transactions_max=1000) as (bank, desk):
        desk.settings |= ORDERS["H005"]
        await onboarded(bank, desk)
        for number, (mood, value) in enumerate(FAULTS):
            bank.moods.clear()
            bank.moods.set(mood, 1, value)
            asked, channel = request(f"R{number}", "NONE", f"I-{number}"), desk.channel()
            end = await settled(desk, channel, asked)
            desk.later(seconds=30)
            again = await channel.fate(asked)
            await bank.idle()
            came = bank.bank.recalled[f"R{number}"]
            assert came == 1 if end == "there" else came <= 1, f"{mood} {value}: {end}, came {came} times"
            assert (again.fate is Fate.ARRIVED) == (end == "there"), f"{mood} {value}: {again}"
            desk.now = datetime.now(UTC)
        assert len(bank.bank.recalled) >= len(FAULTS) - 1


@BOTH
async def test_without_an_order_for_it_a_recall_never_goes_out_as_a_payment(tmp_path: Path, version: str) -> None:
    async with branch(tmp_path, version) as (bank, desk):
        channel = await onboarded(bank, desk)
        with pytest.raises(NotSent, match=r"\[channel\.recalls\] is missing"):
            await channel.send(request("R1", "T-1", "I-1"))
        await bank.idle()
        assert bank.bank.recalled == {}
        with pytest.raises(ValueError, match=r"recalls: H00\d names an order by"):
            parse_profile({**desk.table(), "recalls": {**ORDERS["H005" if version == "H004" else "H004"]["recalls"]}})
        profile = parse_profile({**desk.table(), **ORDERS[version]})
        assert isinstance(profile, EbicsProfile)
        assert profile.ordered(CAMT055) is profile.recalls
        assert profile.ordered("pain.001.001.09") is profile.upload
