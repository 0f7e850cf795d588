"""The conformance kit and a bank with words of its own: judged as far as anybody can know, and exempt from the rest by name."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pytest

from formats.bank import Capabilities, Validity
from formats.banks.sepa import BANK
from formats.conformance import RULES, Verdict, score
from formats.conformance.card import judge
from formats.conformance.proposals import proposals
from formats.conformance.suite import case_of
from formats.errors import Unparsable, Unrenderable, Violation
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import Document, ReportRecord, TransactionStatus
from formats.rules import unsupported_message

SAMPLES = Path(__file__).parent / "banks" / "sepa"


def say_in_own_words(message: PaymentInitiation, out: BinaryIO) -> None:
    """A front machine's own XML: one line a payment, no schema that anybody publishes."""
    if message.message_name != "acme.pay":
        raise Unrenderable((unsupported_message(message.message_name, ("acme.pay",)),))
    for block in message.blocks:
        for transfer in block.transfers():
            text = f'<pay id="{transfer.end_to_end_id}" to="{transfer.creditor_account and transfer.creditor_account.iban}">'
            out.write(f"{text}{transfer.amount:f}</pay>\n".encode())


def read_own_words(source: BinaryIO) -> Iterator[ReportRecord]:
    found = re.findall(rb'<done id="([^"]+)"><state>([^<]*)</state></done>', source.read())
    if not found:
        raise Unparsable("nothing is done in it", 1)
    yield Document(message="acme.done")
    for name, state in found:
        yield TransactionStatus(
            original_payment_information_id=None,
            original_instruction_id=None,
            original_end_to_end_id=name.decode("latin-1"),
            status=state.decode("latin-1"),
        )


class Own:
    """A bank that is no `IsoBank`. `translate`: what it makes of the bank's status words."""

    name = "own"
    capabilities = Capabilities(sends={"acme.pay": Validity()}, reads=("acme.done",), currencies=frozenset({"EUR"}))

    def __init__(self, translate: Callable[[str], str] = str) -> None:
        self._translate = translate

    def check(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None = None
    ) -> tuple[Violation, ...]:
        unknown = message_name not in (None, "acme.pay")
        return (unsupported_message(str(message_name), ("acme.pay",)),) if unknown else BANK.check(terms, transfer, on)

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        say_in_own_words(message, out)

    def parse(self, source: BinaryIO) -> Iterator[ReportRecord]:
        for record in read_own_words(source):
            told = isinstance(record, TransactionStatus)
            yield replace(record, status=self._translate(str(record.status))) if told else record


@pytest.fixture
def own_samples(tmp_path: Path) -> Path:
    samples = tmp_path / "samples"
    shutil.copytree(SAMPLES, samples)
    for path in (*(samples / "expected").iterdir(), *(samples / "inbound").iterdir(), *(samples / "bad").glob("ended*")):
        path.unlink()
    (samples / "requests" / "last_day_of_03.json").unlink()
    (samples / "inbound" / "done.xml").write_text('<done id="2026-1001"><state>BOOKED</state></done>', encoding="utf-8")
    return samples


def test_a_bank_with_words_of_its_own_is_judged_too_and_is_exempt_only_from_what_nobody_can_know(own_samples: Path) -> None:
    for file, content in proposals(case_of(Own(), own_samples)):
        (own_samples / file).write_bytes(content)
    card = score(Own(), own_samples)
    assert {line.rule for line in card.lines if line.verdict is Verdict.FAILED} == {"schema", "totals"}
    (own_samples / "exempt.toml").write_text(
        '[schema]\n"acme.pay" = "the bank publishes none; its form is held by golden bytes"\n'
        '[totals]\n"acme.pay" = "the form carries no count and no sum; compared by hand on 2026-11-25"\n',
        encoding="utf-8",
    )
    card = score(Own(), own_samples)
    assert card.passed
    done = {line.rule for line in card.lines if line.verdict is Verdict.DONE}
    assert {"golden-bytes", "check-then-render", "unknown-status", "mutants", "pure"} <= done


@pytest.mark.parametrize(
    ("unknown", "verdict"),
    [(None, Verdict.DONE), ("RJCT", Verdict.FAILED), ("ACSC", Verdict.FAILED)],
)
def test_a_bank_that_translates_status_words_may_not_guess_those_it_does_not_know(
    own_samples: Path, unknown: str | None, verdict: Verdict
) -> None:
    bank = Own(lambda word: {"BOOKED": "ACCC"}.get(word, unknown or word))
    (rule,) = [one for one in RULES if one.id == "unknown-status"]
    line = judge(rule, case_of(bank, own_samples))
    assert line.verdict is verdict, line.complaint
