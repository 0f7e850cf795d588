"""A bank that refuses instant payments says so of each, executes none of them, and everything else as ever."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulator.books import identity
from simulator.fixture import iban, run_bank
from simulator.moods import BadMood
from tests.simulator.helpers import Identities, Pay, Ways, pain001, texts

DEBTOR = iban("NL", "FAST0000000004")


@pytest.fixture
async def ways(tmp_path: Path, acme: dict[str, Any], identities: Identities) -> AsyncIterator[Ways]:
    async with run_bank(
        tmp_path,
        customers=[{**acme, "accounts": [DEBTOR]}],
        ledger={"kind": "fast", "statements": False},
        client_certificates=[identities.certificate],
    ) as bank:
        yield Ways(bank, identities, "acme", DEBTOR)


def instant(message_id: str, *payments: Pay) -> bytes:
    kind = b"<PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl><LclInstrm><Cd>INST</Cd></LclInstrm></PmtTpInf>"
    return pain001(message_id, DEBTOR, *payments).replace(b"<ReqdExctnDt>", kind + b"<ReqdExctnDt>")


async def test_instant_payments_are_refused_with_the_code_and_not_executed_as_often_as_asked_for(ways: Ways) -> None:
    ways.bank.moods.set("refuse_instant", 1, "AG03")
    await ways.upload(pain001("N-1", DEBTOR, Pay("E-0")), "N-1.xml")
    await ways.upload(instant("I-1", Pay("E-1"), Pay("E-2")), "I-1.xml")
    await ways.upload(instant("I-2", Pay("E-3")), "I-2.xml")
    normal, refused, executed = (await ways.fetch()).values()
    assert texts(normal, "TxSts") == ["ACCP"]
    assert texts(refused, "OrgnlMsgId") == ["I-1"]
    assert (texts(refused, "TxSts"), texts(refused, "Cd")) == (["RJCT", "RJCT"], ["AG03", "AG03"])
    assert (texts(refused, "OrgnlEndToEndId"), texts(refused, "OrgnlInstrId")) == (["E-1", "E-2"], ["I-E-1", "I-E-2"])
    assert texts(executed, "TxSts") == ["ACCP"]
    assert (await ways.bank.books())["messages"].keys() == {"N-1", "I-2"}


async def test_without_the_mood_instant_payments_are_executed(ways: Ways) -> None:
    await ways.upload(instant("I-1", Pay("E-1")), "I-1.xml")
    assert (await ways.bank.books())["totals"]["executed"] == 1


async def test_what_is_no_reason_code_is_refused(ways: Ways) -> None:
    with pytest.raises(BadMood, match="reason code"):
        ways.bank.moods.set("refuse_instant", 1, "no")


def test_the_books_take_a_second_attempt_for_the_same_payment() -> None:
    row = {"end_to_end_id": "E", "debtor_account": "A", "creditor_account": "B", "amount": "1", "currency": "EUR"}
    first, second = ({**row, "instruction_id": "0" * 32 + end} for end in ("", "-2"))
    assert identity(first) == identity(second)
    assert identity({**row, "instruction_id": "I-2"}) != identity({**row, "instruction_id": "I"})
