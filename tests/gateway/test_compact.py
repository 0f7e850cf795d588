"""Records are spooled and stored without the names of what they do not say, and come back as they were."""

import msgspec

from formats.report import AccountIdentification, Entry, EntryTransaction, Party, Remainder, Statement
from gateway.compact import compact
from gateway.intake import _Spool
from gateway.store.codec import entry_column, entry_of

BARE = Entry(statement_id=None, amount="1", currency=None, credit_debit=None, transactions=(EntryTransaction(end_to_end_id="E"),))
FULL = Entry(
    statement_id="S",
    amount="1",
    currency="EUR",
    credit_debit="DBIT",
    supplementary=(("Amt@x", "y"),),
    transactions=(EntryTransaction(debtor=Party(name="We"), supplementary=(("Refs/ChqNb", "8"),)),),
)


def test_records_come_back_from_the_spool_and_the_store_as_they_were() -> None:
    records = [
        Statement(statement_id="S", account=AccountIdentification(iban="I")),
        BARE,
        FULL,
        Remainder(of="statement", of_id=None, supplementary=(("a", "b"),)),
    ]
    spool = _Spool()
    for record in records:
        spool.add(record)
    assert list(spool.records()) == records
    assert [entry_of(entry_column(entry)) for entry in (BARE, FULL)] == [BARE, FULL]


def test_what_a_record_does_not_say_costs_nothing() -> None:
    encoded = msgspec.json.encode(msgspec.convert(BARE, compact(Entry), from_attributes=True))
    assert msgspec.json.decode(encoded) == {
        "statement_id": None,
        "amount": "1",
        "currency": None,
        "credit_debit": None,
        "transactions": [{"end_to_end_id": "E"}],
    }
