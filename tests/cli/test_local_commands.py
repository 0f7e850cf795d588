"""The commands that need no service: render, check, parse, banks, config, submit's reading of files."""

import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from formats import bank
from formats.conformance import RULES

ON = ("--on", "2026-11-25")
SAMPLES = Path(__file__).parents[1] / "formats" / "banks"


def test_rendering_gives_a_valid_message_and_the_same_bytes_again(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.xml", tmp_path / "b.xml"]
    for file in files:
        assert bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", file).code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes().count(b"<PmtInf>") == 1  # equal terms share a block
    checked = bankgate("check", files[0], *ON)
    assert (checked.code, checked.out) == (
        0,
        f"{files[0]}: pain.001.001.09, 3 records, keeps to its schema, good for iso20022 on 2026-11-25\n",
    )


def test_rendering_another_version_or_message_id_is_as_asked(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    done = bankgate(
        "render",
        examples / "request.json",
        "--bank",
        "iso20022",
        "--message",
        "pain.001.001.03",
        "--message-id",
        "MINE-1",
        "--out",
        file,
    )
    assert done.code == 0
    content = file.read_bytes()
    assert b"pain.001.001.03" in content
    assert b"<MsgId>MINE-1</MsgId>" in content


def test_what_cannot_be_rendered_is_said_element_by_element(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    request = json.loads((examples / "request.json").read_text(encoding="utf-8"))
    request["payments"][1]["creditor_account"]["iban"] = "FR0020041010050500013M02606"
    del request["payments"][1]["debtor"]
    request["payments"][0]["amount"] = "1,5"
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(request), encoding="utf-8")
    done = bankgate("render", file, "--bank", "iso20022", *ON, "--out", tmp_path / "never.xml")
    assert done.code == 1
    assert not (tmp_path / "never.xml").exists()
    for place in ("payments[0].amount", "payments[1].debtor.name", "payments[1].creditor_account.iban"):
        assert place in done.err
    checked = json.loads(bankgate("check", file, *ON, "--json").out)
    assert {(v["index"], v["field"]) for v in checked["violations"]} >= {
        (0, "amount"),
        (1, "debtor.name"),
        (1, "creditor_account.iban"),
    }
    assert all(v["description_zh"] and v["source"] and v["rule"] for v in checked["violations"])


def test_warnings_are_told_and_marked_and_refuse_nothing(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    request = json.loads((examples / "request.json").read_text(encoding="utf-8"))
    request["payments"][0]["creditor"]["postal_address"] = {"town_name": "Dublin", "country": "IE", "address_line": ["Dublin 2"]}
    file, xml = tmp_path / "doubtful.json", tmp_path / "doubtful.xml"
    file.write_text(json.dumps(request), encoding="utf-8")
    rendered = bankgate("render", file, "--bank", "iso20022", *ON, "--out", xml)
    asked, made = bankgate("check", file, *ON), bankgate("check", xml, *ON)
    for done in (rendered, asked):
        assert done.code == 0
        (line,) = done.err.splitlines()
        assert line.startswith("warning: ")
        assert "payments[0].creditor.postal_address.address_line[0]: " in line
    assert made.code == 0
    headline, path, payment, *_ = made.err.splitlines()
    assert headline.startswith("warning: ")
    assert path.endswith("/PmtInf[1]/CdtTrfTxInf[1]/Cdtr/PstlAdr/AdrLine")
    assert "payment 2026-1001" in payment
    for checked in (file, xml):
        answer = json.loads(bankgate("check", checked, *ON, "--json").out)
        assert (answer["ok"], answer["violations"]) == (True, [])
        assert [(one["rule"], one["severity"]) for one in answer["warnings"]] == [("address.repeated-town", "warning")]


def test_every_file_of_an_archive_is_checked_by_its_own_name(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    good, archive = tmp_path / "good.xml", tmp_path / "both.zip"
    assert bankgate("render", examples / "request.json", "--bank", "sepa", *ON, "--out", good).code == 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.xml", good.read_bytes())
        made.writestr("b.xml", good.read_bytes().replace(b"<Ccy>", b"<Cyc>").replace(b"EUR", b"eur"))
    done = bankgate("check", archive, "--bank", "sepa", *ON, "--json")
    answer = json.loads(done.out)
    assert (done.code, answer["ok"]) == (1, False)
    assert [(Path(one["file"]).name, one["ok"]) for one in answer["files"]] == [("a.xml", True), ("b.xml", False)]
    archive.write_bytes(archive.read_bytes()[:200])
    cut = json.loads(bankgate("check", archive, "--bank", "sepa", *ON, "--json").out)
    assert [violation["rule"] for violation in cut["violations"]] == ["file.unreadable"]


def test_one_end_to_end_id_for_two_payments_is_told_in_a_request_and_in_a_message(
    bankgate: Any, examples: Path, tmp_path: Path
) -> None:
    request = json.loads((examples / "request.json").read_text(encoding="utf-8"))
    for payment in request["payments"]:
        payment["end_to_end_id"] = "SAME"
    file, xml = tmp_path / "twice.json", tmp_path / "twice.xml"
    file.write_text(json.dumps(request), encoding="utf-8")
    assert bankgate("render", file, "--bank", "iso20022", *ON, "--out", xml).code == 0
    for checked in (file, xml):
        answer = json.loads(bankgate("check", checked, *ON, "--json").out)
        assert answer["ok"]
        assert [(one["index"], one["field"], one["rule"]) for one in answer["warnings"]] == [
            (index, "end_to_end_id", "end-to-end-id.repeated") for index in range(1, len(request["payments"]))
        ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("[]", "SubmitPaymentsRequest"),
        ('{"payments": []}', "no payment"),
        ('{"payments": [{"amont": "1"}]}', "payments[0]"),
        ('{"payments": [{"amount": 1.5}]}', "payments[0]"),
        ('{"payments": [{"amount": "1", "amount": "2"}]}', "twice"),
        ('{"payments": ' + "[" * 100_000, "nested"),
        ('{"payments": [{"amount": ' + "9" * 5_000 + "}]}", "payments[0]"),
        ('{"payments": [{"amont": "1"}, {"amount": "1"}, {"curency": "EUR"}]}', "payments[2]"),
    ],
)
def test_a_file_that_is_no_request_is_named_and_never_a_traceback(bankgate: Any, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "request.json"
    file.write_text(text, encoding="utf-8")
    done = bankgate("check", file)
    assert done.code == 1
    assert says in done.err
    assert "Traceback" not in done.err


def test_a_missing_debtor_account_is_said_once(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    request = json.loads((examples / "request.json").read_text(encoding="utf-8"))
    del request["payments"][0]["debtor_account"]
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request), encoding="utf-8")
    violations = json.loads(bankgate("check", file, *ON, "--json").out)["violations"]
    assert [(violation["field"], violation["rule"]) for violation in violations] == [("debtor_account", "field.required")]


@pytest.mark.parametrize(("day", "taken"), [("2026-11-13", True), ("2026-11-14", False)])
@pytest.mark.parametrize("name", ["pain.001.001.03", "pain.001.001.03.ch.02"])
def test_a_swiss_file_of_the_old_version_is_good_until_its_last_day_by_either_name(
    bankgate: Any, examples: Path, tmp_path: Path, name: str, day: str, taken: bool
) -> None:
    file = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", "--message", "pain.001.001.03", *ON, "--out", file)
    own = f"http://www.six-interbank-clearing.com/de/{name}.xsd"
    if name.endswith(".ch.02"):
        file.write_bytes(file.read_bytes().replace(b"urn:iso:std:iso:20022:tech:xsd:pain.001.001.03", own.encode()))
    answer = json.loads(bankgate("check", file, "--bank", "ch_sps", "--on", day, "--json").out)
    assert answer["message"] == name
    assert [violation["rule"] for violation in answer["violations"]] == ([] if taken else ["message.unsupported"])
    assert answer["ok"] is taken


def test_checking_a_message_names_the_schemas_complaint(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", file)
    file.write_bytes(file.read_bytes().replace(b"<PmtMtd>TRF</PmtMtd>", b"<PmtMtd>XXX</PmtMtd>"))
    done = bankgate("check", file, *ON, "--json")
    assert done.code == 1
    answer = json.loads(done.out)
    assert not answer["ok"]
    (found,) = answer["violations"]
    assert (found["rule"], found["path"]) == ("schema.code", "/Document/CstmrCdtTrfInitn/PmtInf[1]/PmtMtd")
    assert "one of CHK, TRF, TRA" in found["description_en"]
    assert "CHK, TRF, TRA" in found["description_zh"]
    assert found["detail"].startswith("Element 'PmtMtd'")
    assert "libxml2" not in bankgate("check", file, *ON).err
    assert "libxml2: Element 'PmtMtd'" in bankgate("check", file, *ON, "--verbose").err
    assert found["description_zh"] in bankgate("check", file, *ON, "--language", "zh").err


def test_checking_a_message_counts_its_transactions_again(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", file)
    file.write_bytes(file.read_bytes().replace(b"<NbOfTxs>2<", b"<NbOfTxs>3<", 1))
    done = bankgate("check", file, *ON)
    assert done.code == 1
    assert "NbOfTxs announces 3 transactions, and 2 follow" in done.err


def test_checking_a_message_puts_the_banks_rules_to_every_payment(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", file)
    assert bankgate("check", file, *ON).code == 0
    original = file.read_bytes()
    broken = original.replace(b">1250.00<", b">1250.005<").replace(b"<Dt>2026-11-25</Dt>", b"<Dt>2026-11-20</Dt>")
    file.write_bytes(broken)
    answer = json.loads(bankgate("check", file, *ON, "--json").out)
    assert not answer["ok"]
    found = {(one["index"], one["end_to_end_id"], one["field"], one["rule"]) for one in answer["violations"]}
    first, second = "2026-1001", "2026-1002"
    assert {
        (0, first, "amount", "amount.scale"),
        (0, first, "requested_execution_date", "date.past"),
        (1, second, "requested_execution_date", "date.past"),
    } <= found
    amount = next(one for one in answer["violations"] if one["field"] == "amount")
    assert amount["path"] == "/Document/CstmrCdtTrfInitn/PmtInf[1]/CdtTrfTxInf[1]/Amt/InstdAmt"
    assert amount["line"] == broken.count(b"\n", 0, broken.index(b"1250.005")) + 1
    assert [one["line"] for one in answer["violations"]] == sorted(one["line"] for one in answer["violations"])
    told = bankgate("check", file, *ON).err
    assert f"    {amount['path']}\n    payment 2026-1001, block " in told
    assert bankgate("check", file, "--on", "2026-11-20").code == 1


def test_a_message_without_payments_or_without_its_namespace_is_not_good(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", file)
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole.replace(' xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"', ""), encoding="utf-8")
    assert bankgate("check", file, *ON).code == 1
    file.write_text(whole[: whole.index("<PmtInf>")] + "</CstmrCdtTrfInitn></Document>", encoding="utf-8")
    assert "There is no payment in it" in bankgate("check", file, *ON).err


def test_a_comment_in_anothers_message_is_no_problem(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", file)
    file.write_bytes(file.read_bytes().replace(b"<GrpHdr>", b"<!-- made by an ERP --><GrpHdr>"))
    assert bankgate("check", file, *ON).code == 0


def test_a_message_the_bank_never_takes_is_a_usage_error(bankgate: Any, examples: Path) -> None:
    for command in ("check", "render"):
        done = bankgate(command, examples / "request.json", "--bank", "sepa", "--message", "pain.001.001.99")
        assert (done.code, "it takes" in done.err or "takes pain.001.001.09" in done.err) == (2, True)


def test_parsing_prints_the_published_records(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", file)
    records = [json.loads(line) for line in bankgate("parse", file, "--json").out.splitlines()]
    assert [record["kind"] for record in records] == ["document", "payment", "payment"]
    assert all(record["file"] == str(file) for record in records)
    assert records[0]["message"] == "pain.001.001.09"
    assert records[0]["schema_valid"] is True
    assert records[1]["amount"] == "1250.00"
    assert records[1]["requested_execution_date"] == "2026-11-25"


def test_each_file_of_an_archive_is_parsed_under_its_own_name(bankgate: Any, examples: Path, tmp_path: Path) -> None:
    good = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", good)
    archive = tmp_path / "outer.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(good, "first.xml")
        packed.writestr("second.pdf", b"%PDF-1.7")
        packed.write(good, "third.xml")
    done = bankgate("parse", archive, "--json")
    assert done.code == 1
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["kind"] for record in records] == ["document", "payment", "payment", "error", "document", "payment", "payment"]
    assert {record["file"] for record in records} == {f"{archive}/{name}" for name in ("first.xml", "second.pdf", "third.xml")}


def test_a_file_that_cannot_be_read_is_an_error_record_and_the_next_is_still_read(
    bankgate: Any, examples: Path, tmp_path: Path
) -> None:
    good = tmp_path / "a.xml"
    bankgate("render", examples / "request.json", "--bank", "iso20022", *ON, "--out", good)
    empty = tmp_path / "empty.xml"
    empty.touch()
    done = bankgate("parse", tmp_path / "none", empty, good, "--json")
    assert done.code == 1
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["kind"] for record in records] == ["error", "error", "document", "payment", "payment"]
    assert records[1] == {"kind": "error", "file": str(empty), "problem": "the file is empty", "line": None}
    people = bankgate("parse", empty, good)
    assert people.code == 1
    assert "the file is empty" in people.err
    assert "2026-1001: 1250.00 EUR to Supplier Ltd" in people.out


def test_a_statement_without_its_closing_balance_is_shown_as_incomplete_and_does_not_pass_the_check(
    bankgate: Any, tmp_path: Path
) -> None:
    file = tmp_path / "cut.sta"
    file.write_text(":20:A\n:25:1\n:60F:C261120EUR0,\n:61:2611201120C1,NTRFX\n", encoding="utf-8")
    shown = bankgate("parse", file, "--json")
    document, statement, entry = (json.loads(line) for line in shown.out.splitlines())
    assert (shown.code, document["schema_valid"], statement["entry_count"], entry["amount"]) == (0, False, 1, "1")
    assert ":62F:" in document["schema_problems"][0]
    checked = bankgate("check", file)
    assert (checked.code, ":62F:" in checked.err) == (1, True)


def test_a_check_without_a_schema_does_not_claim_one(bankgate: Any, tmp_path: Path) -> None:
    file = tmp_path / "good.sta"
    file.write_text(":20:A\n:25:1\n:60F:C261120EUR0,\n:62F:C261120EUR0,\n", encoding="utf-8")
    checked = bankgate("check", file)
    assert (checked.code, checked.out) == (0, f"{file}: MT940, 2 records, no schema checked\n")
    assert json.loads(bankgate("check", file, "--json").out)["schema_checked"] is False


def test_a_new_bank_is_written_once_and_under_a_good_name_only(bankgate: Any, tmp_path: Path) -> None:
    folder = tmp_path / "my-bank"
    done = bankgate("banks", "new", "my_bank", "--into", folder)
    assert done.code == 0
    assert {path.name for path in (folder / "bankgate_my_bank" / "samples").iterdir() if path.is_dir()} == {
        "requests",
        "expected",
        "inbound",
        "bad",
    }
    assert "class TestMyBank(BankConformance)" in (folder / "tests" / "test_my_bank.py").read_text(encoding="utf-8")
    again = bankgate("banks", "new", "my_bank", "--into", folder)
    assert (again.code, "left as it is" in again.err) == (1, True)
    assert bankgate("banks", "new", "Not A Name").code == 2
    assert bankgate("banks", "new", "sepa").code == 1


def test_banks_are_listed(bankgate: Any) -> None:
    names = [bank["name"] for bank in json.loads(bankgate("banks", "list", "--json").out)]
    assert {"iso20022", "sepa"} <= set(names)
    assert "pain.001.001.03 until 2026-11-13" in bankgate("banks", "list").out


def test_the_card_of_a_bank_names_every_rule_in_both_languages(bankgate: Any) -> None:
    done = bankgate("banks", "score", "sepa", "--json")
    (card,) = json.loads(done.out)
    assert (done.code, card["passed"]) == (0, True)
    assert [rule["rule"] for rule in card["rules"]] == [rule.id for rule in RULES]
    assert all(rule["title_en"] and rule["title_zh"] for rule in card["rules"])
    assert "报文符合官方 XSD" in bankgate("banks", "score", "sepa", "--language", "zh").out
    assert bankgate("banks", "score", "spea").code == 2
    assert bankgate("banks", "score", "--samples", "x").code == 2


def test_a_card_with_a_failed_rule_ends_with_1_and_tells_violations_in_the_words_of_the_contract(
    bankgate: Any, tmp_path: Path
) -> None:
    samples = tmp_path / "samples"
    shutil.copytree(SAMPLES / "sepa", samples)
    file = samples / "requests" / "plain.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"0.01"', '"0.001"'), encoding="utf-8")
    done = bankgate("banks", "score", "sepa", "--samples", samples)
    assert done.code == 1
    assert "requests/plain.json: the plugin refuses it in pain.001.001.09 on 2026-11-26: payments[1].amount:" in done.out
    (card,) = json.loads(bankgate("banks", "score", "sepa", "--samples", samples, "--json").out)
    (rule,) = (rule for rule in card["rules"] if rule["rule"] == "golden-bytes")
    violation = rule["problems"][0]["violations"][0]
    assert (violation["index"], violation["field"], violation["rule"]) == (1, "amount", "amount.scale")
    assert {"source", "description_en", "description_zh", "fix", "severity"} <= violation.keys()


def test_what_samples_expect_today_is_proposed_and_never_overwritten(bankgate: Any, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    shutil.copytree(SAMPLES / "sepa", samples)
    assert bankgate("banks", "propose", "sepa", "--samples", samples).out == "nothing to propose\n"
    golden = samples / "expected" / "plain.pain.001.001.09.xml"
    right = golden.read_bytes()
    golden.write_bytes(b"wrong")
    (samples / "inbound" / "status.expected.jsonl").unlink()
    (samples / "bad" / "amounts.rules").unlink()
    assert bankgate("banks", "propose", "sepa", "--samples", samples).code == 0
    assert golden.read_bytes() == b"wrong"
    assert golden.with_name(f"{golden.name}.proposed").read_bytes() == right
    assert sorted(path.name for path in samples.rglob("*.proposed")) == [
        "amounts.rules.proposed",
        "plain.pain.001.001.09.xml.proposed",
        "status.expected.jsonl.proposed",
    ]
    assert bankgate("banks", "propose", "sepa", "--samples", tmp_path / "none").code == 2


def test_a_plugin_that_cannot_be_loaded_is_named_and_no_traceback(bankgate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> object:
        raise SyntaxError("never closed (acme.py, line 3)")

    monkeypatch.setattr(bank, "entry_points", lambda group: [SimpleNamespace(load=load)])
    done = bankgate("banks", "list")
    assert (done.code, "acme.py, line 3" in done.err) == (1, True)


def test_configuration_is_checked_without_connecting(bankgate: Any, directory: Path) -> None:
    assert bankgate("config", "check", directory).out == "good: 1 connections (house)\n"
    (directory / "bankgate.toml").write_text("[listen]\nadress = 1\n", encoding="utf-8")
    done = bankgate("config", "check", directory, "--json")
    assert done.code == 1
    problems = json.loads(done.out)["problems"]
    assert ("listen.adress", "did you mean address?") in {(problem["key"], problem["hint"]) for problem in problems}
    started = bankgate("serve", "--config", directory)
    assert started.code == 1
    assert "listen.adress" in started.err


def test_connections_are_tried_from_here(bankgate: Any, directory: Path) -> None:
    (directory / "out").mkdir()
    (row,) = json.loads(bankgate("connections", "check", "--config", directory, "--json").out)
    always = ["send window: always open"]
    assert row == {"connection": "house", "problems": [], "certificates": [], "schemas": [], "send_windows": always}
    (directory / "out").rmdir()
    done = bankgate("connections", "check", "house", "--config", directory)
    assert done.code == 1
    assert "channel:" in done.out
    assert bankgate("connections", "check", "haus", "--config", directory).code == 2


def test_keys_that_nobody_needs_are_nothing_to_check_and_that_is_said(bankgate: Any, directory: Path) -> None:
    done = bankgate("keys", "check", "--config", directory)
    assert (done.code, "no connection seals" in done.out) == (0, True)


def test_the_template_is_a_header_that_submit_takes(bankgate: Any, tmp_path: Path) -> None:
    file = tmp_path / "payments.csv"
    file.write_text(bankgate("submit", "--template").out, encoding="utf-8")
    done = bankgate("submit", file)
    assert done.code == 1
    assert "there is no payment in it" in done.err


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.csv", "payment_reference,amont\n1,2\n", "'amont' is no field of a payment; did you mean amount?"),
        ("p.csv", "amount,amount\n1,2\n", "stands twice"),
        ("p.csv", "remittance_information.unstructured,remittance_information.unstructured[0]\n1,2\n", "stands twice"),
        ("p.csv", "amount;currency\n1;EUR;x\n", ":2: has 3 cells, and the header 2"),
        ("p.csv", 'amount\n"1', ":2: is not CSV"),
        ("p.jsonl", '{"amount": "1"}\n{"amount": \n', ":2: is not JSON"),
        ("p.jsonl", '{"creditor": {"nmae": "x"}}\n', ":1:"),
        ("p.jsonl", "[1]\n", ":1: a payment is a JSON object"),
        ("p.json", '{"payments": 1}', "SubmitPaymentsRequest"),
    ],
)
def test_a_file_with_a_bad_line_sends_nothing_and_names_the_line(
    bankgate: Any, tmp_path: Path, name: str, text: str, says: str
) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    done = bankgate("submit", file, "--target", "127.0.0.1:1")
    assert done.code == 1
    assert says in done.err
    assert "Traceback" not in done.err


def test_files_of_another_kind_and_missing_files_are_named(bankgate: Any, tmp_path: Path) -> None:
    (tmp_path / "p.xlsx").touch()
    assert bankgate("submit", tmp_path / "p.xlsx").code == 2
    assert "No such file" in bankgate("submit", tmp_path / "none.csv").err
    assert bankgate("submit").code == 2


def test_unknown_commands_and_options_are_usage_errors(bankgate: Any) -> None:
    for arguments in (("frobnicate",), ("parse",), ("parse", "--frob", "x"), ("render", "x.json"), ("keys", "frob")):
        assert bankgate(*arguments).code == 2
    assert bankgate("--version").out.startswith("bankgate ")


def test_every_command_explains_itself(bankgate: Any) -> None:
    help_text = bankgate("--help").out
    commands = (
        "demo serve worker submit watch parse render check replay keys banks "
        "connections deliveries discrepancies inbound config bench"
    )
    for command in commands.split():
        assert command in help_text
        assert bankgate(command, "--help").code == 0
