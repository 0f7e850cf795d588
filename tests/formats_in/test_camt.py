"""camt.052, .053, .054: statements, entries and transactions with the values the bank wrote."""

import re

import pytest

from formats.errors import Unparsable
from formats.report import (
    AccountIdentification,
    Balance,
    DetailedAmount,
    Document,
    Entry,
    EntryTransaction,
    Party,
    Reason,
    Statement,
    StructuredRemittance,
)

OWN, OTHER = "DE75512108001245126199", "NL91ABNA0417164300"


def entries(told):
    return [record for record in told if isinstance(record, Entry)]


def statements(told):
    return [record for record in told if isinstance(record, Statement)]


def test_statement_with_its_balances_and_count_stands_before_its_entries(records, sample):
    told = records(sample("camt053.xml"))
    assert told[0] == Document(message="camt.053.001.08", message_id="STMT-MSG-1", creation_date_time="2026-11-21T02:00:00Z")
    assert told[1] == Statement(
        statement_id="2026-222",
        account=AccountIdentification(iban="DE75512108001245126199", currency="EUR"),
        balances=(
            Balance(type="OPBD", amount="1000.00", currency="EUR", credit_debit="CRDT", date="2026-11-20"),
            Balance(type="CLBD", amount="60.00", currency="EUR", credit_debit="DBIT", date="2026-11-20T23:59:59Z"),
            Balance(type="HOUSE", amount="0", currency="EUR", credit_debit="CRDT", date="2026-11-20"),
        ),
        entry_count=3,
        sequence_number="222",
        creation_date_time="2026-11-21T01:59:00Z",
        period_from="2026-11-20T00:00:00Z",
        period_until="2026-11-20T23:59:59Z",
        electronic_sequence_number="222",
        supplementary=(("Acct/Ownr/Nm", "Acme Tools"),),
    )
    assert [record.kind for record in told[2:]] == ["entry", "entry", "entry", "statement"]
    assert told[-1] == Statement(statement_id="EMPTY", account=AccountIdentification(other_id="0815"))


def test_a_balance_without_an_amount_has_none(records, sample):
    told = records(re.sub(rb'<Amt Ccy="EUR">1000.00</Amt>', b"", sample("camt053.xml"), count=1))
    assert [balance.amount for balance in statements(told)[0].balances] == [None, "60.00", "0"]


def test_batch_entry_with_two_transactions(records, sample):
    assert entries(records(sample("camt053.xml")))[0] == Entry(
        statement_id="2026-222",
        amount="1500.00",
        currency="EUR",
        credit_debit="DBIT",
        status="BOOK",
        booking_date="2026-11-20",
        value_date="2026-11-20",
        account_servicer_reference="ASR-1",
        bank_transaction_code="PMNT-ICDT-ESCT",
        additional_information="Batch of two",
        batch_message_id="OUT-0001",
        batch_payment_information_id="BLOCK-1",
        batch_count="2",
        entry_reference="1",
        proprietary_transaction_code="NTRF+191",
        transactions=(
            EntryTransaction(
                end_to_end_id="E-1",
                instruction_id="I-1",
                message_id="OUT-0001",
                amount="1000.00",
                currency="EUR",
                credit_debit="DBIT",
                counterparty_name="Müller & Söhne",
                counterparty_account="NL91ABNA0417164300",
                remittance_information=("Invoice 1", "Invoice 2", "RF18539007547034"),
                payment_information_id="BLOCK-1",
                uetr="2f6e0c6e-7b1e-4c1a-9c59-3b0b1a2c3d4e",
                account_servicer_reference="ASR-1-1",
                debtor=Party(name="Acme Tools", account=OWN),
                creditor=Party(name="Müller & Söhne", account=OTHER),
                structured_remittance=(
                    StructuredRemittance(creditor_reference_type="SCOR", creditor_reference="RF18539007547034"),
                ),
            ),
            EntryTransaction(
                end_to_end_id="E-2",
                amount="500.00",
                currency="EUR",
                counterparty_name="End Beneficiary",
                counterparty_account="12-34567",
                amounts=(
                    DetailedAmount(kind="instructed", amount="550.00", currency="USD"),
                    DetailedAmount(kind="transaction", amount="500.00", currency="EUR"),
                ),
                creditor=Party(account="12-34567"),
                ultimate_creditor=Party(name="End Beneficiary"),
            ),
        ),
    )


def test_return_names_the_original_beneficiary_and_its_reason(records, sample):
    assert entries(records(sample("camt053.xml")))[1] == Entry(
        statement_id="2026-222",
        amount="500.00",
        currency="EUR",
        credit_debit="CRDT",
        status="BOOK",
        booking_date="2026-11-20T15:00:00Z",
        value_date="2026-11-20",
        bank_transaction_code="NRTI+159",
        transactions=(
            EntryTransaction(
                end_to_end_id="E-2",
                counterparty_name="Gone Ltd",
                counterparty_account="FR7630006000011234567890189",
                return_reason="AC04",
                return_reason_text="closed in May",
                return_reasons=(Reason(code="AC04", text="closed in May"),),
                debtor=Party(name="Acme Tools"),
                creditor=Party(name="Gone Ltd", account="FR7630006000011234567890189"),
            ),
        ),
    )


def test_reversal_without_details(records, sample):
    entry = entries(records(sample("camt053.xml")))[2]
    assert (entry.reversal, entry.credit_debit, entry.status, entry.transactions) == (True, "DBIT", "PDNG", ())
    assert entry.booking_date is None


def test_first_generation_with_transactions_right_under_the_entry(records, sample):
    told = records(sample("camt054_first_generation.xml"))
    assert told[1].account == AccountIdentification(other_id="5000-1")
    assert told[2] == Entry(
        statement_id="NTF-1",
        amount="700.50",
        currency="SEK",
        credit_debit="CRDT",
        status="BOOK",
        booking_date="2008-02-01",
        additional_information="after",
        transactions=(
            EntryTransaction(
                end_to_end_id="A",
                amount="700.50",
                currency="SEK",
                counterparty_name="Payer",
                counterparty_account="123",
                remittance_information=("778899",),
                return_reason="OLD1",
                return_reason_text="why",
                return_reasons=(Reason(code="OLD1", text="why"),),
                amounts=(DetailedAmount(kind="transaction", amount="700.50", currency="SEK"),),
                debtor=Party(name="Payer", account="123"),
                structured_remittance=(StructuredRemittance(creditor_reference="778899"),),
            ),
        ),
    )


def _party(role: str, name: str, iban: str) -> str:
    return f"<{role}><Nm>{name}</Nm></{role}><{role}Acct><Id><IBAN>{iban}</IBAN></Id></{role}Acct>"


@pytest.mark.parametrize(
    ("direction", "mark", "parties", "name"),
    [
        ("CRDT", "", _party("Dbtr", "payer", OTHER) + _party("Cdtr", "we", OWN), "payer"),
        ("DBIT", "", _party("Dbtr", "we", OWN) + _party("Cdtr", "payee", OTHER), "payee"),
        ("CRDT", "return", _party("Dbtr", "we", OWN) + _party("Cdtr", "payee", OTHER), "payee"),
        ("CRDT", "return", _party("Dbtr", "payee", OTHER) + _party("Cdtr", "we", OWN), "payee"),
        ("CRDT", "return", _party("Dbtr", "sender", OTHER), "sender"),
        ("CRDT", "return", _party("Cdtr", "payee", OTHER), "payee"),
        ("DBIT", "reversal", _party("Dbtr", "payer", OTHER) + _party("Cdtr", "we", OWN), "payer"),
        ("DBIT", "reversal", _party("Cdtr", "payer", OTHER), "payer"),
        ("CRDT", "", _party("Cdtr", "we", OWN), None),
        ("", "", _party("Dbtr", "payer", OTHER), None),
    ],
)
def test_counterparty_is_the_other_side_of_the_original_payment(records, direction, mark, parties, name):
    returned = "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>" if mark == "return" else ""
    reversal = "<RvslInd>true</RvslInd>" if mark == "reversal" else ""
    indicator = f"<CdtDbtInd>{direction}</CdtDbtInd>" if direction else ""
    document = (
        f"<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.02'><BkToCstmrStmt><Stmt><Id>1</Id>"
        f"<Acct><Id><IBAN>{OWN}</IBAN></Id></Acct><Ntry><Amt Ccy='EUR'>1</Amt>{indicator}{reversal}"
        f"<NtryDtls><TxDtls><RltdPties>{parties}</RltdPties>{returned}</TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"
    )
    (transaction,) = entries(records(document.encode()))[0].transactions
    assert transaction.counterparty_name == name
    assert transaction.counterparty_account == (OTHER if name else None)


def test_many_transactions_of_one_entry_are_all_kept_with_the_entrys_own_fields(records, sample):
    data = sample("camt053.xml")
    start = data.index(b"<TxDtls>")
    end = data.index(b"</TxDtls>") + len(b"</TxDtls>")
    entry = entries(records(data[:end] + data[start:end] * 100 + data[end:]))[0]
    assert len(entry.transactions) == 102
    assert entry.transactions[0] == entry.transactions[100]
    assert (entry.amount, entry.account_servicer_reference, entry.batch_count) == ("1500.00", "ASR-1", "2")
    assert entry.additional_information == "Batch of two"


def test_one_detail_block_for_each_transaction_frees_nothing_that_is_wanted(records, sample):
    data = sample("camt054_first_generation.xml")
    start, end = data.index(b"<TxDtls>"), data.index(b"</TxDtls>") + len(b"</TxDtls>")
    wrapped = b"<NtryDtls>" + data[start:end] + b"</NtryDtls>"
    for repeated in (data[start:end] * 40, wrapped * 40):
        (entry,) = entries(records(data[:start] + repeated + data[end:]))
        assert len(set(entry.transactions)) == 1
        assert len(entry.transactions) == 40
        assert (entry.amount, entry.credit_debit, entry.booking_date) == ("700.50", "CRDT", "2008-02-01")
        assert entry.additional_information == "after"


@pytest.mark.parametrize("disguise", [b"<!-- <Ntry> -->", b"<?note <Ntry> ?>", b"<Note><![CDATA[<Ntry>]]></Note>"])
def test_entry_tags_that_are_no_tags_are_not_counted(records, sample, disguise):
    data = sample("camt053.xml").replace(b"<NtryRef>", disguise + b"<NtryRef>", 1)
    assert [statement.entry_count for statement in statements(records(data))] == [3, 0]


def test_balances_after_the_entries_stand_in_the_statement_all_the_same(records, sample):
    data = sample("camt053.xml")
    balances = b"".join(re.findall(rb"<Bal>.*?</Bal>", data, re.DOTALL))
    moved = re.sub(rb"<Bal>.*</Bal>", b"", data, flags=re.DOTALL).replace(b"</Stmt>", balances + b"</Stmt>", 1)
    assert records(moved)[1:] == records(data)[1:]


def test_prefixes_and_attributes_do_not_change_the_count(records, sample):
    prefixed = re.sub(rb"<(/?)([A-Z])", rb"<\1b:\2", sample("camt053.xml")).replace(b"xmlns=", b"xmlns:b=")
    assert records(prefixed) == records(sample("camt053.xml"))


def test_all_bank_accounts_of_a_report_are_statements_of_their_own(records, sample):
    data = sample("camt053.xml")
    as_report = data.replace(b"camt.053", b"camt.052").replace(b"BkToCstmrStmt", b"BkToCstmrAcctRpt").replace(b"Stmt>", b"Rpt>")
    assert records(as_report)[1:] == records(data)[1:]


@pytest.mark.parametrize("amount", [b"", b"<Amt Ccy='EUR'>-5.00</Amt>", b"<Amt Ccy='EUR'>1,50</Amt>", b"<Amt>a</Amt>"])
def test_an_entry_without_a_usable_amount_is_refused_with_its_line(records, sample, amount):
    data = sample("camt053.xml").replace(
        b'<Amt Ccy="EUR">60.00</Amt>\n        <CdtDbtInd>DBIT</CdtDbtInd>\n        <Rvs', amount + b"<Rvs"
    )
    with pytest.raises(Unparsable, match="amount") as caught:
        records(data)
    opening = data.rindex(b"<Ntry>", 0, data.index(b"<RvslInd>"))
    assert caught.value.line == data[:opening].count(b"\n") + 1


def test_an_entry_without_an_amount_has_that_of_its_transactions(records, sample):
    data = sample("camt054_first_generation.xml")
    without = data.replace(b'<Amt Ccy="SEK">700.50</Amt>\n        <CdtDbtInd>CRDT</CdtDbtInd>', b"", 1)
    (entry,) = entries(records(without))
    assert (entry.amount, entry.currency) == ("700.50", "SEK")


@pytest.mark.parametrize(
    ("element", "problem"),
    [
        (b"<Ntry><Amt>1</Amt></Ntry>", "outside"),
        (b"<TxDtls/>", "outside an entry"),
        (b"<Stmt><Stmt/></Stmt>", "inside a statement"),
    ],
)
def test_nothing_that_looks_like_news_is_passed_over(records, sample, element, problem):
    with pytest.raises(Unparsable, match=problem):
        records(sample("camt053.xml").replace(b"</BkToCstmrStmt>", element + b"</BkToCstmrStmt>"))
