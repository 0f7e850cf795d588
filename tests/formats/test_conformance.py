"""The conformance kit bites: for every rule of the card a bank or a sample that breaks it, and nothing else to blame for it."""

import io
import itertools
import random
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from formats.bank import Capabilities, Validity
from formats.banks.cgi_cross_border import BANK as CGI
from formats.banks.sepa import BANK
from formats.conformance import RULES, Card, Verdict, generated, inbound, score
from formats.conformance.card import judge
from formats.conformance.suite import case_of
from formats.errors import Unrenderable, Violation
from formats.iso20022 import IsoBank
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import ReportRecord, TransactionStatus

SAMPLES = Path(__file__).parent / "banks" / "sepa"
MESSAGE = "pain.001.001.09"


class Twisted:
    """The SEPA bank with one thing wrong."""

    name = "sepa"

    def __init__(
        self,
        capabilities: Capabilities = BANK.capabilities,
        check: Callable[..., Any] = BANK.check,
        render: Callable[..., Any] = BANK.render,
        parse: Callable[..., Any] = BANK.parse,
    ) -> None:
        self.capabilities = capabilities
        self._check, self._render, self._parse = check, render, parse

    def check(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None = None
    ) -> tuple[Violation, ...]:
        return self._check(terms, transfer, on, message_name)

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        self._render(message, out)

    def parse(self, source: BinaryIO) -> Iterator[ReportRecord]:
        return self._parse(source)


@pytest.fixture(autouse=True)
def _fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether rules bite shows with fewer tries than a card makes."""
    monkeypatch.setattr(inbound, "MUTANTS_A_SAMPLE", 40)
    monkeypatch.setattr(generated, "MIXTURES_A_MESSAGE", 40)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLES, tmp_path / "samples")
    return tmp_path / "samples"


def failed(card: Card) -> set[str]:
    return {line.rule for line in card.lines if line.verdict is Verdict.FAILED}


def complaint(card: Card, rule: str) -> str:
    return next(line.complaint for line in card.lines if line.rule == rule)


def able(**changes: Any) -> Twisted:
    return Twisted(replace(BANK.capabilities, **changes))


# -- banks that break one rule ----------------------------------------------------------------------------------------------


def rendering(change: Callable[[bytes], bytes]) -> Twisted:
    """A bank whose bytes are changed on their way out."""

    def render(message: PaymentInitiation, out: BinaryIO) -> None:
        right = io.BytesIO()
        BANK.render(message, right)
        out.write(change(right.getvalue()))

    return Twisted(render=render)


def forgetful_check(rule: str, bank: IsoBank = BANK) -> Twisted:
    """A bank that knows one rule less."""

    def check(*arguments: Any) -> tuple[Violation, ...]:
        return tuple(violation for violation in bank.check(*arguments) if violation.rule != rule)

    return Twisted(bank.capabilities, check=check, render=bank.render, parse=bank.parse)


def counting() -> Twisted:
    numbers = itertools.count()
    return rendering(lambda document: document.replace(b"SAMPLE-1</MsgId>", b"N%d</MsgId>" % next(numbers)))


def reading(change: Callable[[ReportRecord], ReportRecord]) -> Twisted:
    """A bank whose records are changed on their way in."""
    return Twisted(parse=lambda source: map(change, BANK.parse(source)))


def guessing(record: ReportRecord) -> ReportRecord:
    """Takes a status word that it does not know for a rejection."""
    unknown = isinstance(record, TransactionStatus) and record.status not in {"ACSP", "RJCT"}
    return replace(record, status="RJCT") if unknown and isinstance(record, TransactionStatus) else record


def touching(what: Callable[[], object]) -> Twisted:
    def check(*arguments: Any) -> tuple[Violation, ...]:
        what()
        return BANK.check(*arguments)

    return Twisted(check=check)


def careless_parse(source: BinaryIO) -> Iterator[ReportRecord]:
    text = source.read()
    source.seek(0)
    assert text.count(b"<") == text.count(b">")  # what a quick parser does to a broken file
    return BANK.parse(source)


def render_anything(message: PaymentInitiation, out: BinaryIO) -> None:
    BANK.render(replace(message, message_name=MESSAGE), out)


def without_the_second(document: bytes) -> bytes:
    """The message without its second payment, where it has one."""
    lines = document.splitlines(keepends=True)
    payments = [number for number, line in enumerate(lines) if line.startswith(b"<CdtTrfTxInf>")]
    return b"".join(line for number, line in enumerate(lines) if number not in payments[1:2])


BAD_BANKS: dict[str, tuple[Twisted, str, set[str]]] = {
    "no messages": (able(sends={}, reads=()), "shape", set()),
    "a version that ends before it begins": (
        able(sends={**BANK.capabilities.sends, MESSAGE: Validity(valid_from=date(2026, 1, 1), valid_until=date(2025, 1, 1))}),
        "shape",
        set(),
    ),
    "a currency that is none": (able(currencies=frozenset({"EUR", "EURO"})), "shape", {"shape"}),
    "a time zone that is none": (able(time_zone="Europe/Bruxelles"), "shape", {"shape"}),
    "a version without a sample": (
        able(sends={**BANK.capabilities.sends, "pain.001.001.10": Validity()}),
        "samples-sent",
        {"samples-sent"},
    ),
    "a kind without a sample": (able(reads=(*BANK.capabilities.reads, "MT942")), "samples-read", {"samples-read"}),
    "a kind that comes unannounced": (
        able(reads=tuple(kind for kind in BANK.capabilities.reads if kind != "camt.054")),
        "samples-read",
        {"samples-read"},
    ),
    "a kind without a route": (able(routes={"pain": "OUT", "camt": "IN"}), "routes", {"routes"}),
    "a route for nothing": (
        able(routes={"pain": "OUT", "camt": "IN", "pacs": "IN", "camt.086": "FEES"}),
        "routes",
        {"routes"},
    ),
    "other bytes": (rendering(lambda text: text.replace(b"Fonderie", b"FONDERIE")), "golden-bytes", {"golden-bytes"}),
    "a counter in the bytes": (counting(), "deterministic", {"golden-bytes", "deterministic"}),
    "broken schema": (
        rendering(lambda text: text.replace(b"<PmtMtd>TRF</PmtMtd>", b"")),
        "schema",
        {"golden-bytes", "schema", "check-then-render"},
    ),
    "a wrong control sum": (
        rendering(lambda text: text.replace(b"<CtrlSum>4250.50<", b"<CtrlSum>4250.51<")),
        "totals",
        {"golden-bytes", "totals"},
    ),
    "a wrong count": (
        rendering(lambda text: text.replace(b"<NbOfTxs>3<", b"<NbOfTxs>4<")),
        "totals",
        {"golden-bytes", "totals"},
    ),
    "another account": (
        rendering(lambda text: text.replace(b"NL91ABNA0417164300", b"NL20INGB0001234567")),
        "totals",
        {"golden-bytes", "totals", "check-then-render"},
    ),
    "a payment left out": (
        rendering(without_the_second),
        "totals",
        {"golden-bytes", "totals", "check-then-render"},
    ),
    "a rule that is missing": (forgetful_check("sepa.remittance-one"), "bad-samples", {"bad-samples"}),
    "a rule for the schema that is missing": (
        forgetful_check("bic.form"),
        "check-then-render",
        {"check-then-render"},
    ),
    "any version": (
        Twisted(check=lambda terms, transfer, on, _message: BANK.check(terms, transfer, on), render=render_anything),
        "unknown-message",
        set(),
    ),
    "other records": (
        reading(lambda record: replace(record, amount="1.00") if isinstance(record, TransactionStatus) else record),
        "golden-values",
        {"golden-values"},
    ),
    "a guess at a status": (reading(guessing), "unknown-status", {"unknown-status"}),
    "an unknown status told as another": (
        reading(lambda record: replace(guessing(record), status="PDNG") if guessing(record) is not record else record),
        "unknown-status",
        {"unknown-status"},
    ),
    "an error of its own": (Twisted(parse=careless_parse), "mutants", {"mutants"}),
    "the time": (touching(time.time), "pure", {"pure"}),
    "today": (touching(date.today), "pure", {"pure"}),
    "chance": (touching(random.random), "pure", {"pure"}),
    "a file": (touching(lambda: Path(__file__).read_bytes()), "pure", {"pure"}),
    "the network": (touching(lambda: socket.socket().close()), "pure", {"pure"}),
}


@pytest.mark.parametrize("name", BAD_BANKS)
def test_a_bank_that_breaks_a_rule_fails_it(name: str) -> None:
    bank, rule, exactly = BAD_BANKS[name]
    card = score(bank, SAMPLES, "acme.py")
    assert rule in failed(card), f"{name} was let through"
    if exactly:
        assert failed(card) == exactly
    text = complaint(card, rule)
    assert text.startswith("- ")
    assert not card.passed


@pytest.mark.parametrize(
    "rule",
    [
        *("charge-bearer.unknown", "instruction-priority.unknown", "uetr.form", "amount.positive", "amount.digits", "text.empty"),
        *("text.too-long", "text.characters", "country.unknown", "iban.form", "bic.form", "account.identification"),
    ],
)
def test_a_hole_in_check_is_found_whichever_rule_of_the_schema_is_missing(rule: str) -> None:
    (card_rule,) = [one for one in RULES if one.id == "check-then-render"]
    line = judge(card_rule, case_of(forgetful_check(rule, CGI), SAMPLES.parent / CGI.name, "acme.py"))
    assert line.verdict is Verdict.FAILED
    assert "check takes a payment with" in line.complaint


def test_every_rule_has_a_bank_or_a_sample_that_breaks_it() -> None:
    assert {rule for _, rule, _ in BAD_BANKS.values()} | {rule for _, rule, _ in BAD_SAMPLES.values()} == {
        rule.id
        for rule in RULES
        if rule.id != "hears"  # of banks that answer at once: test_conformance_dialects.py
    }


# -- samples that break one rule ----------------------------------------------------------------------------------------------


def write(path: str, text: str) -> Callable[[Path], object]:
    return lambda samples: (samples / path).write_text(text, encoding="utf-8")


def reword(path: str, before: str, after: str) -> Callable[[Path], object]:
    def change(samples: Path) -> None:
        text = (samples / path).read_text(encoding="utf-8")
        assert before in text
        (samples / path).write_text(text.replace(before, after), encoding="utf-8")

    return change


def delete(pattern: str) -> Callable[[Path], object]:
    def change(samples: Path) -> None:
        found = list(samples.glob(pattern))
        assert found
        for path in found:
            path.unlink()

    return change


BAD_SAMPLES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no folder": (shutil.rmtree, "samples", "there is no such folder"),
    "a proposal nobody read": (write("expected/x.proposed", ""), "samples", "rename it to expected/x."),
    "a request that is no JSON": (write("requests/x.json", "{"), "samples", "requests/x.json: is not JSON"),
    "a request nested too deep": (write("requests/x.json", "[" * 99_999), "samples", "requests/x.json: is nested too deep"),
    "a key that stands twice": (write("requests/x.json", '{"a": 1, "a": 2}'), "samples", "the key 'a' stands twice"),
    "a field that is none": (
        reword("requests/plain.json", '"creditor": {"name"', '"creditor": {"nmae"'),
        "samples",
        "payments[0].creditor.nmae: there is no such field (did you mean name?)",
    ),
    "an amount that is none": (reword("requests/plain.json", '"1250.50"', '"1.250,50"'), "samples", "payments[0].amount"),
    "a date in another form": (reword("requests/plain.json", '"2026-11-27"', '"20261127"'), "samples", "be a date"),
    "a stray golden file": (write("expected/plain.pain.001.001.10.xml", ""), "samples", "belongs to no request and message"),
    "stray rules": (write("bad/none.rules", ""), "samples", "bad/none.json"),
    "stray records": (write("inbound/none.expected.jsonl", ""), "samples", "belongs to no sample"),
    "two files of one name": (write("inbound/status.sta", ":20:"), "samples", "two files have this name"),
    "records that are no JSON": (write("inbound/status.expected.jsonl", "{"), "samples", "is no JSON Lines"),
    "rules that are none": (write("bad/amounts.rules", "three words here"), "samples", "line 1 says no finding"),
    "a warning that is told as a refusal": (
        reword("bad/repeated_ids.rules", " warning", ""),
        "bad-samples",
        "not found: payments[1].end_to_end_id end-to-end-id.repeated; found",
    ),
    "exemptions that are no TOML": (write("exempt.toml", "="), "samples", "is no TOML"),
    "an exemption without a reason": (write("exempt.toml", 'routes = " "'), "samples", "routes gives no reason"),
    "an exemption from no rule": (write("exempt.toml", 'speed = "slow"'), "exemptions", "speed is no rule"),
    "an exemption from what always holds": (write("exempt.toml", 'shape = "odd"'), "exemptions", "shape is no rule one can"),
    "an exemption that is not needed": (write("exempt.toml", 'schema = "none"'), "schema", "not needed"),
    "an exemption of a kind that is not needed": (
        write("exempt.toml", '[samples-read]\n"camt.054" = "later"'),
        "samples-read",
        "not needed (samples-read, camt.054)",
    ),
    "no golden file": (delete("expected/*"), "golden-bytes", "bankgate banks propose sepa"),
    "no request": (delete("requests/*"), "samples-sent", "Write requests/plain.json"),
    "no file of the bank": (delete("inbound/*"), "golden-values", "as the bank sends it"),
    "no records": (delete("inbound/status.expected.jsonl"), "golden-values", "bankgate banks propose sepa"),
    "nothing that is refused": (delete("bad/*"), "bad-samples", "there is no payment that this bank refuses"),
    "a bad sample that is good": (
        reword("bad/amounts.json", '"amount": "0.00"', '"amount": "1.00"'),
        "bad-samples",
        "not found: payments[1].amount amount.positive",
    ),
    "a request the bank refuses": (
        reword("requests/plain.json", "FR1420041010050500013M02606", "FR1420041010050500013M02607"),
        "golden-bytes",
        "[iban.check-digits]",
    ),
    "no status to try": (delete("inbound/status.*"), "unknown-status", "no status in any sample"),
}


@pytest.mark.parametrize("name", BAD_SAMPLES)
def test_a_sample_that_breaks_a_rule_fails_it_and_says_what_to_do(name: str, samples: Path) -> None:
    change, rule, words = BAD_SAMPLES[name]
    change(samples)
    card = score(BANK, samples, "sepa.py")
    assert rule in failed(card)
    assert words in complaint(card, rule)


def test_an_exemption_that_is_needed_is_shown_with_its_reason_and_the_card_passes(samples: Path) -> None:
    for path in (samples / "inbound").glob("notification.*"):
        path.unlink()
    (samples / "exempt.toml").write_text('[samples-read]\n"camt.054" = "comes in spring"\n', encoding="utf-8")
    card = score(BANK, samples)
    (line,) = [line for line in card.lines if line.verdict is not Verdict.DONE]
    assert (line.rule, line.verdict, line.text) == ("samples-read", Verdict.EXEMPT, "camt.054: comes in spring (exempt.toml)")
    assert card.passed


def test_an_exemption_of_one_kind_exempts_no_other(samples: Path) -> None:
    for path in (samples / "inbound").glob("[ni]*"):
        path.unlink()
    (samples / "exempt.toml").write_text('[samples-read]\n"camt.054" = "comes in spring"\n', encoding="utf-8")
    assert "camt.052" in complaint(score(BANK, samples), "samples-read")


def test_a_bank_that_only_sends_is_exempt_from_what_is_about_reading_and_the_card_says_why(samples: Path) -> None:
    shutil.rmtree(samples / "inbound")
    card = score(able(reads=()), samples)
    assert card.passed
    assert {line.rule for line in card.lines if line.verdict is Verdict.EXEMPT} == {
        *("samples-read", "golden-values", "unknown-status", "mutants"),
    }


def test_a_plugins_exception_is_told_with_its_place_and_ends_nothing() -> None:
    def render(_message: PaymentInitiation, _out: BinaryIO) -> None:
        raise KeyError("no such thing")

    card = score(Twisted(render=render), SAMPLES, "acme.py")
    assert len(card.lines) == len(RULES)
    assert "acme.py: KeyError was raised at test_conformance.py:" in complaint(card, "golden-bytes")


def test_a_fault_of_the_kit_itself_is_no_finding_about_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("formats.conformance.outbound.expected_file", None)
    with pytest.raises(TypeError):
        score(rendering(lambda text: text + b" "), SAMPLES)


def test_render_may_refuse_only_by_its_own_error_and_then_it_is_the_finding() -> None:
    def render(_message: PaymentInitiation, _out: BinaryIO) -> None:
        raise Unrenderable(BANK.check(None, None, date(2026, 11, 25)))  # type: ignore[arg-type]

    assert "[field.type]" in complaint(score(Twisted(render=render), SAMPLES), "golden-bytes")
