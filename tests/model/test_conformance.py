"""The books of the model do what the store does: every kind of request that any world makes, in what it met, is put to the store.

The rows are set as the model had them, the same request, with the very arguments that the gateway's code gave, is made of
`SqliteStore`, and the answer and the rows after it are compared.
"""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.store.records import Delivery, NewDelivery, NewPayment, PlannedBlock, Reason
from gateway.store.sqlite import SqliteStore, connection
from gateway.store.store import Stale
from tests.model import books as b
from tests.model.machine import BASE, ticks
from tests.model.state import Rules
from tests.model.world import Call
from tests.model.worlds import WORLDS, explored, named

pytestmark = pytest.mark.xdist_group("model")
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
OTHER = "q" * 32


@dataclass
class Real:
    """The store with a payment, two messages it may be in, and a second way to its rows."""

    store: SqliteStore
    rows: sqlite3.Connection
    now: datetime = BASE

    def set_to(self, call: Call) -> None:
        """The rows as the model had them, seen by a task that began `offset` ticks ago."""
        self.now = BASE + timedelta(seconds=call.offset)
        db, pay = self.rows, call.before.pay
        for table in ("discrepancies", "refused_attempts", "attempts", "evidence"):
            db.execute(f"DELETE FROM {table}")
        for number, row in enumerate(call.before.rows):
            if row is None:
                continue
            seen = b._to_task(row, call.offset)
            db.execute(
                "UPDATE deliveries SET state = ?, attempt = ?, fence = ?, stopped = ?, lease_until = ?, due_at = ?,"
                " doubt_since = ? WHERE delivery_id = ?",
                (
                    *(row.state, row.attempt, row.fence, row.stopped),
                    *(_micros(at) for at in (seen.lease, row.due, seen.doubt)),
                    b.delivery_id(number),
                ),
            )
        db.execute(
            "UPDATE payments SET state = ?, version = ?, bank_status = ?, may_fall_back = ?, block_key = ? WHERE payment_id = ?",
            (pay.state, pay.version, pay.word, pay.may_fall_back, self._block(pay.message), b.PAYMENT),
        )
        if pay.attempts == 2:
            db.execute(
                "INSERT INTO refused_attempts (payment_key, block_key, uetr, reason, report_created, refused_at)"
                " SELECT payment_key, ?, NULL, '', ?, 0 FROM payments WHERE payment_id = ?",
                (self._block(0), pay.refused_at, b.PAYMENT),
            )

    def _block(self, number: int | None) -> int | None:
        if number is None:
            return None
        found = self.rows.execute(
            "SELECT block_key FROM blocks JOIN deliveries USING (delivery_key) WHERE delivery_id = ?", (b.delivery_id(number),)
        ).fetchone()
        return int(found[0])

    def books(self, call: Call) -> b.Books:
        """What stands in the rows now, as the model would write it."""
        db = self.rows
        rows = list(call.after.rows)
        for number, row in enumerate(rows):
            if row is not None:
                found = db.execute(
                    "SELECT state, attempt, fence, lease_until, due_at, doubt_since, stopped FROM deliveries"
                    " WHERE delivery_id = ?",
                    (b.delivery_id(number),),
                ).fetchone()
                lease = None if found[3] is None else max(0, _ticks(found[3]) - call.offset)
                doubt = None if found[5] is None else row.doubt if row.doubt == b.OLD else call.offset - _ticks(found[5])
                due = None if found[4] is None else 0
                rows[number] = b.Row(*found[:3], lease, due, doubt, bool(found[6]))
        found = db.execute(
            """
            SELECT p.state, p.version, d.delivery_id, r.payment_key IS NOT NULL, p.bank_status, p.may_fall_back, r.report_created
            FROM payments AS p LEFT JOIN blocks USING (block_key) LEFT JOIN deliveries AS d USING (delivery_key)
            LEFT JOIN refused_attempts AS r ON r.payment_key = p.payment_key WHERE p.payment_id = ?
            """,
            (b.PAYMENT,),
        ).fetchone()
        message = None if found[2] is None else int(found[2][-1])
        pay = b.Pay(found[0], found[1], message, 1 + found[3], found[4], bool(found[5]), found[6])
        told = db.execute("SELECT kind, coalesce(delivery_id, payment_id, '') FROM discrepancies").fetchall()
        return b.Books(tuple(rows), pay, call.before.told | {one for one in told if one[0] not in b.NOT_KEPT})


def _micros(at: int | None) -> int | None:
    return None if at is None else int((BASE - EPOCH).total_seconds() + at) * 1_000_000


def _ticks(micros: int) -> int:
    found = ticks(EPOCH + timedelta(microseconds=micros))
    assert found is not None
    return found


def _payment(payment_id: str, reference: str) -> NewPayment:
    account = Account(iban="NL41MOCK0000000001")
    return NewPayment(
        payment_id=payment_id,
        caller="erp",
        payment_reference=reference,
        connection_id=b.CONNECTION,
        terms=PaymentTerms(
            debtor=Party(name="ACME BV"),
            debtor_account=account,
            debtor_agent=Agent(bic="MOCKNL2AXXX"),
            requested_execution_date=BASE.date(),
        ),
        transfer=CreditTransfer(
            instruction_id=payment_id,
            end_to_end_id=b.END_TO_END if payment_id == b.PAYMENT else "E2E-2",
            amount=Decimal("10.00"),
            currency="EUR",
            creditor=Party(name="Supplier"),
            creditor_account=account,
        ),
        content_sha256=b"\0" * 32,
        state=PaymentState.APPROVED,
        reason=Reason(),
        may_fall_back=True,
    )


@pytest.fixture
async def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Real]:
    connect = connection.connect

    def unsynced(*values: Any, **kwargs: Any) -> sqlite3.Connection:
        db = connect(*values, **kwargs)
        db.execute("PRAGMA synchronous = OFF")
        return db

    monkeypatch.setattr(connection, "connect", unsynced)
    made = Real(None, None)  # type: ignore[arg-type]
    made.store = SqliteStore(tmp_path / "bankgate.db", clock=lambda: made.now)
    await made.store.open()
    for number, (payment_id, reference) in enumerate([(b.PAYMENT, "R-1"), (OTHER, "R-2")]):
        await made.store.submit([_payment(payment_id, reference)])
        (group,) = await made.store.waiting_groups(b.CONNECTION)
        planned = PlannedBlock(payment_information_id=f"{b.message_id(number)}-1", terms_id=group.terms_id, count=1)
        new = NewDelivery(
            delivery_id=b.delivery_id(number),
            connection_id=b.CONNECTION,
            message_id=b.message_id(number),
            message_name="pain.001.001.09",
            file_name="file",
            creation_date_time=BASE,
            blocks=(planned,),
            due_at=BASE,
        )
        assert await made.store.form_delivery(new) is not None
    made.rows = sqlite3.connect(tmp_path / "bankgate.db", isolation_level=None)
    made.rows.execute("UPDATE payments SET block_key = NULL WHERE payment_id = ?", (OTHER,))  # it only made room for a message
    yield made
    made.rows.close()
    await made.store.close()


def _plain(answer: Any) -> Any:
    """Of an answer what the model keeps."""
    if isinstance(answer, Delivery):
        names = ("delivery_id", "message_id", "state", "attempt", "fence", "lease_until", "stopped")
        doubted = answer.doubt_since if answer.state is DeliveryState.IN_DOUBT else answer.doubt_since is not None
        return {"doubt": doubted, **{name: getattr(answer, name) for name in names}}
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], list):
        return [_plain(one) if isinstance(one, Delivery) else (one.payment_id, one.may_fall_back) for one in answer[0]]
    if isinstance(answer, list):
        return [
            (one.payment_id, one.delivery_id, one.report_created) if type(one).__name__ == "RefusedAttempt" else one
            for one in answer
        ]
    return answer


async def _asked(store: SqliteStore, call: Call) -> Any:
    try:
        return await getattr(store, call.request.name)(*call.request.args, **dict(call.request.named))
    except Stale as stale:
        return stale


def _same(answer: Any, expected: Any, number_of_rows: int) -> bool:
    if isinstance(expected, Stale):
        return isinstance(answer, Stale)
    got, want = _plain(answer), _plain(expected)
    if isinstance(got, list) and isinstance(want, list) and got and isinstance(got[0], dict):
        names = {b.delivery_id(number) for number in range(number_of_rows)}
        got = sorted((one for one in got if one["delivery_id"] in names), key=str)
        want = sorted(want, key=str)
    return bool(got == want)


# The two largest worlds ask for what smaller ones ask for too, many times more often.
ASKED = [rules for rules in WORLDS if rules.name not in {"QUERYABLE, final", "IDEMPOTENT"}]


@pytest.mark.parametrize("rules", ASKED, ids=named)
async def test_the_store_does_with_every_kind_of_request_what_the_model_says(real: Real, rules: Rules) -> None:
    checked = 0
    for call in explored(rules).world.calls.values():
        if call.request.name in {"evidence", "delivery_blocks"} or None in call.before.rows[:1]:
            continue
        real.set_to(call)
        answer = await _asked(real.store, call)
        books, expected = real.books(call), b.real(call.answer)
        assert books == call.after, f"{call.request}\nbefore {call.before}\nthe model {call.after}\nthe store {books}"
        assert _same(answer, expected, len([row for row in call.before.rows if row])), f"{call}: {answer}, not {expected}"
        checked += 1
    assert checked > 10
