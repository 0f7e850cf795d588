"""Documents of like entries, and the comparison of the two ways of reading them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

from formats import camt, camt_repetitive, shapes_text
from formats.camt_repetitive import Tally
from formats.errors import Unparsable
from formats.reader import parse
from formats.report import ReportRecord

OWN, OTHER = "NL41MOCK0000000001", "NL91ABNA0417164300"
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
    "<GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-26T20:00:00Z</CreDtTm></GrpHdr>\n"
)
STATEMENT = f"<Stmt><Id>S</Id><ElctrncSeqNb>1</ElctrncSeqNb><Acct><Id><IBAN>{OWN}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
TAIL = "</Stmt></BkToCstmrStmt></Document>\n"
ENTRY = """
  <Ntry><NtryRef>{n}</NtryRef><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
    <BookgDt><Dt>2026-11-26</Dt></BookgDt><AcctSvcrRef>R{n}</AcctSvcrRef>
    <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>
    <NtryDtls><TxDtls><Refs><EndToEndId>E{n}</EndToEndId></Refs><Amt Ccy="EUR">{amount}</Amt>
      <RltdPties><Dbtr><Pty><Nm>{debtor}</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>{debtor_account}</IBAN></Id></DbtrAcct>
        <Cdtr><Nm>{creditor}</Nm></Cdtr><CdtrAcct><Id><IBAN>{creditor_account}</IBAN></Id></CdtrAcct></RltdPties>
      <RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"""


def entry(number: int = 1, **texts: str) -> str:
    given = {
        "n": str(number),
        "amount": f"{number}.50",
        "direction": "DBIT",
        "debtor": "We",
        "debtor_account": OWN,
        "creditor": f"Supplier {number}",
        "creditor_account": f"{OTHER[:-4]}{number:04d}",
        "text": f"Invoice {number}",
    }
    return ENTRY.format_map(given | texts)


def document(*entries: str, head: str = HEAD + STATEMENT, tail: str = TAIL) -> bytes:
    return (head + "".join(entries) + tail).encode()


Outcome = list[ReportRecord] | tuple[str, int | None]


@contextmanager
def reading(*, plans: bool, texts: bool = True, patterns: bool = True, cut: bool = True) -> Iterator[Tally]:
    """With plans for however few entries (and patterns after one use), or without; others by their texts, or from trees.

    Not `cut`: all by the plain reader, which may take texts from its trees. The tally says how the entries were read.
    """
    tally = Tally()
    with (
        patch.object(camt_repetitive, "ENTRIES_MIN", 1 if cut else 1 << 60),
        patch.object(camt, "TREES_FIRST", 0),
        patch.object(camt_repetitive, "_PLANS_AT_ONCE", camt_repetitive._PLANS_AT_ONCE if plans else -(1 << 60)),
        patch.object(shapes_text, "STEPS_MAX", shapes_text.STEPS_MAX if texts else 0),
        patch.object(camt_repetitive, "_PATTERN_USES_MIN", 1 if patterns else 1 << 60),
        patch.object(camt_repetitive, "records", partial(camt_repetitive.records, tally=tally)),
    ):
        yield tally


def outcome(data: bytes, *, plans: bool, texts: bool = True, patterns: bool = True, cut: bool = True) -> tuple[Outcome, Tally]:
    with reading(plans=plans, texts=texts, patterns=patterns, cut=cut) as tally:
        try:
            return list(parse(io.BytesIO(data))), tally
        except Unparsable as refused:
            return (refused.problem, refused.line), tally


def plainly(data: bytes) -> Outcome:
    return outcome(data, plans=False, texts=False, cut=False)[0]


def same(data: bytes) -> Tally:
    """Asserts that all ways agree: by plans, patterns and texts; plans and trees; texts; texts of trees; and trees.

    How the first one went.
    """
    told, tally = outcome(data, plans=True)
    expected = plainly(data)
    assert told == expected
    assert outcome(data, plans=True, texts=False, patterns=False)[0] == expected
    assert outcome(data, plans=False)[0] == expected
    assert outcome(data, plans=False, cut=False)[0] == expected
    return tally
