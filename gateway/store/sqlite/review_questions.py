"""What is asked of reviews: what waits, what limits have used, what came before."""

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from gateway.lifecycle import PaymentState
from gateway.policy.known import CreditorKey, UsageKey, Used
from gateway.policy.subject import Past
from gateway.store import codec
from gateway.store.review_rows import (
    PAID,
    PAST_COLUMNS,
    REVIEW_COLUMNS,
    SIGNED_COLUMNS,
    past_of,
    review_of,
    signed_of,
)
from gateway.store.reviews import Book, PastBy, Review, Signed, Waiting
from gateway.store.rows import payment_of
from gateway.store.sqlite import payments
from gateway.store.totals import KEYS, WHOLE, Piece, Sum, is_summed, pieces, used_of

_WAITING = "state IN ('received', 'held', 'awaiting_approval')"  # as the index of these few has it
_WAIT_FOR_GROUPS = """
SELECT p.payment_key FROM release_groups AS g CROSS JOIN payments AS p ON p.release_key = g.release_key AND p.state = 'approved'
WHERE g.state IN ('open', 'closed') AND p.release_waits = 1
"""
_UNITS = "CAST(r.amount AS INTEGER)"
_POINT = "instr(r.amount, '.')"
_HUNDRED_THOUSANDTHS = f"CAST(substr(iif({_POINT}, substr(r.amount, {_POINT} + 1), '') || '00000', 1, 5) AS INTEGER)"


def book(db: sqlite3.Connection) -> Book:
    """Where judging stands."""
    row = db.execute("SELECT fence, rules FROM review_book WHERE book = 1").fetchone()
    return Book(fence=0, rules="") if row is None else Book(fence=row[0], rules=row[1])


# -- what waits --------------------------------------------------------------------------------------------------------


def unjudged(db: sqlite3.Connection, limit: int) -> list[Waiting]:
    """See `ReviewStore.unjudged`."""
    keys = db.execute(
        f"""
        SELECT payment_key FROM payments INDEXED BY payments_waiting
        WHERE state = 'received' AND {_WAITING} ORDER BY payment_key LIMIT ?
        """,
        (limit,),
    )
    return _with_reviews(db, [key for (key,) in keys])


def waiting(
    db: sqlite3.Connection,
    states: Sequence[PaymentState],
    connection_ids: Sequence[str] | None,
    *,
    limit: int,
    after: str | None,
) -> tuple[list[Waiting], str | None]:
    """See `ReviewStore.waiting`."""
    start = 0 if after is None else codec.page_key("waiting", after)
    allowed = "" if connection_ids is None else "AND connection_id IN (SELECT value FROM json_each(:connections))"
    parts = []
    for state in states:
        approved = state is PaymentState.APPROVED
        index, few = ("payments_approved", "release_waits = 0") if approved else ("payments_waiting", _WAITING)
        parts.append(
            f"""
            SELECT payment_key FROM payments INDEXED BY {index}
            WHERE state = '{state.value}' AND {few} AND payment_key > :start {allowed}
            """
        )
        if approved:
            parts.append(f"{_WAIT_FOR_GROUPS} AND p.payment_key > :start {allowed.replace('connection_id', 'p.connection_id')}")
    rows = db.execute(
        f"{' UNION ALL '.join(parts)} ORDER BY 1 LIMIT :limit",
        {"start": start, "connections": codec.json_list(connection_ids or ()), "limit": limit + 1},
    )
    return page_of_keys(db, [key for (key,) in rows], limit)


def one(db: sqlite3.Connection, payment_id: str) -> Waiting | None:
    """See `ReviewStore.review`."""
    row = db.execute("SELECT payment_key FROM payments WHERE payment_id = ?", (payment_id,)).fetchone()
    return None if row is None else _with_reviews(db, [row[0]])[0]


def of_delivery(db: sqlite3.Connection, delivery_id: str, *, limit: int, after: str | None) -> tuple[list[Waiting], str | None]:
    """See `ReviewStore.delivery_reviews`."""
    rows = db.execute(
        """
        SELECT p.payment_key FROM deliveries AS d CROSS JOIN blocks AS b ON b.delivery_key = d.delivery_key
        CROSS JOIN payments AS p ON p.block_key = b.block_key
        WHERE d.delivery_id = ? AND p.payment_key > ? ORDER BY p.payment_key LIMIT ?
        """,
        (delivery_id, 0 if after is None else codec.page_key("waiting", after), limit + 1),
    )
    return page_of_keys(db, [key for (key,) in rows], limit)


def of_group(
    db: sqlite3.Connection, group_id: str, states: Sequence[PaymentState], *, limit: int, after: str | None
) -> tuple[list[Waiting], str | None]:
    """See `GroupStore.group_members`."""
    wanted = codec.json_list(state.value for state in states or PaymentState)
    rows = db.execute(
        """
        SELECT p.payment_key FROM release_groups AS g CROSS JOIN payments AS p INDEXED BY payments_of_group
            ON p.release_key = g.release_key AND p.state IN (SELECT value FROM json_each(?))
        WHERE g.group_id = ? AND p.payment_key > ? ORDER BY p.payment_key LIMIT ?
        """,
        (wanted, group_id, 0 if after is None else codec.page_key("waiting", after), limit + 1),
    )
    return page_of_keys(db, [key for (key,) in rows], limit)


def page_of_keys(db: sqlite3.Connection, keys: Sequence[int], limit: int) -> tuple[list[Waiting], str | None]:
    """Of one key more than a page has."""
    more = codec.page_token("waiting", keys[limit - 1]) if len(keys) > limit else None
    return _with_reviews(db, keys[:limit]), more


def waiting_since(db: sqlite3.Connection, connection_id: str) -> dict[PaymentState, tuple[datetime, date | None]]:
    """See `ReviewStore.waiting_since`."""
    rows = db.execute(
        f"""
        SELECT p.state, min(p.updated_at), min(r.requested_execution_date)
        FROM payments AS p INDEXED BY payments_waiting LEFT JOIN reviews AS r ON r.payment_key = p.payment_key
        WHERE p.{_WAITING} AND p.state <> 'held' AND p.connection_id = ? GROUP BY p.state
        """,
        (connection_id,),
    )
    found: dict[PaymentState, tuple[datetime, date | None]] = {}
    for state, since, on in rows:
        found[codec.PAYMENT_STATES[state]] = (codec.moment(since), None if on is None else date.fromisoformat(on))
    return found


def _with_reviews(db: sqlite3.Connection, keys: Sequence[int]) -> list[Waiting]:
    """The payments of these keys, in the order of the keys."""
    wanted = codec.json_list(keys)
    columns = ", ".join(f"r.{column}" for column in REVIEW_COLUMNS)
    reviews: dict[int, Sequence[Any]] = {
        row[0]: row[1:]
        for row in db.execute(
            f"SELECT r.payment_key, {columns} FROM json_each(?) AS w CROSS JOIN reviews AS r ON r.payment_key = w.value",
            (wanted,),
        )
    }
    columns = ", ".join(f"a.{column}" for column in SIGNED_COLUMNS)
    signed: dict[int, list[Signed]] = {}
    for row in db.execute(
        f"""
        SELECT a.payment_key, {columns} FROM json_each(?) AS w CROSS JOIN approvals AS a ON a.payment_key = w.value
        ORDER BY a.approval_key
        """,
        (wanted,),
    ):
        signed.setdefault(row[0], []).append(signed_of(row[1:], codec.moment))
    found: list[Waiting] = []
    for row in payments.by_keys(db, keys):
        payment = payment_of(row, codec.moment)
        review: Review | None = None
        if row[0] in reviews:
            review = review_of(payment.payment_id, reviews[row[0]], codec.moment)
        found.append(Waiting(payment=payment, review=review, signed=tuple(signed.get(row[0], ()))))
    return found


# -- what came before --------------------------------------------------------------------------------------------------


def used(db: sqlite3.Connection, keys: Sequence[UsageKey], below: int | None) -> dict[UsageKey, Used]:
    """See `ReviewStore.used` and `gateway.store.totals`."""
    return {key: _used(db, key, below) for key in keys}


def _used(db: sqlite3.Connection, key: UsageKey, below: int | None) -> Used:
    """What is taken off is asked for before what it is taken from, which only grows: rather too much than too little."""
    if not is_summed(key):
        return used_of([_single(db, key, key.since, key.until, "r.counted = 1", below)])
    parts = list(pieces(key.since, key.until))
    summed = [piece for piece in parts if piece.span]
    sums = [_single(db, key, piece.since, piece.until, "r.counted = 1", below) for piece in parts if not piece.span]
    if summed:
        since, until = summed[0].since, summed[-1].until
        off = [_single(db, key, since, until, "r.counted = 0", None, "reviews_not_counted")]
        if below is not None:
            off.append(
                _single(db, key, since, until, f"r.counted = 1 AND r.number >= {below}", None, "sqlite_autoindex_reviews_1")
            )
        sums += [(-count, -high, -low, -rest) for count, high, low, rest in off]
        sums += [_summed(db, key, piece) for piece in summed]
    return used_of(sums)


def _single(  # noqa: PLR0917 - which reviews
    db: sqlite3.Connection, key: UsageKey, since: datetime, until: datetime, which: str, below: int | None, index: str = ""
) -> Sum:
    """Of reviews one by one. Summed as integers: SQLite would sum decimals as floating point."""
    condition, values = _of_key(key, indexed=not index)
    if below is not None:
        condition += f" AND r.number < {below}"
    row = db.execute(
        f"""
        SELECT count(*), coalesce(sum({_UNITS} / {WHOLE}), 0), coalesce(sum({_UNITS} % {WHOLE}), 0),
            coalesce(sum({_HUNDRED_THOUSANDTHS}), 0)
        FROM reviews AS r {f"INDEXED BY {index}" if index else ""}
        WHERE r.submitted_at >= ? AND r.submitted_at < ? AND {which} AND {condition}
        """,
        (codec.micros(since), codec.micros(until), *values),
    ).fetchone()
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def _summed(db: sqlite3.Connection, key: UsageKey, piece: Piece) -> Sum:
    given = {name: getattr(key, name) for name in KEYS if getattr(key, name)}
    row = db.execute(
        f"""
        SELECT coalesce(sum(payments), 0), coalesce(sum(thousand_millions), 0), coalesce(sum(units), 0),
            coalesce(sum(hundred_thousandths), 0)
        FROM review_totals WHERE span = ? AND begins_at >= ? AND begins_at < ? {"".join(f" AND {name} = ?" for name in given)}
        """,
        (piece.span, codec.micros(piece.since), codec.micros(piece.until), *given.values()),
    ).fetchone()
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def _of_key(key: UsageKey | CreditorKey, *, indexed: bool = True) -> tuple[str, list[Any]]:
    """The narrowest of what is given uses its index, unless another one is named; the others (`+`) are tested row by row."""
    parts: list[str] = []
    values: list[Any] = []
    for column in ("creditor_account", "debtor_account", "caller", "connection_id", "currency"):
        value = getattr(key, column, "")
        if value:
            parts.append(f"{'+' if parts or not indexed else ''}r.{column} = ?")
            values.append(value)
    return " AND ".join(parts) or "TRUE", values


def first_paid(db: sqlite3.Connection, keys: Sequence[CreditorKey]) -> dict[CreditorKey, datetime | None]:
    """See `ReviewStore.first_paid`."""
    found: dict[CreditorKey, datetime | None] = {}
    for key in keys:
        condition, values = _of_key(key)
        row = db.execute(
            f"""
            SELECT r.submitted_at FROM reviews AS r CROSS JOIN payments AS p ON p.payment_key = r.payment_key
            WHERE p.state IN {PAID} AND {condition} ORDER BY r.submitted_at LIMIT 1
            """,
            values,
        ).fetchone()
        found[key] = None if row is None else codec.moment(row[0])
    return found


def past(
    db: sqlite3.Connection, by: PastBy, keys: Sequence[str], *, since: datetime, limit: int, caller: str | None
) -> dict[str, list[Past]]:
    """See `ReviewStore.past`."""
    columns = ", ".join(f"r.{column}" for column in PAST_COLUMNS)
    found: dict[str, list[Past]] = {}
    for key in dict.fromkeys(keys):
        rows = db.execute(
            f"""
            SELECT p.payment_id, p.state, {columns} FROM reviews AS r CROSS JOIN payments AS p ON p.payment_key = r.payment_key
            WHERE r.{by.value} = ? AND r.submitted_at >= ? AND (? IS NULL OR r.caller = ?)
            ORDER BY r.submitted_at DESC, r.payment_key DESC LIMIT ?
            """,
            (key, codec.micros(since), caller, caller, limit),
        )
        before = [past_of(row[0], row[1], row[2:], codec.moment) for row in rows]
        if before:
            found[key] = before
    return found
