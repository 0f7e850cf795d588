"""Every file of the corpus is read whole, or refused as Unparsable; what is read is counted again by other means."""

import csv
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from formats.errors import Unparsable
from formats.reader import parse, sniff
from formats.report import Entry, Statement

READ = ("camt.052", "camt.053", "camt.054", "pain.001", "pain.002", "pacs.004", "MT940", "MT942")

BROKEN = {"invalid_file2"}  # no XML
UNCLOSED = {"mt940-with-colon-after-line-break.txt", "gv_codes.sta"}  # MT940 without the closing balance that must end it


def _files(corpus: Path) -> list[dict[str, str]]:
    with (corpus / "INDEX.tsv").open(encoding="utf-8") as index:
        return list(csv.DictReader(index, delimiter="\t"))


def _read(path: Path, *, strict: bool = False) -> list[object] | Unparsable:
    with path.open("rb") as source:
        try:
            return list(parse(source, strict=strict))
        except Unparsable as refused:
            return refused


def test_every_file_of_a_kind_that_is_read_is_read(corpus):
    files = [row for row in _files(corpus) if row["kind_version"].startswith(READ)]
    names = {row["file"].rpartition("__")[2]: corpus / row["file"] for row in files}
    assert len(files) > 120
    for strict, expected in ((False, BROKEN), (True, BROKEN | UNCLOSED)):
        refused = {name for name, path in names.items() if isinstance(_read(path, strict=strict), Unparsable)}
        assert refused == set(names) & expected, strict


def test_every_file_of_another_kind_is_refused_by_its_name(corpus):
    files = [row for row in _files(corpus) if not row["kind_version"].startswith(READ)]
    assert files
    for row in files:
        told = _read(corpus / row["file"])
        assert isinstance(told, Unparsable), row["file"]
        assert row["kind_version"].partition(".001")[0] in told.problem, row["file"]


def test_xml_records_are_as_many_as_an_independent_count_of_elements(corpus):
    elements = {
        "entry": "Ntry",
        "statement": ("Stmt", "Rpt", "Ntfctn"),
        "transaction_status": "TxInfAndSts",
        "payment_information_status": "OrgnlPmtInfAndSts",
        "status_report": "OrgnlGrpInfAndSts",
        "payment": "CdtTrfTxInf",
        "payment_return": "TxInf",
    }
    read = 0
    for row in _files(corpus):
        told = _read(corpus / row["file"])
        if isinstance(told, Unparsable) or row["kind_version"].startswith("MT"):
            continue
        tags = Counter(element.tag.rpartition("}")[2] for element in ElementTree.parse(corpus / row["file"]).iter())
        counts = Counter(record.kind for record in told)
        for kind, names in elements.items():
            assert counts[kind] == sum(tags[name] for name in ([names] if isinstance(names, str) else names)), (row["file"], kind)
        details = sum(len(record.transactions) for record in told if isinstance(record, Entry))
        assert details == tags["TxDtls"], row["file"]
        read += 1
    assert read > 70


def test_statement_lines_are_as_many_as_an_independent_count_of_fields(corpus):
    read = 0
    for row in _files(corpus):
        if not row["kind_version"].startswith(("MT940", "MT942")):
            continue
        told = _read(corpus / row["file"])
        if isinstance(told, Unparsable):
            continue
        data = (corpus / row["file"]).read_bytes()
        counts = Counter(record.kind for record in told)
        assert counts["entry"] == len(re.findall(rb"(?m)^:61:", data)) == int(row["entries"]), row["file"]
        assert counts["statement"] == len(re.findall(rb"(?m)^:20:", data)), row["file"]
        balances = sum(len(record.balances) for record in told if isinstance(record, Statement))
        assert balances == len(re.findall(rb"(?m)^:(?:60[FM]|62[FM]|64|65):", data)), row["file"]
        read += 1
    assert read > 40


def test_the_count_told_beforehand_is_the_count_that_follows(corpus):
    for row in _files(corpus):
        told = _read(corpus / row["file"])
        if not isinstance(told, Unparsable):
            promised = sum(record.entry_count for record in told if isinstance(record, Statement))
            assert promised == sum(isinstance(record, Entry) for record in told), row["file"]


def test_the_names_of_the_index_are_the_names_found(corpus):
    for row in _files(corpus):
        if row["kind_version"].startswith(READ) and "no-namespace" not in row["kind_version"]:
            with (corpus / row["file"]).open("rb") as source:
                assert sniff(source) == row["kind_version"], row["file"]


def _child(element: ElementTree.Element | None, *path: str) -> str | None:
    for name in path:
        element = (
            next((child for child in element if child.tag.rpartition("}")[2] == name), None) if element is not None else None
        )
    return ((element.text or "").strip() or None) if element is not None else None


def _named(tree: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in tree.iter() if element.tag.rpartition("}")[2] == name]


def test_amounts_and_references_are_those_of_a_plain_walk_of_the_tree(corpus):
    read = 0
    for row in _files(corpus):
        told = _read(corpus / row["file"])
        if isinstance(told, Unparsable) or not row["kind_version"].startswith("camt"):
            continue
        elements = _named(ElementTree.parse(corpus / row["file"]).getroot(), "Ntry")
        for element, entry in zip(elements, (record for record in told if isinstance(record, Entry)), strict=True):
            if _child(element, "Amt") is not None:
                assert (entry.amount, entry.credit_debit) == (_child(element, "Amt"), _child(element, "CdtDbtInd")), row["file"]
            assert entry.account_servicer_reference == _child(element, "AcctSvcrRef"), row["file"]
            for details, transaction in zip(_named(element, "TxDtls"), entry.transactions, strict=True):
                assert transaction.end_to_end_id == _child(details, "Refs", "EndToEndId"), row["file"]
                amount = _child(details, "Amt") or _child(details, "AmtDtls", "TxAmt", "Amt")
                assert transaction.amount == amount, row["file"]
                reason = _child(details, "RtrInf", "Rsn", "Cd") or _child(details, "RtrInf", "Rsn", "Prtry")
                assert transaction.return_reason == reason, row["file"]
                read += 1
    assert read > 100
