"""Files larger than memory: what is held does not grow with the file."""

import pytest

from formats.reader import parse

GROWTH_MAX = 32 * 2**20


def _held(source) -> tuple[int, int]:
    """How many records came, and by how much what the process holds has grown at most while they came."""
    next(parse(source))
    source.resident_peak = 0
    source.seek(0)
    source.read(1)
    before = source.resident_peak
    count = sum(1 for _ in parse(source))
    return count, source.resident_peak - before


def test_two_hundred_thousand_entries(repeated):
    head = b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><GrpHdr/><Stmt><Id>1</Id>'
    entry = (
        b'<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><NtryDtls><TxDtls><Refs><EndToEndId>E</EndToEndId></Refs>'
        b"<RmtInf><Ustrd>%s</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>\n" % (b"x" * 100)
    )
    source = repeated(head, entry, 200_000, b"</Stmt></BkToCstmrStmt></Document>")
    assert source.size > 48 * 2**20
    count, grown = _held(source)
    assert count == 200_002
    assert grown < GROWTH_MAX


def test_a_hundred_thousand_statuses_and_orders(repeated):
    status = repeated(
        b"<Document><CstmrPmtStsRpt><OrgnlPmtInfAndSts><OrgnlPmtInfId>1</OrgnlPmtInfId>",
        b"<TxInfAndSts><OrgnlEndToEndId>E</OrgnlEndToEndId><TxSts>ACSC</TxSts><AddtlInf>%s</AddtlInf></TxInfAndSts>"
        % (b"x" * 800),
        100_000,
        b"</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>",
    )
    order = repeated(
        b"<Document><CstmrCdtTrfInitn><PmtInf><PmtInfId>1</PmtInfId>",
        b"<CdtTrfTxInf><PmtId><EndToEndId>E</EndToEndId></PmtId><RmtInf><Ustrd>%s</Ustrd></RmtInf></CdtTrfTxInf>" % (b"x" * 800),
        100_000,
        b"</PmtInf></CstmrCdtTrfInitn></Document>",
    )
    for source, expected in ((status, 100_002), (order, 100_001)):
        count, grown = _held(source)
        assert count == expected
        assert grown < GROWTH_MAX


def test_a_statement_of_many_lines(repeated):
    source = repeated(
        b":20:A\n:25:1\n:60F:C261120EUR0,\n",
        b":61:2611201120C1,NTRFX//Y\n:86:%s\n" % (b"x" * 1800),
        25_000,
        b":62F:C261120EUR0,\n",
    )
    count, grown = _held(source)
    assert count == 25_002
    assert grown < GROWTH_MAX


@pytest.mark.parametrize("wrap", [b"%s", b"<NtryDtls>%s</NtryDtls>"])
def test_one_entry_of_many_transactions_keeps_no_tree(repeated, wrap):
    # Blanks: what says something is kept, with the transaction it belongs to.
    transaction = wrap % (b"<TxDtls><Refs><EndToEndId>E</EndToEndId></Refs><AddtlTxInf>%s</AddtlTxInf></TxDtls>" % (b" " * 2000))
    source = repeated(
        b"<Document><BkToCstmrStmt><Stmt><Id>1</Id><Ntry><Amt Ccy='EUR'>1</Amt>",
        transaction,
        30_000,
        b"</Ntry></Stmt></BkToCstmrStmt></Document>",
    )
    count, grown = _held(source)
    assert count == 3
    assert grown < GROWTH_MAX
