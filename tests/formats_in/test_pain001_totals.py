"""A pain.001 that miscounts itself is told, at the level where it does."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from formats.errors import Unparsable
from formats.pain001_totals import broken_totals

MESSAGE = (
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn>\n'
    "<GrpHdr><MsgId>M</MsgId><NbOfTxs>3</NbOfTxs><CtrlSum>6.25</CtrlSum></GrpHdr>\n"
    "<PmtInf><PmtInfId>A</PmtInfId><NbOfTxs>2</NbOfTxs><CtrlSum>3.25</CtrlSum>\n"
    '<CdtTrfTxInf><Amt><InstdAmt Ccy="EUR">1.25</InstdAmt></Amt></CdtTrfTxInf>\n'
    '<CdtTrfTxInf><Amt><EqvtAmt><Amt Ccy="EUR">2</Amt></EqvtAmt></Amt></CdtTrfTxInf></PmtInf>\n'
    "<PmtInf><PmtInfId>B</PmtInfId>\n"
    '<CdtTrfTxInf><Amt><InstdAmt Ccy="USD">3.00</InstdAmt></Amt></CdtTrfTxInf></PmtInf>\n'
    "</CstmrCdtTrfInitn></Document>"
)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("", "", ()),
        (
            "<NbOfTxs>3<",
            "<NbOfTxs>4<",
            ("line 2: NbOfTxs announces 4 transactions, and 3 follow",),
        ),
        ("<CtrlSum>6.25<", "<CtrlSum>6.250<", ()),
        (
            "<CtrlSum>6.25<",
            "<CtrlSum>6.26<",
            ("line 2: CtrlSum announces 6.26, and the amounts add up to 6.25",),
        ),
        (
            "<NbOfTxs>2<",
            "<NbOfTxs>1<",
            ("line 3: NbOfTxs announces 1 transactions, and 2 follow",),
        ),
        ("<CtrlSum>3.25<", "<CtrlSum>x<", ()),
        (
            ">3.00<",
            ">30.00<",
            ("line 2: CtrlSum announces 6.25, and the amounts add up to 33.25",),
        ),
    ],
)
def test_totals_are_held_against_what_follows(before: str, after: str, told: tuple[str, ...]) -> None:
    found = broken_totals(io.BytesIO(MESSAGE.replace(before, after, 1).encode()))
    assert tuple(f"line {one.place.line}: {one.message_en.partition(': ')[0]}" for one in found if one.place) == told


def test_a_broken_total_has_its_place_and_block() -> None:
    (found,) = broken_totals(io.BytesIO(MESSAGE.replace("<NbOfTxs>2<", "<NbOfTxs>1<").encode()))
    assert found.place is not None
    assert found.place.path == "/Document/CstmrCdtTrfInitn/PmtInf[1]/NbOfTxs"
    assert (found.place.payment_information_id, found.rule) == ("A", "totals.count")


def test_the_problems_told_are_at_most_twenty_and_a_cut_file_is_refused() -> None:
    block = "<PmtInf><NbOfTxs>9</NbOfTxs><CdtTrfTxInf/></PmtInf>"
    many = MESSAGE.replace("</CstmrCdtTrfInitn>", block * 30 + "</CstmrCdtTrfInitn>")
    assert len(broken_totals(io.BytesIO(many.encode()))) == 20
    with pytest.raises(Unparsable):
        broken_totals(io.BytesIO(MESSAGE[:-30].encode()))


def test_memory_does_not_grow_with_the_transactions(repeated: Callable[..., io.RawIOBase]) -> None:
    head, rest = MESSAGE.split("<CdtTrfTxInf>", 1)
    unit = "<CdtTrfTxInf>" + rest.split("\n", 1)[0]
    peaks = {}
    for count in (1_000, 100_000):
        source = repeated(head.encode(), unit.encode(), count, b"</PmtInf></CstmrCdtTrfInitn></Document>")
        assert broken_totals(source)[0].message_en.partition(": ")[0].endswith(f"and {count} follow")
        peaks[count] = source.resident_peak
    assert peaks[100_000] - peaks[1_000] < 30 << 20, peaks


def test_the_one_real_file_known_to_miscount_is_the_one_told(corpus: Path) -> None:
    told = set()
    for line in (corpus / "INDEX.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, kind, *_, odd = line.split("\t")
        if kind.startswith("pain.001") and broken_totals(io.BytesIO((corpus / name).read_bytes())):
            told.add(("bad CtrlSum/NbOfTxs" in odd, name))
    assert told
    assert all(known for known, _ in told), told
