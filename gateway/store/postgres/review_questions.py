"""What is asked of reviews: what waits, what limits have used, what came before."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from gateway.lifecycle import PaymentState
from gateway.policy.known import CreditorKey, UsageKey, Used
from gateway.policy.subject import Past
from gateway.store import codec
from gateway.store.postgres import payments
from gateway.store.postgres.connection import Connection
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
from gateway.store.totals import KEYS, PARTS, WHOLE, Piece, Sum, is_summed, pieces, used_of

# Of a payment whose month was archived its last state is left with its key; that is enough to count it.
_STATES = """
FROM reviews AS r JOIN payment_keys AS k ON k.payment_key = r.payment_key LEFT JOIN payments AS p ON p.payment_key = r.payment_key
"""
_STATE = "coalesce(p.state, k.archived_state)"


# By the index of groups: that of approved payments leaves them out.
_WAIT_FOR_GROUPS = """
SELECT p.payment_key FROM release_groups AS g JOIN payments AS p ON p.release_key = g.release_key AND p.state = 'approved'
WHERE g.state IN ('open', 'closed') AND p.release_waits
    AND p.payment_key > $1 AND ($2::text[] IS NULL OR p.connection_id = ANY($2))
"""


def _same(moment: Any) -> Any:
    return moment


async def book(db: Connection) -> Book:
    """Where judging stands."""
    row = await db.fetchrow("SELECT fence, rules FROM review_book WHERE book = 1")
    return Book(fence=0, rules="") if row is None else Book(fence=row[0], rules=row[1])


# -- what waits --------------------------------------------------------------------------------------------------------


async def unjudged(db: Connection, limit: int) -> list[Waiting]:
    """See `ReviewStore.unjudged`."""
    keys = await db.fetch("SELECT payment_key FROM payments WHERE state = 'received' ORDER BY payment_key LIMIT $1", limit)
    return await _with_reviews(db, [row[0] for row in keys])


async def waiting(
    db: Connection,
    states: Sequence[PaymentState],
    connection_ids: Sequence[str] | None,
    *,
    limit: int,
    after: str | None,
) -> tuple[list[Waiting], str | None]:
    """See `ReviewStore.waiting`."""
    start = 0 if after is None else codec.page_key("waiting", after)
    parts = [
        f"""
        SELECT payment_key FROM payments
        WHERE state = '{state.value}' AND payment_key > $1 AND ($2::text[] IS NULL OR connection_id = ANY($2))
        {"AND NOT release_waits" if state is PaymentState.APPROVED else ""}
        """
        for state in states
    ]
    if PaymentState.APPROVED in states:
        parts.append(_WAIT_FOR_GROUPS)
    allowed = None if connection_ids is None else list(connection_ids)
    rows = await db.fetch(f"{' UNION ALL '.join(parts)} ORDER BY 1 LIMIT $3", start, allowed, limit + 1)
    return await page_of_keys(db, [row[0] for row in rows], limit)


async def one(db: Connection, payment_id: str) -> Waiting | None:
    """See `ReviewStore.review`."""
    key = await db.fetchval(
        "SELECT payment_key FROM payment_keys JOIN payments USING (payment_key) WHERE payment_id = $1", payment_id
    )
    return None if key is None else (await _with_reviews(db, [key]))[0]


async def of_delivery(db: Connection, delivery_id: str, *, limit: int, after: str | None) -> tuple[list[Waiting], str | None]:
    """See `ReviewStore.delivery_reviews`."""
    rows = await db.fetch(
        """
        SELECT p.payment_key FROM deliveries AS d JOIN blocks AS b USING (delivery_key) JOIN payments AS p USING (block_key)
        WHERE d.delivery_id = $1 AND p.payment_key > $2 ORDER BY p.payment_key LIMIT $3
        """,
        delivery_id,
        0 if after is None else codec.page_key("waiting", after),
        limit + 1,
    )
    return await page_of_keys(db, [row[0] for row in rows], limit)


async def of_group(
    db: Connection, group_id: str, states: Sequence[PaymentState], *, limit: int, after: str | None
) -> tuple[list[Waiting], str | None]:
    """See `GroupStore.group_members`."""
    rows = await db.fetch(
        """
        SELECT p.payment_key FROM release_groups AS g JOIN payments AS p USING (release_key)
        WHERE g.group_id = $1 AND p.payment_key > $2 AND p.state = ANY($4) ORDER BY p.payment_key LIMIT $3
        """,
        group_id,
        0 if after is None else codec.page_key("waiting", after),
        limit + 1,
        [state.value for state in states or PaymentState],
    )
    return await page_of_keys(db, [row[0] for row in rows], limit)


async def page_of_keys(db: Connection, keys: Sequence[int], limit: int) -> tuple[list[Waiting], str | None]:
    """Of one key more than a page has."""
    more = codec.page_token("waiting", keys[limit - 1]) if len(keys) > limit else None
    return await _with_reviews(db, keys[:limit]), more


async def waiting_since(db: Connection, connection_id: str) -> dict[PaymentState, tuple[datetime, date | None]]:
    """See `ReviewStore.waiting_since`."""
    rows = await db.fetch(
        """
        SELECT p.state, min(p.updated_at), min(r.requested_execution_date)
        FROM payments AS p LEFT JOIN reviews AS r ON r.payment_key = p.payment_key
        WHERE p.state IN ('received', 'awaiting_approval') AND p.connection_id = $1 GROUP BY p.state
        """,
        connection_id,
    )
    return {codec.PAYMENT_STATES[state]: (since, None if on is None else date.fromisoformat(on)) for state, since, on in rows}


async def _with_reviews(db: Connection, keys: Sequence[int]) -> list[Waiting]:
    """The payments of these keys, in the order of the keys."""
    reviews = {
        row[0]: row[1:]
        for row in await db.fetch(
            f"SELECT payment_key, {', '.join(REVIEW_COLUMNS)} FROM reviews WHERE payment_key = ANY($1)", list(keys)
        )
    }
    signed: dict[int, list[Signed]] = {}
    for row in await db.fetch(
        f"SELECT payment_key, {', '.join(SIGNED_COLUMNS)} FROM approvals WHERE payment_key = ANY($1) ORDER BY approval_key",
        list(keys),
    ):
        signed.setdefault(row[0], []).append(signed_of(row[1:], _same))
    found: list[Waiting] = []
    for row in await payments.by_keys(db, keys):
        payment = payment_of(row, _same)
        review: Review | None = None
        if row[0] in reviews:
            review = review_of(payment.payment_id, reviews[row[0]], _same)
        found.append(Waiting(payment=payment, review=review, signed=tuple(signed.get(row[0], ()))))
    return found


# -- what came before --------------------------------------------------------------------------------------------------


async def used(db: Connection, keys: Sequence[UsageKey], below: int | None) -> dict[UsageKey, Used]:
    """See `ReviewStore.used` and `gateway.store.totals`."""
    return {key: await _used(db, key, below) for key in keys}


async def _used(db: Connection, key: UsageKey, below: int | None) -> Used:
    """What is taken off is asked for before what it is taken from, which only grows: rather too much than too little."""
    under = "TRUE" if below is None else f"r.number < {below}"
    if not is_summed(key):
        return used_of([await _single(db, key, key.since, key.until, f"r.counted AND {under}")])
    parts = list(pieces(key.since, key.until))
    summed = [piece for piece in parts if piece.span]
    sums = [await _single(db, key, piece.since, piece.until, f"r.counted AND {under}") for piece in parts if not piece.span]
    if summed:
        since, until = summed[0].since, summed[-1].until
        off = [await _single(db, key, since, until, "NOT r.counted")]
        if below is not None:
            off.append(await _single(db, key, since, until, f"r.counted AND r.number >= {below}"))
        sums += [(-count, -high, -low, -rest) for count, high, low, rest in off]
        sums += [await _summed(db, key, piece) for piece in summed]
    return used_of(sums)


async def _single(db: Connection, key: UsageKey, since: datetime, until: datetime, which: str) -> Sum:
    """Of reviews one by one."""
    condition, values = _of_key(key, since, until)
    row = await db.fetchrow(
        f"""
        SELECT count(*), coalesce(sum(div(trunc(r.amount::numeric), {WHOLE})), 0),
            coalesce(sum(mod(trunc(r.amount::numeric), {WHOLE})), 0),
            coalesce(sum(trunc(mod(r.amount::numeric, 1) * {PARTS})), 0)
        FROM reviews AS r WHERE r.submitted_at >= $1 AND r.submitted_at < $2 AND {which} AND {condition}
        """,
        *values,
    )
    assert row is not None  # noqa: S101 - a SELECT of sums has a row
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


async def _summed(db: Connection, key: UsageKey, piece: Piece) -> Sum:
    given = {name: getattr(key, name) for name in KEYS if getattr(key, name)}
    condition = "".join(f" AND {name} = ${place}" for place, name in enumerate(given, 4))
    row = await db.fetchrow(
        f"""
        SELECT coalesce(sum(payments), 0), coalesce(sum(thousand_millions), 0), coalesce(sum(units), 0),
            coalesce(sum(hundred_thousandths), 0)
        FROM review_totals WHERE span = $1 AND begins_at >= $2 AND begins_at < $3 {condition}
        """,
        piece.span,
        piece.since,
        piece.until,
        *given.values(),
    )
    assert row is not None  # noqa: S101 - a SELECT of sums has a row
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def _of_key(key: UsageKey | CreditorKey, *before: Any) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = [*before]
    for column in ("creditor_account", "debtor_account", "caller", "connection_id", "currency"):
        value = getattr(key, column, "")
        if value:
            values.append(value)
            parts.append(f"r.{column} = ${len(values)}")
    return " AND ".join(parts) or "TRUE", values


async def first_paid(db: Connection, keys: Sequence[CreditorKey]) -> dict[CreditorKey, datetime | None]:
    """See `ReviewStore.first_paid`."""
    found: dict[CreditorKey, datetime | None] = {}
    for key in keys:
        condition, values = _of_key(key)
        found[key] = await db.fetchval(
            f"SELECT r.submitted_at {_STATES} WHERE {_STATE} IN {PAID} AND {condition} ORDER BY r.submitted_at LIMIT 1", *values
        )
    return found


async def past(
    db: Connection, by: PastBy, keys: Sequence[str], *, since: datetime, limit: int, caller: str | None
) -> dict[str, list[Past]]:
    """See `ReviewStore.past`."""
    columns = ", ".join(f"r.{column}" for column in PAST_COLUMNS)
    found: dict[str, list[Past]] = {}
    for key in dict.fromkeys(keys):
        rows = await db.fetch(
            f"""
            SELECT k.payment_id, {_STATE}, {columns} {_STATES} WHERE r.{by.value} = $1 AND r.submitted_at >= $2
                AND ($4::text IS NULL OR r.caller = $4)
            ORDER BY r.submitted_at DESC, r.payment_key DESC LIMIT $3
            """,
            key,
            since,
            limit,
            caller,
        )
        if rows:
            found[key] = [past_of(row[0], row[1], row[2:], _same) for row in rows]
    return found
