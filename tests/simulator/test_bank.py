"""What happens between the doors and the ledger when something is not there, and whose answer is whose."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulator import bank as bank_module
from simulator.bank import Bank
from simulator.customer import make_customers
from simulator.fastbank import FastLedger
from simulator.fixture import iban
from simulator.garbage import KINDS
from simulator.ledger import Answer, LedgerDown, Refusal, Verdict
from simulator.moods import Moods
from simulator.records import Records
from simulator.settings import BankSettings, FastBankSettings
from tests.simulator.helpers import Pay, pain001, texts

ONE, OTHER = iban("NL", "FAST0000000007"), iban("NL", "FAST0000000008")


class Moody(FastLedger):
    """A fast ledger that is down, or refuses, as often as told; and that has answers of its own to give."""

    def __init__(self, folder: Path) -> None:
        super().__init__(FastBankSettings(statements=False), folder)
        self.down = 0
        self.refuse = 0
        self.own: tuple[Answer, ...] = ()

    async def submit(self, customer: str, file: Path) -> Verdict:
        if self.down:
            self.down -= 1
            raise LedgerDown("gone for lunch")
        if self.refuse:
            self.refuse -= 1
            raise Refusal("too long")
        return await super().submit(customer, file)

    async def collect(self) -> tuple[Answer, ...]:
        return self.own + await super().collect()

    async def confirm(self, answers: tuple[Answer, ...]) -> None:
        await super().confirm(tuple(answer for answer in answers if answer not in self.own))


@pytest.fixture
async def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bank]:
    monkeypatch.setattr(bank_module, "RETRY_SECONDS", 0.01)
    customers: list[Any] = [{"id": "one", "accounts": [ONE]}, {"id": "other", "accounts": [OTHER]}]
    settings = BankSettings.model_validate({"directory": tmp_path, "customers": customers, "ledger": {"kind": "fast"}})
    made = make_customers(settings)
    records = Records(settings.data_directory / "bank.db")
    ledger = Moody(tmp_path / "ledger")
    bank = Bank(tmp_path, made, ledger, Moods(KINDS), records)
    await bank.start()
    yield bank
    await bank.close()
    await ledger.close()
    records.close()


def ledger_of(bank: Bank) -> Moody:
    assert isinstance(bank.ledger, Moody)
    return bank.ledger


async def hand_in(bank: Bank, customer: str, name: str, content: bytes) -> None:
    file = bank.customers[customer].tree.work / "handed-in"
    file.write_bytes(content)
    bank.take(bank.customers[customer], name, file)
    await bank.idle()


def outbox(bank: Bank, customer: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(bank.customers[customer].tree.outbox.iterdir())}


async def test_a_file_waits_for_a_ledger_that_is_down_and_is_executed_once(bank: Bank) -> None:
    ledger_of(bank).down = 3
    await hand_in(bank, "one", "wait.xml", pain001("B-1", ONE, Pay("1")))
    assert bank.counts["ledger_down"] == 3
    assert (await bank.books())["totals"]["executed"] == 1
    assert list(bank.customers["one"].tree.incoming.iterdir()) == []


async def test_a_file_the_ledger_will_not_even_look_at_is_kept_with_the_reason(bank: Bank) -> None:
    ledger_of(bank).refuse = 1
    await hand_in(bank, "one", "long.xml", pain001("B-2", ONE, Pay("2")))
    await hand_in(bank, "one", "next.xml", pain001("B-3", ONE, Pay("3")))
    assert (await bank.books())["messages"].keys() == {"B-3"}
    reasons = [path.read_text() for path in bank.customers["one"].tree.quarantine.glob("*.error.txt")]
    assert reasons == ["ledger.refused\ntoo long\n"]


async def test_an_answer_goes_to_the_owner_of_the_account_it_is_about_and_once_only(bank: Bank) -> None:
    def answer(key: str, *names: str) -> Answer:
        return Answer(key=key, kind="camt.054.001.08", customer=None, account_names=names, body=f"<{key}/>".encode())

    ledger_of(bank).own = (answer("a", "unknown", OTHER), answer("b", ONE), answer("c", "nobody's"))
    for _ in range(2):  # the ledger never forgets these: the second time they are known
        await bank.collect()

    assert list(outbox(bank, "one").values()) == [b"<b/>"]
    assert list(outbox(bank, "other").values()) == [b"<a/>"]
    assert bank.counts["answers_of_no_customer"] == 1


async def test_the_sender_gets_the_report_about_its_file_whoever_owns_the_account(bank: Bank) -> None:
    await hand_in(bank, "other", "strange.xml", pain001("B-4", ONE, Pay("4")))
    assert outbox(bank, "one") == {}
    ((_, report),) = outbox(bank, "other").items()
    assert texts(report, "OrgnlMsgId") == ["B-4"]


async def test_a_mood_for_one_customer_does_not_touch_the_other(bank: Bank) -> None:
    bank.moods.set("silent", None, customer="one")
    await hand_in(bank, "one", "a.xml", pain001("B-5", ONE, Pay("5")))
    await hand_in(bank, "other", "b.xml", pain001("B-6", OTHER, Pay("6")))
    assert (len(outbox(bank, "one")), len(outbox(bank, "other"))) == (0, 1)


async def test_a_worker_that_broke_is_heard_of_by_whoever_waits(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> Verdict:
        raise ZeroDivisionError

    monkeypatch.setattr(bank.ledger, "submit", broken)
    with pytest.raises(ZeroDivisionError):
        await hand_in(bank, "one", "c.xml", pain001("B-7", ONE, Pay("7")))
