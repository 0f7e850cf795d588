"""MT940 and MT942: balances, statement lines and every style of field 86, with the values the bank wrote."""

import io

import pytest

from formats.bank import bank_named
from formats.errors import Unparsable
from formats.reader import parse
from formats.report import AccountIdentification, Balance, Document, Entry, EntryTransaction, Statement

GERMAN_STATEMENT = Statement(
    statement_id="STARTUMS",
    account=AccountIdentification(other_id="51210800/1245126199", currency="EUR"),
    balances=(
        Balance(type="OPBD", amount="1000.00", currency="EUR", credit_debit="CRDT", date="2026-12-29"),
        Balance(type="CLBD", amount="856.50", currency="EUR", credit_debit="CRDT", date="2026-12-30"),
        Balance(type="CLAV", amount="856.50", currency="EUR", credit_debit="CRDT", date="2026-12-31"),
        Balance(type="FWAV", amount="1", currency="EUR", credit_debit="DBIT", date="2027-01-04"),
    ),
    entry_count=3,
    sequence_number="00031/001",
    additional_information="Bitte beachten Sie unsere neuen Bedingungen",
)
GERMAN_ENTRIES = [
    Entry(
        statement_id="STARTUMS",
        amount="120.5",
        currency="EUR",
        credit_debit="DBIT",
        status="BOOK",
        booking_date="2027-01-02",
        value_date="2026-12-30",
        account_servicer_reference="BANK-1",
        bank_transaction_code="NTRF+177",
        supplementary=((":61:/3", "R"),),
        additional_information="SEPA UEBERWEISUNG",
        transactions=(
            EntryTransaction(
                end_to_end_id="E-1 2026/001",
                amount="120.5",
                currency="EUR",
                credit_debit="DBIT",
                counterparty_name="Müller und Söhne Maschinenbau GmbH",
                counterparty_account="NL91ABNA0417164300",
                remittance_information=("Rechnung 4711 vom 20.12.2026",),
                account_servicer_reference="BANK-1",
                customer_reference="BLOCK-1",
                counterparty_agent_bic="ABNANL2A",
                supplementary=((":86:/?10", "9310"), (":86:/?34", "000")),
            ),
        ),
    ),
    Entry(
        statement_id="STARTUMS",
        amount="7",
        currency="EUR",
        credit_debit="CRDT",
        reversal=True,
        status="BOOK",
        value_date="2026-12-30",
        bank_transaction_code="NSTO+899",
        additional_information="STORNO",
        transactions=(
            EntryTransaction(
                amount="7",
                currency="EUR",
                credit_debit="CRDT",
                remittance_information=("Entgelt November", "siehe Schreiben"),
            ),
        ),
    ),
    Entry(
        statement_id="STARTUMS",
        amount="30.00",
        currency="EUR",
        credit_debit="DBIT",
        reversal=True,
        status="BOOK",
        booking_date="2026-12-31",
        value_date="2026-12-30",
        account_servicer_reference="BANK-3",
        bank_transaction_code="NTRF",
        supplementary=((":61:/3", "R"),),
        transactions=(
            EntryTransaction(
                amount="30.00",
                currency="EUR",
                credit_debit="DBIT",
                account_servicer_reference="BANK-3",
                customer_reference="I-9",
            ),
        ),
    ),
]


@pytest.mark.parametrize("encoding", ["utf-8", "iso8859-1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_german_structure_in_either_encoding_and_line_ending(records, sample, encoding, line_end):
    text = sample("mt940_german.sta").decode().replace("\n", line_end)
    assert records(text.encode(encoding)) == [Document(message="MT940", message_id="STARTUMS"), GERMAN_STATEMENT, *GERMAN_ENTRIES]


def test_code_words_in_swift_blocks_and_two_pages(records, sample):
    told = records(sample("mt940_coded.sta"))
    assert [record.kind for record in told] == ["document", "statement", "entry", "entry", "entry", "statement"]
    assert told[1] == Statement(
        statement_id="C-20261120-1",
        account=AccountIdentification(iban="NL91ABNA0417164300", currency="EUR"),
        balances=(
            Balance(type="60M", amount="10.00", currency="EUR", credit_debit="DBIT", date="2026-11-19"),
            Balance(type="62M", amount="56.00", currency="EUR", credit_debit="DBIT", date="2026-11-20"),
        ),
        entry_count=3,
        sequence_number="324",
        supplementary=(
            ("{1:", "{1:F01EXMPNL2AXXXX0000000000}{2:I940EXMPNL2AXXXXN}{4:"),
            ("{5:", "{5:{CHK:0123456789AB}}"),
        ),
    )
    transfer, returned, card = (record.transactions[0] for record in told[2:5])
    assert transfer.end_to_end_id == "E-1"
    assert (transfer.counterparty_name, transfer.counterparty_account) == ("ACME TOOLS", "DE75512108001245126199")
    assert transfer.remittance_information == ("Invoice 1",)
    assert (returned.return_reason, returned.end_to_end_id) == ("AC04", "E-2")
    assert returned.remittance_information == ("back-again",), "a lone dash inside the text is text"
    assert (card.counterparty_name, card.remittance_information) == ("J. DOE", ("Gift",))
    assert told[2].additional_information == "/TRCD/00100/"
    assert [balance.type for balance in told[5].balances] == ["OPBD", "CLBD"]


def test_free_text_after_the_banks_own_heading_with_an_impossible_date(records, sample):
    told = records(sample("mt940_free.sta"))
    assert told[1].account == AccountIdentification(iban="SE4550000000058398257466", currency="SEK")
    assert [balance.amount for balance in told[1].balances] == ["0", "250"]
    assert told[2] == Entry(
        statement_id="FREE-1",
        amount="250",
        currency="SEK",
        credit_debit="CRDT",
        status="BOOK",
        value_date=None,
        account_servicer_reference="B-1",
        bank_transaction_code="NMSC",
        additional_information="paid at the desk",
        supplementary=((":61:/1", "260230"),),
        transactions=(
            EntryTransaction(
                amount="250",
                currency="SEK",
                credit_debit="CRDT",
                remittance_information=("BANKGIRO 5050-1055", "OCR 1234567890"),
                account_servicer_reference="B-1",
                customer_reference="0042",
            ),
        ),
    )


def test_interim_report(records, sample):
    told = records(sample("mt942.sta"))
    assert told[0] == Document(message="MT942", message_id="INTRA-1", creation_date_time="2026-11-20T11:30:00+00:00")
    assert told[1].balances == ()
    assert told[1].entry_count == 2
    assert [(entry.credit_debit, entry.status, entry.currency) for entry in told[2:]] == [
        ("CRDT", None, "GBP"),
        ("DBIT", "PDNG", "GBP"),
    ]


@pytest.mark.parametrize(
    ("line", "amount", "credit_debit", "reversal", "booked"),
    [
        ("261120C1,", "1", "CRDT", False, None),
        ("261120D,5", "0.5", "DBIT", False, None),
        ("261120RC1,25NTRF", "1.25", "DBIT", True, None),
        ("261120RD1,25NTRF", "1.25", "CRDT", True, None),
        ("261120    DD12,39NMSCNONREF//", "12.39", "DBIT", False, None),
        ("2612310101CR1,NTRFX", "1", "CRDT", False, "2027-01-01"),
        ("2701011231C1,NTRFX", "1", "CRDT", False, "2026-12-31"),
        ("2802280229C1,NTRFX", "1", "CRDT", False, "2028-02-29"),
        ("9912310101C1,NTRFX", "1", "CRDT", False, "2000-01-01"),
    ],
)
def test_statement_lines(records, line, amount, credit_debit, reversal, booked):
    told = records(f":20:A\n:25:1\n:60F:C261120EUR0,\n:61:{line}\n:62F:C261120EUR0,\n".encode())
    entry = told[-1]
    assert (entry.amount, entry.credit_debit, entry.reversal, entry.booking_date) == (amount, credit_debit, reversal, booked)


UNCLOSED = b":20:B\n:25:1\n:60F:C261120EUR0,\n:61:2611201120C1,NTRFX\n:86:gift\n"
CLOSED = b":20:A\n:25:1\n:60F:C261120EUR0,\n:62F:C261120EUR0,\n-\n"


def test_a_statement_without_closing_balance_is_shown_where_asked_and_refused_where_booked(records):
    told = list(parse(io.BytesIO(CLOSED + UNCLOSED), strict=False))
    assert [record.kind for record in told] == ["document", "statement", "document", "statement", "entry"]
    assert (told[0].schema_valid, told[0].schema_problems) == (None, ())
    assert (told[2].message_id, told[2].schema_valid) == ("B", False)
    assert told[2].schema_problems == (
        "line 6: a statement without a closing balance (:62F: or :62M:); the file seems cut short",
    )
    assert told[4].amount == "1"
    with pytest.raises(Unparsable, match="closing balance"):
        records(CLOSED + UNCLOSED)
    with pytest.raises(Unparsable, match="closing balance"):
        list(bank_named("iso20022").parse(io.BytesIO(UNCLOSED)))


def test_what_follows_an_unclosed_statement_is_told_as_whole_again():
    told = [record for record in parse(io.BytesIO(UNCLOSED + CLOSED), strict=False) if isinstance(record, Document)]
    assert [(document.message_id, document.schema_valid) for document in told] == [("B", False), ("A", None)]


def test_a_blank_between_amount_and_type_hides_neither_type_nor_reference(records):
    line = b":20:A\n:25:1\n:60F:C261120EUR0,\n:61:2611201120C50,00 NTRFKREF+//BANK-1\n:62F:C261120EUR50,\n"
    entry = records(line)[-1]
    assert (entry.amount, entry.bank_transaction_code, entry.account_servicer_reference) == ("50.00", "NTRF", "BANK-1")
    assert entry.transactions[0].customer_reference is None


def test_a_byte_order_mark_before_the_first_field_is_passed_over(records):
    assert records(b"\xef\xbb\xbf" + CLOSED) == records(CLOSED)


def test_an_iban_alone_in_the_supplementary_details_is_the_counterpartys_account(records):
    text = ":20:A\n:25:1\n:60F:C261120EUR0,\n:61:261120D1,N102EREF\n{}\n:86:/EREF/E-1//BENM//NAME/J. DOE\n:62F:C261120EUR1,\n"
    found = {
        account: records(text.format(account).encode())[-1].transactions[0].counterparty_account
        for account in ("NL91ABNA0417164300", "P001234567")
    }
    assert found == {"NL91ABNA0417164300": "NL91ABNA0417164300", "P001234567": None}


def test_a_reference_ends_where_the_bank_repeats_the_fields_in_words(records):
    purpose = ":86:105?20EREF+12/34-----L11?2156 BIC: COBADEFFXXX ?22ABWA: Amt ?23SVWZ+Steuer"
    entry = records(f":20:A\n:25:1\n:60F:C261120EUR0,\n:61:261120D1,NMSC\n{purpose}\n:62F:C261120EUR1,\n".encode())[-1]
    assert entry.transactions[0].end_to_end_id == "12/34-----L11 56"
    assert entry.transactions[0].remittance_information == ("Steuer",)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        (":20:A\n:25:1\n:60F:C261120EUR0,\n:61:nonsense\n:62F:C261120EUR0,\n", 4, ":61:"),
        (":20:A\n:25:1\n:60F:C261120EUR0,\n:61:2611201120C1.234,56NTRFX\n:62F:C261120EUR0,\n", 4, ":61:"),
        (":20:A\n:25:1\n:60F:C261120EUR0,\n:61:2611201120C1,234,56NTRFX\n:62F:C261120EUR0,\n", 4, ":61:"),
        (":20:A\n:25:1\n:60F:C261120EUR\n:62F:C261120EUR0,\n", 3, ":60F:"),
        (":20:A\n:25:1\n:60F:C261120EUR0,\n:61:2611201120C1,NTRFX\n", 1, "closing balance"),
        (":20:A\n:28C:1\n:60F:C261120EUR0,\n:62F:C261120EUR0,\n", 1, "account"),
        ("{1:F01A}{2:I940B}{4:\n:20:A\n:25:1\n:60F:C261120EUR0,\n:62F:C261120EUR0,\n", 1, "not closed"),
        ("{1:F01A}{2:I103B}{4:\n:20:A\n:32A:260101EUR1,\n-}", 1, "MT103"),
        (":20:A\n:12:940\n:25:1\n", 1, "neither"),
        (":61:2611201120C1,NTRFX\n:20:A\n:25:1\n:60F:C261120EUR0,\n:62F:C261120EUR0,\n", 1, "before any statement"),
    ],
)
def test_what_is_no_whole_statement_is_refused_with_its_line(records, text, line, problem):
    with pytest.raises(Unparsable, match=problem) as caught:
        records(text.encode())
    assert caught.value.line == line


def test_a_file_of_another_kind_behind_a_statement_is_refused(records, sample):
    other = b"{1:F01EXMPNL2AXXXX0000000000}{2:I103EXMPNL2AXXXXN}{4:\n:20:X\n-}\n"
    with pytest.raises(Unparsable, match="MT103"):
        records(sample("mt940_coded.sta") + other)


def test_what_has_no_field_is_kept_under_its_tag(records):
    told = records(
        b"HEAD 1\n:20:A\n:21:REL\n:25:1\n:28C:1/1\nmore\n:60F:C261120EUR0,\n:61:2611201120C1,NTRFOWNER//B\n"
        b":86:166?00TEXT?20EREF+E-1?21MREF+M-1?22CRED+C-1?23CRED+C-2?24PURP+SALA?25IBAN+NL91ABNA0417164300?31DE1?34011\n"
        b":61:2611201120D1,NTRFNONREF\n:86:/XX/1/EREF/E/CSID/S/CSID/T/CNTP/NL1/BICCNL2A/N/TOWN/REMI/STRD/CUR/R/PREF/P/KREF/K/\n"
        b":62F:C261120EUR0,\n:NS:after\n-\nTAIL\n"
    )
    assert told[1].supplementary == (
        ("heading", "HEAD 1"),
        (":21:", "REL"),
        (":28C:/more", "more"),
        (":NS:", "after"),
        ("heading[2]", "TAIL"),
    )
    german, coded = (record.transactions[0] for record in told[2:])
    assert (german.mandate_id, german.purpose, german.counterparty_account) == ("M-1", "SALA", "DE1")
    assert dict(german.supplementary) == {
        ":86:/?34": "011",
        ":86:/CRED+": "C-1",
        ":86:/CRED+[2]": "C-2",
        ":86:/IBAN+": "NL91ABNA0417164300",
    }
    assert coded.counterparty_agent_bic == "BICCNL2A"
    assert dict(coded.supplementary) == {
        ":86:": "/XX/1",
        ":86:/CSID/": "S",
        ":86:/CSID/[2]": "T",
        ":86:/CNTP/": "TOWN",
        ":86:/REMI/": "STRD/CUR",
        ":86:/KREF/": "K",
    }
