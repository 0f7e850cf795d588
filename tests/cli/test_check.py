"""`bankgate check` on files made elsewhere: everything that is wrong is told at its place, whatever the size."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ON = ("--bank", "sepa", "--on", "2026-11-25")


@pytest.fixture
def good(bankgate: Any, examples: Path, tmp_path: Path) -> bytes:
    file = tmp_path / "good.xml"
    assert bankgate("render", examples / "request.json", *ON, "--out", file).code == 0
    return file.read_bytes()


def checked(bankgate: Any, tmp_path: Path, content: bytes, *options: str) -> Any:
    file = tmp_path / "message.xml"
    file.write_bytes(content)
    return bankgate("check", file, *ON, *options)


def grown(message: bytes, count: int) -> bytes:
    """With its first transaction so many times over, and totals that agree."""
    start, end = message.index(b"<CdtTrfTxInf>"), message.rindex(b"</CdtTrfTxInf>") + 14
    transaction = message[start : message.index(b"</CdtTrfTxInf>") + 14]
    amount = int(re.sub(rb"\D", b"", re.search(rb"<InstdAmt[^>]*>([^<]*)", transaction)[1]))  # type: ignore[index]
    many = b"\n".join(transaction.replace(b"2026-1001", b"E-%07d" % number) for number in range(count))
    head = re.sub(rb"<NbOfTxs>\d+<", b"<NbOfTxs>%d<" % count, message[:start])
    head = re.sub(rb"<CtrlSum>[\d.]+<", b"<CtrlSum>%d.%02d<" % divmod(amount * count, 100), head)
    return head + many + message[end:]


def test_schema_totals_and_rules_are_one_list_in_the_order_of_the_file(bankgate: Any, good: bytes, tmp_path: Path) -> None:
    broken = good.replace(b"<NbOfTxs>2<", b"<NbOfTxs>7<", 1).replace(b"<PmtMtd>TRF<", b"<PmtMtd>X<")
    broken = broken.replace(b">1250.00<", b">1250.005<")
    answer = json.loads(checked(bankgate, tmp_path, broken, "--json").out)
    told = [(one["line"], one["rule"]) for one in answer["violations"]]
    assert told == sorted(told, key=lambda one: one[0])
    assert {"totals.count", "totals.sum", "schema.code", "amount.scale"} <= {rule for _, rule in told}
    for one in answer["violations"]:
        assert one["path"].startswith("/Document/CstmrCdtTrfInitn/")
        assert one["description_en"]
        assert one["description_zh"]
        assert one["source"]
        assert (one["detail"] is not None) is one["rule"].startswith("schema.")


def test_a_payment_deep_in_a_file_is_found_by_path_line_and_id(bankgate: Any, good: bytes, tmp_path: Path) -> None:
    count = 1_500
    large = grown(good, count)
    assert checked(bankgate, tmp_path, large).code == 0
    at = large.index(b"<IBAN>", large.index(b"<CdtrAcct>", large.index(b"E-0001333"))) + len(b"<IBAN>")
    (found,) = json.loads(checked(bankgate, tmp_path, large[:at] + b"ZZ" + large[at + 2 :], "--json").out)["violations"]
    assert found["path"] == "/Document/CstmrCdtTrfInitn/PmtInf[1]/CdtTrfTxInf[1334]/CdtrAcct/Id/IBAN"
    assert found["line"] == large.count(b"\n", 0, at) + 1
    assert (found["end_to_end_id"], found["index"]) == ("E-0001333", 1_333)


def test_more_problems_than_are_shown_are_counted(bankgate: Any, good: bytes, tmp_path: Path) -> None:
    many = grown(good, 150).replace(b"</InstdAmt>", b"5</InstdAmt>")
    done = checked(bankgate, tmp_path, many)
    assert done.code == 1
    assert done.err.count("[amount.scale;") < 150
    assert re.search(r"and \d+ more; --json lists them all", done.err)
    answer = json.loads(checked(bankgate, tmp_path, many, "--json").out)
    assert sum(one["rule"] == "amount.scale" for one in answer["violations"]) == 150


def test_a_cut_file_is_told_once(bankgate: Any, good: bytes, tmp_path: Path) -> None:
    answer = json.loads(checked(bankgate, tmp_path, good[: len(good) // 2], "--json").out)
    assert [one["rule"] for one in answer["violations"]] == ["schema.not-well-formed"]


def test_a_block_read_from_a_business_envelope_keeps_its_path(bankgate: Any, good: bytes, tmp_path: Path) -> None:
    inside = good[good.index(b"<Document") :].replace(b">1250.00<", b">1250.005<")
    answer = json.loads(checked(bankgate, tmp_path, b"<Envelope><AppHdr/>" + inside + b"</Envelope>", "--json").out)
    amount = next(one for one in answer["violations"] if one["rule"] == "amount.scale")
    assert amount["path"] == "/Envelope/Document/CstmrCdtTrfInitn/PmtInf[1]/CdtTrfTxInf[1]/Amt/InstdAmt"


def test_no_value_of_a_payment_is_told(bankgate: Any, good: bytes, tmp_path: Path) -> None:
    iban = re.search(rb"<CdtrAcct><Id><IBAN>([^<]*)", good)[1]  # type: ignore[index]
    done = checked(bankgate, tmp_path, good.replace(iban, b"SECRET-" + iban), "--verbose")
    assert done.code == 1
    assert "SECRET" not in done.err
    assert iban.decode() not in done.err


def test_a_file_without_its_namespace_is_told_what_to_write(bankgate: Any, good: bytes, tmp_path: Path) -> None:
    bare = good.replace(b' xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"', b"")
    answer = json.loads(checked(bankgate, tmp_path, bare, "--json").out)
    (found,) = answer["violations"]
    assert found["rule"] == "message.version"
    assert 'xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"' in found["description_en"]
    assert answer["schema_checked"] is False
