"""The kit on banks that answer at once: values read back, settings beside a sample, replies inside kept exchanges."""

import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from formats.bank import bank_named
from formats.banks.cib import BANK, Cib
from formats.conformance.bank_rules import RULES
from formats.conformance.card import Verdict, judge
from formats.conformance.inbound import parts_of
from formats.conformance.requests import SamplePayment, payments_of
from formats.conformance.samples import RequestSample, expected_file
from formats.conformance.suite import case_of
from formats.conformance.values import value_faults
from formats.dialogue import Asked, Asking, Heard, Outcome
from formats.exchange import Exchange, read_exchange, write_exchange
from tests.formats.dialects.payments import TERMS, TRANSFER

SAMPLES = Path(__file__).parent / "banks" / "cib"
PAYMENT = SamplePayment(TERMS, TRANSFER)
SAID = "<A>117000000000000001</A><B>6200000000000000005</B><C>乙公司</C>"


@pytest.mark.parametrize(
    "document",
    [
        f"{SAID}<D>123.45</D>",
        f"{SAID}<D>12345</D>",
        f'<x d="123.45">{SAID}</x>',
        "<L>117000000000000001</L><![CDATA[1|6200000000000000005|乙公司|123.45|\n]]>",
        '{"dbtAcc":"117000000000000001","list":[{"crtAcc":"6200000000000000005","crtNam":"乙公司","trsAmt":"123.45"}]}',
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_whole_values_are_found_in_xml_json_and_lines(document: str, charset: str) -> None:
    assert list(value_faults(document.encode(charset), [PAYMENT])) == []


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (f"{SAID}<D>1234.50</D>", "amount"),
        (f"{SAID}<D>9123.45</D>", "amount"),
        ("<A>117000000000000001</A><B>620000000000000000</B><C>乙公司</C><D>123.45</D>", "payee account"),
        ("<A>117000000000000001</A><B>6200000000000000005</B><C>乙公</C><D>123.45</D>", "payee name"),
        ("<B>6200000000000000005</B><C>乙公司</C><D>123.45</D>", "paying account"),
    ],
)
def test_what_is_cut_changed_or_missing_is_told(document: str, fault: str) -> None:
    (told,) = value_faults(document.encode("gbk"), [PAYMENT])
    assert fault in told


def test_two_payments_alike_must_both_stand_there() -> None:
    once = f"{SAID}<D>123.45</D>".encode("gbk")
    assert list(value_faults(once * 2, [PAYMENT, PAYMENT])) == []
    assert len(list(value_faults(once, [PAYMENT, PAYMENT]))) == 3


def test_a_name_with_markup_in_it_is_read_as_it_was_written() -> None:
    named = SamplePayment(TERMS, replace(TRANSFER, creditor=replace(TRANSFER.creditor, name="A&B <C>")))
    document = SAID.replace("乙公司", "A&amp;B &lt;C&gt;") + "<D>123.45</D>"
    assert list(value_faults(document.encode(), [named])) == []


def test_expected_files_are_named_after_what_they_hold() -> None:
    request = RequestSample(file="requests/one.json", payments=(), expected={})
    names = [expected_file(request, "x.PAY", document) for document in (b"<a/>", b'{"a":1}', b"0001|")]
    assert names == [f"expected/one.x.PAY.{end}" for end in ("xml", "json", "txt")]


def test_what_a_bank_said_is_taken_out_of_a_kept_exchange_and_put_back() -> None:
    kept = write_exchange(Exchange(reply=b"<a>1</a>", asked=Asked(kind=Asking.BALANCE, function="x")))
    reply, kept_again = parts_of(kept)
    assert reply == b"<a>1</a>"
    assert read_exchange(io.BytesIO(kept_again(b"<a>other</a>"))).reply == b"<a>other</a>"
    opened = write_exchange(Exchange(reply=b"xx", opened=b"<b/>", asked=Asked(kind=Asking.BALANCE, function="x")))
    assert parts_of(opened)[0] == b"<b/>"
    assert parts_of(b"<bare/>")[0] == b"<bare/>"
    assert parts_of(b"BANKGATE-EXCHANGE 1\n\xff\n")[1](b"y") == b"y"


def test_a_sample_with_settings_of_its_own_is_judged_under_them(tmp_path: Path) -> None:
    for part in ("requests", "expected"):
        (tmp_path / part).mkdir()
        for path in (SAMPLES / part).glob("batch.*"):
            (tmp_path / part / path.name).write_bytes(path.read_bytes())
    case = case_of(BANK, tmp_path)
    assert not case.samples.problems
    (sample,) = case.samples.requests
    assert list(sample.expected) == ["cib.ASYNBATCHTRSFRTRNRQ"]
    golden = next(rule for rule in RULES if rule.id == "golden-bytes")
    assert judge(golden, case).verdict is Verdict.DONE

    settings = tmp_path / "requests" / "batch.settings.toml"
    settings.write_text('customer_id = "1"\nuser = "x"\n', encoding="utf-8")
    (tmp_path / "requests" / "gone.settings.toml").write_text("", encoding="utf-8")
    problems = {problem.place: problem.problem for problem in case_of(BANK, tmp_path).samples.problems}
    assert "are no settings of this bank" in problems["requests/batch.settings.toml"]
    assert problems["requests/gone.settings.toml"] == "belongs to no sample."


def test_supplementary_fields_are_written_as_the_contract_has_them() -> None:
    one = {
        "payment_reference": "P",
        "requested_execution_date": "2026-01-05",
        "debtor": {"name": "甲"},
        "debtor_account": {"other_id": "1"},
        "debtor_agent": {},
        "amount": "1.00",
        "currency": "CNY",
        "creditor": {"name": "乙"},
        "supplementary": [{"name": "cn.city", "value": "深圳"}],
    }
    (payment,) = payments_of({"payments": [one]})
    assert payment.transfer.supplementary == (("cn.city", "深圳"),)
    assert payment.transfer.amount == Decimal(1)


class Credulous(Cib):
    """Takes every reply for an answer that begins like one."""

    def hear(self, exchange: Exchange) -> Heard:
        heard = super().hear(exchange)
        return replace(heard, outcome=Outcome.TAKEN) if exchange.reply.startswith(b"<?xml") else heard


class Trusting(Cib):
    """Thinks that no reply is a refusal."""

    def hear(self, exchange: Exchange) -> Heard:
        heard = super().hear(exchange)
        return heard if exchange.reply else replace(heard, outcome=Outcome.NOT_TAKEN)


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Credulous, "it is still taken for an answer."), (Trusting, "an empty reply to payment is taken for an answer.")],
)
def test_a_bank_that_hears_more_than_was_said_fails(kind: type[Cib], told: str) -> None:
    facts = {name: getattr(BANK, name) for name in BANK.__dataclass_fields__}
    rule = next(rule for rule in RULES if rule.id == "hears")
    line = judge(rule, case_of(kind(**facts), SAMPLES))
    assert line.verdict is Verdict.FAILED
    assert told in line.complaint
    assert judge(rule, case_of(BANK, SAMPLES)).verdict is Verdict.DONE
    assert "answers with files" in judge(rule, case_of(bank_named("sepa"), SAMPLES)).text
