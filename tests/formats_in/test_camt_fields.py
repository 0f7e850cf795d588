"""camt.05x beyond the contract: charges, exchange, availability, parties, structured remittance, sequence and pages."""

import pytest

from formats.report import (
    AccountIdentification,
    Availability,
    Charge,
    DetailedAmount,
    Entry,
    Party,
    Reason,
    Remainder,
    Statement,
    StructuredRemittance,
)

ACCOUNT = "<Acct><Id><IBAN>NL91ABNA0417164300</IBAN></Id></Acct>"
STATEMENT = f"<Document><BkToCstmrStmt><Stmt><Id>S</Id>{ACCOUNT}{{}}</Stmt></BkToCstmrStmt></Document>"


def first(records, content: str):
    """The first entry of a statement with this content, or the statement itself where it has none."""
    told = records(STATEMENT.format(content).encode())
    return next((record for record in told if isinstance(record, Entry)), told[1])


def transaction(records, content: str, direction: str = "DBIT"):
    entry = (
        f"<Ntry><Amt Ccy='EUR'>5</Amt><CdtDbtInd>{direction}</CdtDbtInd><NtryDtls><TxDtls>{content}</TxDtls></NtryDtls></Ntry>"
    )
    return first(records, entry).transactions[0]


def test_a_statement_names_its_place_among_others(records):
    head = (
        "<StmtPgntn><PgNb>2</PgNb><LastPgInd>false</LastPgInd></StmtPgntn>"
        "<ElctrncSeqNb>7</ElctrncSeqNb><LglSeqNb>3</LglSeqNb>"
        "<RltdAcct><Id><Othr><Id>99</Id></Othr></Id><Ccy>USD</Ccy></RltdAcct>"
    )
    statement = first(records, head)
    assert isinstance(statement, Statement)
    assert (statement.sequence_number, statement.electronic_sequence_number, statement.legal_sequence_number) == ("7", "7", "3")
    assert (statement.page_number, statement.last_page) == ("2", "false")
    assert statement.related_account == AccountIdentification(other_id="99", currency="USD")
    assert statement.supplementary == ()
    assert first(records, "<LglSeqNb>3</LglSeqNb>").sequence_number == "3"


def test_a_balance_says_of_what_kind_it_is_and_when_it_can_be_used(records):
    balance = first(
        records,
        "<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry><SubTp><Cd>INTM</Cd></SubTp></Tp><Amt Ccy='EUR'>9</Amt>"
        "<CdtDbtInd>CRDT</CdtDbtInd><Avlbty><Dt><NbOfDays>1</NbOfDays></Dt><Amt Ccy='EUR'>4</Amt><CdtDbtInd>CRDT</CdtDbtInd>"
        "</Avlbty><Avlbty><Dt><ActlDt>2026-11-30</ActlDt></Dt><Amt Ccy='EUR'>5</Amt>"
        "<CdtDbtInd>CRDT</CdtDbtInd></Avlbty></Bal>",
    ).balances[0]
    assert balance.sub_type == "INTM"
    assert balance.availability == (
        Availability(days="1", amount="4", currency="EUR", credit_debit="CRDT"),
        Availability(date="2026-11-30", amount="5", currency="EUR", credit_debit="CRDT"),
    )


SINCE_04 = (
    "<Chrgs><TtlChrgsAndTaxAmt Ccy='EUR'>3</TtlChrgsAndTaxAmt><Rcrd><Amt Ccy='EUR'>2</Amt><CdtDbtInd>DBIT</CdtDbtInd>"
    "<ChrgInclInd>true</ChrgInclInd><Tp><Prtry><Id>FEE</Id></Prtry></Tp>"
    "<Br>DEBT</Br></Rcrd><Rcrd><Amt Ccy='EUR'>1</Amt></Rcrd></Chrgs>"
)
BEFORE_04 = (
    "<Chrgs><TtlChrgsAndTaxAmt Ccy='EUR'>3</TtlChrgsAndTaxAmt><Amt Ccy='EUR'>2</Amt><CdtDbtInd>DBIT</CdtDbtInd>"
    "<ChrgInclInd>true</ChrgInclInd><Tp><Cd>FEE</Cd></Tp><Br>DEBT</Br></Chrgs><Chrgs><Amt Ccy='EUR'>1</Amt></Chrgs>"
)


@pytest.mark.parametrize("charges", [SINCE_04, BEFORE_04], ids=["since .04", "before"])
def test_charges_are_told_one_by_one_in_either_generation(records, charges):
    expected = (
        Charge(amount="2", currency="EUR", credit_debit="DBIT", included="true", type="FEE", bearer="DEBT"),
        Charge(amount="1", currency="EUR"),
    )
    of_transaction = transaction(records, charges)
    of_entry = first(records, f"<Ntry><Amt Ccy='EUR'>5</Amt>{charges}</Ntry>")
    for holder in (of_transaction, of_entry):
        assert holder.charges == expected
        assert holder.supplementary == (("Chrgs/TtlChrgsAndTaxAmt", "3"), ("Chrgs/TtlChrgsAndTaxAmt@Ccy", "EUR"))


def test_amounts_in_other_currencies_with_their_exchange(records):
    told = transaction(
        records,
        "<AmtDtls><InstdAmt><Amt Ccy='USD'>6</Amt></InstdAmt><TxAmt><Amt Ccy='EUR'>5</Amt>"
        "</TxAmt><CntrValAmt><Amt Ccy='EUR'>5.10</Amt>"
        "<CcyXchg><SrcCcy>USD</SrcCcy><TrgtCcy>EUR</TrgtCcy><UnitCcy>EUR</UnitCcy>"
        "<XchgRate>1.18</XchgRate><CtrctId>K</CtrctId>"
        "</CcyXchg></CntrValAmt><AnncdPstngAmt><Amt Ccy='EUR'>4</Amt></AnncdPstngAmt>"
        "<PrtryAmt><Tp>IBS</Tp><Amt Ccy='EUR'>5</Amt></PrtryAmt></AmtDtls>",
    )
    assert (told.amount, told.currency) == ("5", "EUR")
    assert told.amounts == (
        DetailedAmount(kind="instructed", amount="6", currency="USD"),
        DetailedAmount(kind="transaction", amount="5", currency="EUR"),
        DetailedAmount(
            kind="counter_value",
            amount="5.10",
            currency="EUR",
            source_currency="USD",
            target_currency="EUR",
            unit_currency="EUR",
            exchange_rate="1.18",
        ),
        DetailedAmount(kind="announced", amount="4", currency="EUR"),
        DetailedAmount(kind="proprietary", amount="5", currency="EUR"),
    )
    assert told.supplementary == (("AmtDtls/CntrValAmt/CcyXchg/CtrctId", "K"), ("AmtDtls/PrtryAmt/Tp", "IBS"))


@pytest.mark.parametrize("bic", ["BIC", "BICFI"])
def test_both_parties_and_their_banks_are_told_whoever_the_counterparty_is(records, bic):
    told = transaction(
        records,
        "<RltdPties><Dbtr><Nm>We</Nm></Dbtr><DbtrAcct><Id><IBAN>NL91ABNA0417164300</IBAN>"
        "</Id></DbtrAcct><UltmtDbtr><Nm>Daughter</Nm>"
        "</UltmtDbtr><Cdtr><Pty><Nm>They</Nm></Pty></Cdtr><CdtrAcct><Id><Othr>"
        "<Id>1</Id></Othr></Id></CdtrAcct><UltmtCdtr><Pty><Nm>Shop"
        f"</Nm></Pty></UltmtCdtr></RltdPties><RltdAgts><DbtrAgt><FinInstnId>"
        f"<{bic}>ABNANL2A</{bic}></FinInstnId></DbtrAgt><CdtrAgt>"
        f"<FinInstnId><{bic}>MOCKDEFF</{bic}><Nm>Mock</Nm></FinInstnId></CdtrAgt></RltdAgts>",
    )
    assert (told.counterparty_name, told.counterparty_account, told.counterparty_agent_bic) == ("They", "1", "MOCKDEFF")
    assert told.debtor == Party(name="We", account="NL91ABNA0417164300", agent_bic="ABNANL2A")
    assert told.creditor == Party(name="They", account="1", agent_bic="MOCKDEFF")
    assert (told.ultimate_debtor, told.ultimate_creditor) == (Party(name="Daughter"), Party(name="Shop"))
    assert told.supplementary == (("RltdAgts/CdtrAgt/FinInstnId/Nm", "Mock"),)


def test_structured_remittance_references_purpose_and_code(records):
    told = transaction(
        records,
        "<Refs><TxId>T</TxId><MndtId>M</MndtId><ClrSysRef>C</ClrSysRef><ChqNb>8</ChqNb>"
        "</Refs><BkTxCd><Domn><Cd>PMNT</Cd></Domn><Prtry>"
        "<Cd>166</Cd><Issr>DK</Issr></Prtry></BkTxCd><Purp><Cd>SALA</Cd></Purp>"
        "<RmtInf><Ustrd>u</Ustrd><Strd><RfrdDocInf><Tp><CdOrPrtry>"
        "<Cd>CINV</Cd></CdOrPrtry></Tp><Nb>INV-1</Nb><RltdDt>2026-11-01</RltdDt>"
        "</RfrdDocInf><RfrdDocAmt><DuePyblAmt Ccy='EUR'>9"
        "</DuePyblAmt><RmtdAmt Ccy='EUR'>5</RmtdAmt></RfrdDocAmt><CdtrRefInf>"
        "<Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>RF18</Ref>"
        "</CdtrRefInf><AddtlRmtInf>a</AddtlRmtInf></Strd></RmtInf><AddtlTxInf>more</AddtlTxInf>",
    )
    assert told.structured_remittance == (
        StructuredRemittance(
            document_type="CINV",
            document_number="INV-1",
            document_date="2026-11-01",
            amount="5",
            currency="EUR",
            creditor_reference_type="SCOR",
            creditor_reference="RF18",
            additional_information=("a",),
        ),
    )
    assert told.remittance_information == ("u", "RF18")
    assert (told.transaction_id, told.mandate_id, told.clearing_reference, told.purpose) == ("T", "M", "C", "SALA")
    assert (told.bank_transaction_code, told.proprietary_transaction_code) == ("PMNT", "166")
    assert told.additional_information == "more"
    assert told.supplementary == (
        ("Refs/ChqNb", "8"),
        ("BkTxCd/Prtry/Issr", "DK"),
        ("RmtInf/Strd/RfrdDocAmt/DuePyblAmt", "9"),
        ("RmtInf/Strd/RfrdDocAmt/DuePyblAmt@Ccy", "EUR"),
    )


def test_every_reason_of_a_return_is_kept_with_its_texts(records):
    told = transaction(
        records,
        "<RtrInf><OrgnlBkTxCd><Prtry><Cd>X</Cd></Prtry></OrgnlBkTxCd><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>a</AddtlInf></RtrInf>"
        "<RtrInf><Rsn><Prtry>P1</Prtry></Rsn><AddtlInf>b</AddtlInf><AddtlInf>c</AddtlInf></RtrInf>",
        "CRDT",
    )
    assert told.return_reasons == (Reason(code="AC04", text="a"), Reason(code="P1", text="b c"))
    assert (told.return_reason, told.return_reason_text) == ("AC04", "a")
    assert told.supplementary == (("RtrInf/OrgnlBkTxCd/Prtry/Cd", "X"),)


def test_transactions_of_several_detail_blocks_stand_in_one_entry_in_their_order(records):
    entry = first(
        records,
        "<Ntry><Amt Ccy='EUR'>9</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd>"
        "<NtryDtls><Btch><MsgId>A</MsgId></Btch><TxDtls><Refs><EndToEndId>1</EndToEndId></Refs></TxDtls>"
        "<TxDtls><Refs><EndToEndId>2</EndToEndId></Refs></TxDtls></NtryDtls>"
        "<NtryDtls><Btch><MsgId>B</MsgId></Btch><TxDtls><Refs><EndToEndId>3</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>",
    )
    assert entry.reversal
    assert [item.end_to_end_id for item in entry.transactions] == ["1", "2", "3"]
    assert entry.batch_message_id == "A"
    assert entry.supplementary == (("NtryDtls[2]/Btch/MsgId", "B"),)


def test_an_indicator_of_another_spelling_is_no_reversal_and_is_kept(records):
    entry = first(records, "<Ntry><Amt Ccy='EUR'>9</Amt><RvslInd>yes</RvslInd></Ntry>")
    assert not entry.reversal
    assert entry.supplementary == (("RvslInd", "yes"),)


def test_a_group_header_after_its_statements_is_kept(records):
    told = records(b"<Document><BkToCstmrStmt><Stmt/><GrpHdr><MsgId>LATE</MsgId></GrpHdr></BkToCstmrStmt></Document>")
    assert told[-1] == Remainder(of="document", of_id=None, supplementary=(("GrpHdr/MsgId", "LATE"),))
