"""Payments: storing them once, and finding them again."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from gateway.lanes import REVIEW_LANE
from gateway.lifecycle import PaymentState
from gateway.store import codec
from gateway.store.records import Candidate, Keys, Known, NewPayment, Payment, PaymentFilter, SubmitResult
from gateway.store.rows import candidates_of, payment_of
from gateway.store.sqlite.groups import join_groups
from gateway.store.sqlite.writer import Tx

CALLER = "caller"  # the source of a payment's first event
BOUND_MAX = 500  # keys looked up by one statement
_APPROVED, _RECEIVED = PaymentState.APPROVED.value, PaymentState.RECEIVED.value

# -- storing -----------------------------------------------------------------------------------------------------------

_INSERT_PAYMENT = """
INSERT INTO payments (payment_key, payment_id, caller, payment_reference, connection_id, terms_id, end_to_end_id, uetr, amount,
    currency, state, version, reason, created_at, updated_at, instant, may_fall_back, submitted_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)
"""
_INSERT_TRANSFER = "INSERT INTO transfers (payment_key, content_sha256, content) VALUES (?, ?, ?)"
_INSERT_EVENTS = """
INSERT INTO events (payment_key, state, reason, source, occurred_at)
SELECT payment_key, state, reason, ?, created_at FROM payments WHERE payment_key > ? ORDER BY payment_key
"""


def submit(tx: Tx, payments: Sequence[NewPayment], contents: Sequence[bytes]) -> SubmitResult:
    """`contents` are the encoded transfers, in order (made by the caller, outside the write lock)."""
    known = _known(tx.db, payments)
    stored = all(item is None or item.same_content for item in known)
    if stored:
        new = [(payment, content) for payment, content, item in zip(payments, contents, known, strict=True) if item is None]
        if new:
            _insert(tx, new)
    return SubmitResult(stored=stored, known=tuple(known))


def _known(db: sqlite3.Connection, payments: Sequence[NewPayment]) -> list[Known | None]:
    """Per payment what is there under its key: from before, or from an earlier place of the same call."""
    by_caller: dict[str, list[str]] = {}
    for payment in payments:
        by_caller.setdefault(payment.caller, []).append(payment.payment_reference)
    seen: dict[tuple[str, str], tuple[str, str, bytes]] = {}
    for caller, references in by_caller.items():
        for reference, *rest in db.execute(
            """
            SELECT p.payment_reference, p.payment_id, p.state, t.content_sha256
            FROM json_each(?) AS wanted
            CROSS JOIN payments AS p ON p.caller = ? AND p.payment_reference = wanted.value
            CROSS JOIN transfers AS t ON t.payment_key = p.payment_key
            """,
            (codec.json_list(references), caller),
        ):
            seen[caller, reference] = (rest[0], rest[1], rest[2])
    known: list[Known | None] = []
    for payment in payments:
        key = (payment.caller, payment.payment_reference)
        before = seen.get(key)
        if before is None:
            seen[key] = (payment.payment_id, payment.state.value, payment.content_sha256)
            known.append(None)
        else:
            payment_id, state, digest = before
            same = digest == payment.content_sha256
            known.append(Known(payment_id=payment_id, state=codec.PAYMENT_STATES[state], same_content=same))
    return known


def _insert(tx: Tx, new: Sequence[tuple[NewPayment, bytes]]) -> None:
    db, now = tx.db, tx.now
    (last,) = db.execute("SELECT coalesce(max(payment_key), 0) FROM payments").fetchone()
    rows: list[tuple[Any, ...]] = []
    transfers: list[tuple[int, bytes, bytes]] = []
    grouped: list[tuple[int, NewPayment]] = []
    for key, (payment, content) in enumerate(new, last + 1):
        transfer = payment.transfer
        state = payment.state.value
        if payment.release_group is not None:
            grouped.append((key, payment))
        rows.append(
            (
                key,
                payment.payment_id,
                payment.caller,
                payment.payment_reference,
                payment.connection_id,
                tx.terms.terms_id(db, payment.terms),
                transfer.end_to_end_id,
                transfer.uetr,
                str(transfer.amount),
                transfer.currency,
                state,
                codec.reason_column(payment.reason),
                now,
                now,
                payment.instant,
                payment.may_fall_back,
                payment.submitted_by,
            )
        )
        transfers.append((key, payment.content_sha256, content))
        if state == _APPROVED:
            tx.wake(payment.connection_id)
        elif state == _RECEIVED:
            tx.wake(REVIEW_LANE)
    db.executemany(_INSERT_PAYMENT, rows)
    if grouped:
        join_groups(tx, grouped)
    db.executemany(_INSERT_TRANSFER, transfers)
    db.execute(_INSERT_EVENTS, (CALLER, last))


# -- finding -----------------------------------------------------------------------------------------------------------

_SELECT = """
SELECT p.payment_key, p.payment_id, p.caller, p.payment_reference, p.connection_id, terms.content, t.content, t.content_sha256,
    p.state, p.version, p.reason, d.delivery_id, d.message_id, b.payment_information_id, p.bank_status,
    p.account_servicer_reference, p.created_at, p.updated_at, p.instant, p.may_fall_back,
    r.uetr, rd.delivery_id, rd.message_id, rb.payment_information_id, r.reason, r.report_created, r.refused_at,
    p.submitted_by, g.group_id, g.name, p.release_waits
"""
_FROM = "FROM payments AS p"
_JOINS = """
CROSS JOIN transfers AS t ON t.payment_key = p.payment_key
CROSS JOIN terms ON terms.terms_id = p.terms_id
LEFT JOIN blocks AS b ON b.block_key = p.block_key
LEFT JOIN deliveries AS d ON d.delivery_key = b.delivery_key
LEFT JOIN refused_attempts AS r ON r.payment_key = p.payment_key
LEFT JOIN blocks AS rb ON rb.block_key = r.block_key
LEFT JOIN deliveries AS rd ON rd.delivery_key = rb.delivery_key
LEFT JOIN release_groups AS g ON g.release_key = p.release_key
"""


def payment(db: sqlite3.Connection, payment_id: str) -> Payment | None:
    """The payment, or None."""
    row = db.execute(f"{_SELECT} {_FROM} {_JOINS} WHERE p.payment_id = ?", (payment_id,)).fetchone()
    return None if row is None else payment_of(row, codec.moment)


def payments_by_reference(db: sqlite3.Connection, caller: str, references: Sequence[str]) -> dict[str, Payment]:
    """A caller's payments by their references; unknown ones are left out."""
    rows = db.execute(
        f"""
        {_SELECT} FROM (SELECT DISTINCT value FROM json_each(?)) AS wanted
        CROSS JOIN payments AS p ON p.caller = ? AND p.payment_reference = wanted.value {_JOINS}
        """,
        (codec.json_list(references), caller),
    )
    return {row[3]: payment_of(row, codec.moment) for row in rows}


def by_keys(db: sqlite3.Connection, keys: Sequence[int]) -> list[Sequence[Any]]:
    """The rows of `payment_of`, in the order of the keys, which ascend."""
    wanted = codec.json_list(keys)
    return db.execute(
        f"{_SELECT} FROM json_each(?) AS wanted CROSS JOIN payments AS p ON p.payment_key = wanted.value {_JOINS}"
        " ORDER BY p.payment_key",
        (wanted,),
    ).fetchall()


def list_payments(
    db: sqlite3.Connection, where: PaymentFilter, *, limit: int, before: str | None
) -> tuple[list[Payment], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    condition, values = _condition(where)
    # The newest of all that fit: going down the primary key, whatever else the planner fancies, so that a page costs a page.
    rows = db.execute(
        f"{_SELECT} {_FROM} {_JOINS} WHERE p.payment_key < ? AND {condition} ORDER BY p.payment_key DESC LIMIT ?",
        (codec.page_key("payments", before), *values, limit + 1),
    ).fetchall()
    more = codec.page_token("payments", rows[limit - 1][0]) if len(rows) > limit else None
    return [payment_of(row, codec.moment) for row in rows[:limit]], more


def count_payments(db: sqlite3.Connection, where: PaymentFilter) -> dict[PaymentState, int]:
    """How many payments stand where."""
    condition, values = _condition(where)
    rows = db.execute(f"SELECT p.state, count(*) {_FROM} WHERE {condition} GROUP BY p.state", values)
    return {codec.PAYMENT_STATES[state]: count for state, count in rows}


def _condition(where: PaymentFilter) -> tuple[str, list[Any]]:
    """The filter as SQL. Terms that select few payments may use their index; the broad ones (`+`) are tested row by row."""
    parts: list[str] = ["TRUE"]
    values: list[Any] = []

    def add(part: str, value: Any) -> None:
        parts.append(part)
        values.append(value)

    if where.caller is not None:
        add("+p.caller = ?", where.caller)
    if where.connection_id is not None:
        add("+p.connection_id = ?", where.connection_id)
    if where.connection_ids is not None:
        add("+p.connection_id IN (SELECT value FROM json_each(?))", codec.json_list(where.connection_ids))
    if where.states:
        add("+p.state IN (SELECT value FROM json_each(?))", codec.json_list(state.value for state in where.states))
    if where.end_to_end_id is not None:
        add("p.end_to_end_id = ?", where.end_to_end_id)
    for column in ("message_id", "delivery_id"):
        value = getattr(where, column)
        if value is not None:
            add(
                "p.block_key IN (SELECT block_key FROM blocks JOIN deliveries USING (delivery_key)"
                f" WHERE deliveries.{column} = ?)",
                value,
            )
    if where.created_from is not None:
        add("p.created_at >= ?", codec.micros(where.created_from))
    if where.created_until is not None:
        add("p.created_at < ?", codec.micros(where.created_until))
    return " AND ".join(parts), values


# -- matching ----------------------------------------------------------------------------------------------------------

_CANDIDATES = """
SELECT p.payment_key, p.payment_id, p.version, p.state, p.connection_id, d.delivery_id, d.message_id, b.payment_information_id,
    p.end_to_end_id, p.uetr, p.amount, p.currency, p.bank_status, p.account_servicer_reference, p.caller, p.payment_reference,
    p.may_fall_back, rd.delivery_id, rd.message_id, rb.payment_information_id, r.uetr, r.report_created
FROM (SELECT DISTINCT value FROM json_each(?)) AS wanted
{find}
LEFT JOIN blocks AS b ON b.block_key = p.block_key
LEFT JOIN deliveries AS d ON d.delivery_key = b.delivery_key
LEFT JOIN refused_attempts AS r ON r.payment_key = p.payment_key
LEFT JOIN blocks AS rb ON rb.block_key = r.block_key
LEFT JOIN deliveries AS rd ON rd.delivery_key = rb.delivery_key
"""
_BY_PAYMENT = "CROSS JOIN payments AS p ON p.{column} = wanted.value AND {plus}p.connection_id = ?"
_BY_REFUSED = """
CROSS JOIN refused_attempts AS w ON w.uetr = wanted.value
CROSS JOIN payments AS p ON p.payment_key = w.payment_key AND p.connection_id = ?
"""


def find_candidates(db: sqlite3.Connection, connection_id: str, keys: Keys) -> list[Candidate]:
    """In the order in which the payments were stored; of one payment its refused attempt after its present one."""
    found: dict[int, tuple[Candidate, ...]] = {}
    for find, wanted in (
        (_BY_PAYMENT.format(column="payment_id", plus="+"), keys.payment_ids),
        (_BY_PAYMENT.format(column="end_to_end_id", plus=""), keys.end_to_end_ids),
        (_BY_PAYMENT.format(column="uetr", plus="+"), keys.uetrs),
        (_BY_PAYMENT.format(column="account_servicer_reference", plus="+"), keys.account_servicer_references),
        (_BY_REFUSED, keys.uetrs),
    ):
        statement = _CANDIDATES.format(find=find)
        for start in range(0, len(wanted), BOUND_MAX):
            chunk = codec.json_list(wanted[start : start + BOUND_MAX])
            for row in db.execute(statement, (chunk, connection_id)):
                if row[0] not in found:
                    found[row[0]] = candidates_of(row)
    return [candidate for key in sorted(found) for candidate in found[key]]
