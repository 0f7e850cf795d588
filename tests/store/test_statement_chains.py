"""Discrepancies of a chain of statements: one per fact, kept as the statements that are there now say."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from formats.report import AccountIdentification, Balance, Entry, Statement
from gateway.continuity import Reading, StatementFacts
from gateway.store.reconciled import chain_key
from gateway.store.records import (
    BY_ITSELF,
    ChainsReconciled,
    Discrepancy,
    EntryRow,
    NewDiscrepancy,
    NewStatement,
)
from gateway.store.store import ChainJudge, Store
from tests.store.support.make import CONNECTION, make_older


def a_statement(number: int, amount: str = "10.00", iban: str = "NL41MOCK0000000001") -> Statement:
    return Statement(
        statement_id=f"S{number}",
        account=AccountIdentification(iban=iban, currency="EUR"),
        balances=(Balance(type="CLBD", amount=amount, currency="EUR", credit_debit="CRDT", date="2026-11-25"),),
        entry_count=1,
        sequence_number=str(number),
    )


def facts_of(statement: Statement) -> StatementFacts:
    found = Reading("camt.053.001.08", statement).facts()
    assert found is not None
    return found


async def put(store: Store, statement: Statement, position: int = 0, connection_id: str = CONNECTION) -> int:
    writer = store.document_writer("inbound")
    data = f"{connection_id} {statement.statement_id}".encode()
    writer.write(data)
    document_id, sha256, size = writer.finish()
    assert sha256 == hashlib.sha256(data).hexdigest()
    file, _ = await store.keep_inbound(connection_id, "s.xml", document_id, sha256, size)
    return await store.put_statement(
        NewStatement(
            inbound_file_id=file.inbound_file_id,
            connection_id=connection_id,
            position=position,
            message="camt.053.001.08",
            statement=statement,
        )
    )


def missing(connection_id: str = CONNECTION, *, summary: str = "") -> ChainJudge:
    """A judge of its own, so that the store is tested and not the rules: each number up to the highest must be there."""

    def judge(chain: str, statements: Sequence[StatementFacts]) -> list[NewDiscrepancy]:
        numbers = {one.number for one in statements}
        return [
            NewDiscrepancy(
                key=f"{chain_key(connection_id, chain)}{number}",
                connection_id=connection_id,
                kind="statement_gap",
                summary_en=summary or f"{number} is missing",
                summary_zh="缺",
                evidence="{}",
            )
            for number in range(1, max((number or 0 for number in numbers), default=0))
            if number not in numbers
        ]

    return judge


async def come(store: Store, number: int, **given: str) -> ChainsReconciled:
    statement = a_statement(number, **given)
    row = await put(store, statement)
    return await store.reconcile_statements(CONNECTION, [(row, facts_of(statement))], missing(), "mended")


async def told(store: Store) -> dict[str, Discrepancy]:
    found, _ = await store.list_discrepancies(include_resolved=True, limit=99)
    return {one.summary_en: one for one in found}


async def test_what_is_missing_is_told_once_and_resolves_when_it_comes(store: Store) -> None:
    assert await come(store, 3) == ChainsReconciled(told=2)
    assert await come(store, 3) == ChainsReconciled()
    assert await come(store, 1) == ChainsReconciled(resolved=1)
    found = await told(store)
    assert {name: one.resolved_at is None for name, one in found.items()} == {"1 is missing": False, "2 is missing": True}
    resolved = found["1 is missing"]
    assert (resolved.resolved_by, resolved.resolution) == (BY_ITSELF, "mended")


async def test_what_is_found_again_opens_again_unless_a_person_closed_it(store: Store) -> None:
    await come(store, 3)
    row = await put(store, a_statement(1))
    await store.reconcile_statements(CONNECTION, [(row, facts_of(a_statement(1)))], missing(), "mended")
    second = (await told(store))["2 is missing"]
    await store.resolve_discrepancy(second.discrepancy_id, "erp", "the bank never made one")
    # the reader was mended: what was taken for 1 belongs to another account
    elsewhere = facts_of(a_statement(1, iban="NL41MOCK0000000002"))
    assert await store.reconcile_statements(CONNECTION, [(row, elsewhere)], missing(), "mended") == ChainsReconciled(told=1)
    found = await told(store)
    assert (found["1 is missing"].resolved_at, found["1 is missing"].resolution) == (None, None)
    assert (found["2 is missing"].resolved_by, found["2 is missing"].resolution) == ("erp", "the bank never made one")


async def test_an_open_one_is_told_in_the_words_of_now(store: Store) -> None:
    await come(store, 2)
    before = (await told(store))["1 is missing"]
    row = await put(store, a_statement(3))
    await store.reconcile_statements(CONNECTION, [(row, facts_of(a_statement(3)))], missing(summary="now"), "mended")
    after = (await told(store))["now"]
    assert (after.discrepancy_id, after.created_at) == (before.discrepancy_id, before.created_at)


async def test_chains_and_connections_do_not_meet(store: Store) -> None:
    await come(store, 2)
    other = a_statement(1, iban="NL41MOCK0000000002")
    row = await put(store, other, position=1)
    await store.reconcile_statements(CONNECTION, [(row, facts_of(other))], missing(), "mended")
    elsewhere = await put(store, a_statement(1), connection_id="bank-b")
    await store.reconcile_statements("bank-b", [(elsewhere, facts_of(a_statement(1)))], missing("bank-b"), "mended")
    assert (await told(store))["1 is missing"].resolved_at is None
    chain = facts_of(a_statement(1)).chain
    assert [one.number for one in await store.statement_facts(CONNECTION, chain)] == [2]
    assert [one.number for one in await store.statement_facts("bank-b", chain)] == [1]


async def test_a_statement_that_belongs_to_no_chain_any_more_leaves_its_old_one(store: Store) -> None:
    await come(store, 2)
    row = await put(store, a_statement(2))
    assert await store.reconcile_statements(CONNECTION, [(row, None)], missing(), "mended") == ChainsReconciled(resolved=1)
    assert await store.statement_facts(CONNECTION, facts_of(a_statement(2)).chain) == []


async def test_facts_need_their_statement_and_nothing_of_the_call_is_kept_without(store: Store) -> None:
    row = await put(store, a_statement(2))
    with pytest.raises(LookupError):
        await store.reconcile_statements(
            CONNECTION, [(row, facts_of(a_statement(2))), (row + 1, facts_of(a_statement(3)))], missing(), "mended"
        )
    assert await store.statement_facts(CONNECTION, facts_of(a_statement(2)).chain) == []


# -- migration ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_a_database_of_schema_version_1_keeps_its_statements_and_gets_their_facts(
    another: Callable[[], Awaitable[Store]], place: Path
) -> None:
    store = await another()
    opening = Balance(type="OPBD", amount="7.00", currency="EUR", credit_debit="CRDT", date="2026-11-25")
    statement = a_statement(5)
    statement = Statement(
        statement_id=statement.statement_id,
        account=statement.account,
        balances=(opening, *statement.balances),
        entry_count=2,
        sequence_number="5",
    )
    row = await put(store, statement)
    booked = [
        Entry(statement_id="S5", amount=amount, currency="EUR", credit_debit=way, status="BOOK")
        for amount, way in (("4.50", "CRDT"), ("1.50", "DBIT"))
    ]
    entries = [EntryRow(position=at, entry=entry, payment_ids=(None,)) for at, entry in enumerate(booked, start=1)]
    await store.put_entries(row, entries)
    file = (await store.list_inbound(limit=1))[0][0]
    report = NewStatement(
        inbound_file_id=file.inbound_file_id, connection_id=CONNECTION, position=1, message="camt.052.001.08", statement=statement
    )
    await store.put_statement(report)
    await store.close()
    make_older(place / "store.db", 1)
    migrated = await another()
    found = await migrated.statement(row)
    assert found is not None
    assert found.statement == statement
    assert await migrated.entries(row, limit=9) == entries
    (facts,) = await migrated.statement_facts(CONNECTION, facts_of(statement).chain)
    assert (facts.number, facts.opening, facts.closing) == (5, "7.00", "10.00")
    assert (facts.entries, facts.credits, facts.debits) == (2, "4.50", "1.50")
    assert (await migrated.list_discrepancies(limit=9))[0] == []
