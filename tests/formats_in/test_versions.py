"""Every version we say we read is read: the same content under another version's namespace tells the same records.

What versions spell differently (a coded entry status, BIC and BICFI, a party in an element of its own) stands in the tests of
each message; here no version may be missing, neither the first nor the newest.
"""

import pytest

from formats.report import Document

PAIN_002 = [f"pain.002.001.{version:02d}" for version in range(2, 16)] + ["pain.002.002.03", "pain.002.003.03"]
CAMT_053 = [f"camt.053.001.{version:02d}" for version in range(1, 15)]


def assert_told_alike(records, content: bytes, written: str, message: str) -> None:
    """`content` says it is `written`; once it says it is `message`, nothing but that name differs in its records."""
    first = records(content)
    again = records(content.replace(written.encode(), message.encode()))
    assert isinstance(again[0], Document)
    assert again[0].message == message
    assert len(first) > 4
    assert again[1:] == first[1:]


@pytest.mark.parametrize("message", PAIN_002)
def test_every_version_of_a_status_report_is_read(message: str, records, sample) -> None:
    assert_told_alike(records, sample("pain002_levels.xml"), "pain.002.001.10", message)


@pytest.mark.parametrize("message", CAMT_053)
def test_every_version_of_a_statement_is_read(message: str, records, sample) -> None:
    assert_told_alike(records, sample("camt053.xml"), "camt.053.001.08", message)


@pytest.mark.parametrize("message", [name.replace("053", "052") for name in CAMT_053])
def test_every_version_of_an_account_report_is_read(message: str, records, sample) -> None:
    inside = sample("camt053.xml").replace(b"BkToCstmrStmt>", b"BkToCstmrAcctRpt>").replace(b"Stmt>", b"Rpt>")
    assert_told_alike(records, inside, "camt.053.001.08", message)


@pytest.mark.parametrize("message", [name.replace("053", "054") for name in CAMT_053])
def test_every_version_of_a_notification_is_read(message: str, records, sample) -> None:
    inside = sample("camt053.xml").replace(b"BkToCstmrStmt>", b"BkToCstmrDbtCdtNtfctn>").replace(b"Stmt>", b"Ntfctn>")
    assert_told_alike(records, inside, "camt.053.001.08", message)
