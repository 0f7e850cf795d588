"""What a caller is shown of a statement and its entries beyond the figures: charges, exchange, and all that has no field."""

from datetime import UTC, datetime

from formats.report import (
    AccountIdentification,
    Charge,
    DetailedAmount,
    Entry,
    EntryTransaction,
    Party,
    Reason,
    Statement,
    StructuredRemittance,
)
from gateway.rpc.present_statements import entry_message, statement_message
from gateway.store.records import EntryRow, StatementRow


def test_an_entry_is_shown_with_its_charges_exchange_and_what_has_no_field() -> None:
    transaction = EntryTransaction(
        counterparty_agent_bic="MOCKDEFF",
        purpose="SALA",
        return_reasons=(Reason(code="AC04"), Reason(text="no code")),
        ultimate_creditor=Party(name="Shop"),
        charges=(Charge(amount="2", currency="EUR", included="true"),),
        amounts=(DetailedAmount(kind="instructed", amount="6", currency="USD", exchange_rate="1.2"),),
        structured_remittance=(StructuredRemittance(document_number="INV-1", additional_information=("a",)),),
        supplementary=(("Refs/ChqNb", "8"),),
    )
    entry = Entry(
        statement_id="S",
        amount="5",
        currency="EUR",
        credit_debit="DBIT",
        additional_information="words",
        entry_reference="R",
        charges=(Charge(type="FEE"),),
        supplementary=(("@Kind", "k"),),
        transactions=(transaction,),
    )
    shown = entry_message(9, EntryRow(position=1, entry=entry, payment_ids=(None,)))
    assert (shown.additional_information, shown.entry_reference, shown.charges[0].type) == ("words", "R", "FEE")
    assert dict(shown.supplementary) == {"@Kind": "k"}
    (told,) = shown.transactions
    assert (told.counterparty_agent_bic, told.purpose, list(told.return_reasons)) == ("MOCKDEFF", "SALA", ["AC04"])
    assert (told.ultimate_debtor_name, told.ultimate_creditor_name) == ("", "Shop")
    assert (told.charges[0].amount, told.charges[0].included) == ("2", "true")
    assert (told.amounts[0].kind, told.amounts[0].exchange_rate) == ("instructed", "1.2")
    assert told.structured_remittance[0].document_number == "INV-1"
    assert list(told.structured_remittance[0].additional_information) == ["a"]
    assert dict(told.supplementary) == {"Refs/ChqNb": "8"}


def test_a_statement_is_shown_with_its_place_among_others_and_what_has_no_field() -> None:
    statement = Statement(
        statement_id="S",
        account=AccountIdentification(iban="DE89370400440532013000"),
        additional_information="words",
        legal_sequence_number="3",
        page_number="2",
        last_page="false",
        related_account=AccountIdentification(other_id="99"),
        supplementary=(("Acct/Ownr/Nm", "We"),),
    )
    row = StatementRow(
        statement_row_id=9,
        connection_id="house",
        inbound_file_id=4,
        position=0,
        message="camt.053.001.08",
        received_at=datetime(2026, 11, 26, tzinfo=UTC),
        statement=statement,
    )
    shown = statement_message(row)
    assert (shown.additional_information, shown.legal_sequence_number) == ("words", "3")
    assert (shown.page_number, shown.last_page, shown.related_account.other_id) == ("2", "false", "99")
    assert dict(shown.supplementary) == {"Acct/Ownr/Nm": "We"}
