"""Payments: storing them once, and finding them again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.lanes import REVIEW_LANE
from gateway.lifecycle import PaymentState
from gateway.store import codec
from gateway.store.archived import ArchivedPayment
from gateway.store.groups import GroupKey
from gateway.store.postgres.connection import Connection, Row
from gateway.store.postgres.groups import keys_for
from gateway.store.postgres.writer import Tx
from gateway.store.records import Candidate, Keys, Known, NewPayment, Payment, PaymentFilter, SubmitResult
from gateway.store.rows import candidates_of, payment_of
from gateway.store.store import StoreUnavailable

CALLER = "caller"  # the source of a payment's first event
ROUNDS_MAX = 20  # of meeting references that other processes are storing at the same moment

# -- storing -----------------------------------------------------------------------------------------------------------

_Key = tuple[str, str]
"""(caller, payment_reference)"""
_Seen = dict[_Key, tuple[str, str, bytes]]
"""What is there under a key: (payment_id, state, content_sha256)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One submit: its payments, and their encoded transfers in the same order (made by the caller, outside the transaction)."""

    payments: Sequence[NewPayment]
    contents: Sequence[bytes]


@dataclass(slots=True)
class _Stored:
    """A payment that is to be stored, under its number."""

    key: int
    payment: NewPayment
    content: bytes


async def submit(tx: Tx, calls: Sequence[Call]) -> list[SubmitResult]:
    """Several calls at once, each all or none.

    The keys go in first, and where one is there already the insertion waits for whoever is storing it and then leaves it out.
    Only then is looked up what is known: mostly nothing is. The rows themselves meet no conflict any more, so they are copied
    straight into their tables.
    """
    seen: _Seen = {}
    for _ in range(ROUNDS_MAX):
        results, new = _judge(calls, seen)
        if not new:
            return results
        numbers = await tx.connection.fetch(
            "SELECT nextval('payment_key_seq'), nextval('event_seq') FROM generate_series(1, $1::integer)", len(new)
        )
        stored = [_Stored(row[0], *item) for row, item in zip(numbers, new, strict=True)]
        inserted = await _insert_keys(tx.connection, stored)
        if len(inserted) == len(stored):
            groups = await keys_for(tx, [item.payment for item in stored])
            await _copy(tx, stored, [row[1] for row in numbers], groups)
            return results
        await tx.connection.execute("DELETE FROM payment_keys WHERE payment_key = ANY($1)", inserted)
        keys = ((payment.caller, payment.payment_reference) for call in calls for payment in call.payments)
        seen = await _known(tx.connection, keys)
    raise StoreUnavailable("other processes keep storing and taking back the same references; try again")


def _judge(calls: Sequence[Call], before: _Seen) -> tuple[list[SubmitResult], list[tuple[NewPayment, bytes]]]:
    """Per call what it is answered, and all that is to be stored: what is there from before, from an earlier call, or from an
    earlier place of the same call is known."""
    seen = dict(before)
    results: list[SubmitResult] = []
    new: list[tuple[NewPayment, bytes]] = []
    for call in calls:
        own: _Seen = {}
        mine: list[tuple[NewPayment, bytes]] = []
        known: list[Known | None] = []
        for payment, content in zip(call.payments, call.contents, strict=True):
            key = (payment.caller, payment.payment_reference)
            there = own.get(key) or seen.get(key)
            if there is None:
                own[key] = (payment.payment_id, payment.state.value, payment.content_sha256)
                mine.append((payment, content))
                known.append(None)
            else:
                same = there[2] == payment.content_sha256
                known.append(Known(payment_id=there[0], state=codec.PAYMENT_STATES[there[1]], same_content=same))
        stored = all(item is None or item.same_content for item in known)
        if stored:
            seen |= own
            new += mine
        results.append(SubmitResult(stored=stored, known=tuple(known)))
    return results, new


async def _insert_keys(db: Connection, stored: Sequence[_Stored]) -> list[int]:
    """Those that were inserted. In the order of the keys, so that two processes wait for each other in one direction only."""
    rows = sorted(stored, key=lambda item: (item.payment.caller, item.payment.payment_reference))
    inserted = await db.fetch(
        """
        INSERT INTO payment_keys (payment_key, payment_id, caller, payment_reference, connection_id, content_sha256)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
        ON CONFLICT (caller, payment_reference) DO NOTHING RETURNING payment_key
        """,
        [item.key for item in rows],
        [item.payment.payment_id for item in rows],
        [item.payment.caller for item in rows],
        [item.payment.payment_reference for item in rows],
        [item.payment.connection_id for item in rows],
        [item.payment.content_sha256 for item in rows],
    )
    return [row[0] for row in inserted]


async def _known(db: Connection, keys: Iterable[_Key]) -> _Seen:
    """Also of payments whose month was archived: their keys stay."""
    wanted = list(dict.fromkeys(keys))
    rows = await db.fetch(
        """
        SELECT k.caller, k.payment_reference, k.payment_id, coalesce(p.state, k.archived_state), k.content_sha256
        FROM unnest($1::text[], $2::text[]) AS wanted (caller, payment_reference)
        JOIN payment_keys AS k USING (caller, payment_reference)
        LEFT JOIN payments AS p USING (payment_key)
        """,
        [key[0] for key in wanted],
        [key[1] for key in wanted],
    )
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


async def _copy(tx: Tx, stored: Sequence[_Stored], event_numbers: Sequence[int], groups: Mapping[GroupKey, int]) -> None:
    db, now = tx.connection, tx.now
    rows: list[Row] = []
    events: list[Row] = []
    for item, number in zip(stored, event_numbers, strict=True):
        payment, transfer = item.payment, item.payment.transfer
        state, reason, group = payment.state.value, codec.reason_column(payment.reason), None
        if payment.release_group is not None:
            group = groups[GroupKey(payment.caller, payment.connection_id, payment.release_group)]
        rows.append(
            (
                item.key,
                payment.connection_id,
                await tx.terms.terms_id(db, payment.terms),
                transfer.end_to_end_id,
                transfer.uetr,
                str(transfer.amount),
                transfer.currency,
                state,
                1,
                reason,
                now,
                now,
                payment.instant,
                payment.may_fall_back,
                payment.submitted_by,
                group,
                group is not None,
            )
        )
        events.append((number, item.key, state, reason, CALLER, now))
        if payment.state is PaymentState.APPROVED:
            tx.wake(payment.connection_id)
        elif payment.state is PaymentState.RECEIVED:
            tx.wake(REVIEW_LANE)
    await db.copy_records_to_table("payments", records=rows, columns=_PAYMENT_COLUMNS)
    transfers = [(item.key, item.content) for item in stored]
    await db.copy_records_to_table("transfers", records=transfers, columns=("payment_key", "content"))
    await db.copy_records_to_table("events", records=events, columns=_EVENT_COLUMNS)
    tx.rings = True


_PAYMENT_COLUMNS = (
    *("payment_key", "connection_id", "terms_id", "end_to_end_id", "uetr", "amount", "currency", "state", "version", "reason"),
    *("created_at", "updated_at", "instant", "may_fall_back", "submitted_by", "release_key", "release_waits"),
)
_EVENT_COLUMNS = ("seq", "payment_key", "state", "reason", "source", "occurred_at")

# -- finding -----------------------------------------------------------------------------------------------------------

_SELECT = """
SELECT p.payment_key, k.payment_id, k.caller, k.payment_reference, p.connection_id, terms.content, t.content, k.content_sha256,
    p.state, p.version, p.reason, d.delivery_id, d.message_id, b.payment_information_id, p.bank_status,
    p.account_servicer_reference, p.created_at, p.updated_at, p.instant, p.may_fall_back,
    r.uetr, rd.delivery_id, rd.message_id, rb.payment_information_id, r.reason, r.report_created, r.refused_at,
    p.submitted_by, g.group_id, g.name, p.release_waits
"""
_MESSAGES = """
LEFT JOIN blocks AS b ON b.block_key = p.block_key
LEFT JOIN deliveries AS d ON d.delivery_key = b.delivery_key
LEFT JOIN refused_attempts AS r ON r.payment_key = p.payment_key
LEFT JOIN blocks AS rb ON rb.block_key = r.block_key
LEFT JOIN deliveries AS rd ON rd.delivery_key = rb.delivery_key
"""
_JOINS = f"""
JOIN transfers AS t ON t.payment_key = p.payment_key
JOIN terms ON terms.terms_id = p.terms_id
{_MESSAGES}
LEFT JOIN release_groups AS g ON g.release_key = p.release_key
"""
_BY_KEY = "FROM payment_keys AS k JOIN payments AS p ON p.payment_key = k.payment_key"


def _same(moment: Any) -> Any:
    return moment


async def payment(db: Connection, payment_id: str) -> Payment | None:
    """The payment, or None."""
    row = await db.fetchrow(f"{_SELECT} {_BY_KEY} {_JOINS} WHERE k.payment_id = $1", payment_id)
    return None if row is None else payment_of(row, _same)


async def payments_by_reference(db: Connection, caller: str, references: Sequence[str]) -> dict[str, Payment]:
    """A caller's payments by their references; unknown ones are left out."""
    rows = await db.fetch(
        f"{_SELECT} {_BY_KEY} {_JOINS} WHERE k.caller = $1 AND k.payment_reference = ANY($2)", caller, list(references)
    )
    return {row[3]: payment_of(row, _same) for row in rows}


async def by_keys(db: Connection, keys: Sequence[int]) -> list[Row]:
    """The rows of `payment_of`, in the order of the keys, which ascend."""
    return await db.fetch(f"{_SELECT} {_BY_KEY} {_JOINS} WHERE p.payment_key = ANY($1) ORDER BY p.payment_key", list(keys))


async def list_payments(
    db: Connection, where: PaymentFilter, *, limit: int, before: str | None
) -> tuple[list[Payment], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    condition, values = _condition(where, codec.page_key("payments", before), limit + 1)
    # Keys and messages are joined to the page alone; the filter goes down the primary key, partition by partition.
    rows = await db.fetch(
        f"""
        WITH p AS MATERIALIZED (
            SELECT p.* FROM payments AS p WHERE p.payment_key < $1 AND {condition} ORDER BY p.payment_key DESC LIMIT $2
        )
        {_SELECT} FROM p JOIN payment_keys AS k ON k.payment_key = p.payment_key {_JOINS} ORDER BY p.payment_key DESC
        """,
        *values,
    )
    more = codec.page_token("payments", rows[limit - 1][0]) if len(rows) > limit else None
    return [payment_of(row, _same) for row in rows[:limit]], more


async def count_payments(db: Connection, where: PaymentFilter) -> dict[PaymentState, int]:
    """How many payments stand where."""
    condition, values = _condition(where)
    rows = await db.fetch(f"SELECT p.state, count(*) FROM payments AS p WHERE {condition} GROUP BY p.state", *values)
    return {codec.PAYMENT_STATES[row[0]]: row[1] for row in rows}


def _condition(where: PaymentFilter, *before: Any) -> tuple[str, list[Any]]:
    """The filter as SQL over `payments AS p`, and all values of the statement, those `before` first."""
    parts: list[str] = ["TRUE"]
    values: list[Any] = [*before]

    def add(part: str, value: Any) -> None:
        values.append(value)
        parts.append(part.format(f"${len(values)}"))

    if where.caller is not None:
        add("(SELECT k.caller FROM payment_keys AS k WHERE k.payment_key = p.payment_key) = {}", where.caller)
    if where.connection_id is not None:
        add("p.connection_id = {}", where.connection_id)
    if where.connection_ids is not None:
        add("p.connection_id = ANY({})", list(where.connection_ids))
    if where.states:
        add("p.state = ANY({})", [state.value for state in where.states])
    if where.end_to_end_id is not None:
        add("p.end_to_end_id = {}", where.end_to_end_id)
    for column in ("message_id", "delivery_id"):
        value = getattr(where, column)
        if value is not None:
            blocks = f"SELECT block_key FROM blocks JOIN deliveries AS d USING (delivery_key) WHERE d.{column} = {{}}"
            add(f"p.block_key = ANY(ARRAY({blocks}))", value)
    if where.created_from is not None:
        add("p.created_at >= {}", where.created_from)
    if where.created_until is not None:
        add("p.created_at < {}", where.created_until)
    return " AND ".join(parts), values


# -- matching ----------------------------------------------------------------------------------------------------------

_CANDIDATES = f"""
SELECT p.payment_key, k.payment_id, p.version, p.state, p.connection_id, d.delivery_id, d.message_id, b.payment_information_id,
    p.end_to_end_id, p.uetr, p.amount, p.currency, p.bank_status, p.account_servicer_reference, k.caller, k.payment_reference,
    p.may_fall_back, rd.delivery_id, rd.message_id, rb.payment_information_id, r.uetr, r.report_created
{{find}}
{_MESSAGES}
WHERE p.connection_id = $1 AND {{which}}
"""
_WITH_KEYS = "FROM payments AS p JOIN payment_keys AS k ON k.payment_key = p.payment_key"
_BY_REFUSED = f"{_WITH_KEYS} JOIN refused_attempts AS w ON w.payment_key = p.payment_key"


async def find_candidates(db: Connection, connection_id: str, keys: Keys) -> list[Candidate]:
    """In the order in which the payments were stored; of one payment its refused attempt after its present one."""
    found: dict[int, tuple[Candidate, ...]] = {}
    for find, column, wanted in (
        (_BY_KEY, "k.payment_id", keys.payment_ids),
        (_WITH_KEYS, "p.end_to_end_id", keys.end_to_end_ids),
        (_WITH_KEYS, "p.uetr", keys.uetrs),
        (_WITH_KEYS, "p.account_servicer_reference", keys.account_servicer_references),
        (_BY_REFUSED, "w.uetr", keys.uetrs),
    ):
        if not wanted:
            continue
        statement = _CANDIDATES.format(find=find, which=f"{column} = ANY($2)")
        for row in await db.fetch(statement, connection_id, list(wanted)):
            if row[0] not in found:
                found[row[0]] = candidates_of(row)
    return [candidate for key in sorted(found) for candidate in found[key]]


async def archived_payments(db: Connection, connection_id: str, keys: Keys) -> list[ArchivedPayment]:
    """Those of the connection that any of the payment ids or end-to-end ids names, in the order of their ids."""
    rows = await db.fetch(
        """
        SELECT payment_id, payment_reference, archived_state, archived_end_to_end_id FROM payment_keys
        WHERE connection_id = $1 AND archived_state IS NOT NULL AND payment_id = ANY($2)
        UNION
        SELECT payment_id, payment_reference, archived_state, archived_end_to_end_id FROM payment_keys
        WHERE connection_id = $1 AND archived_state IS NOT NULL AND archived_end_to_end_id = ANY($3)
        ORDER BY payment_id
        """,
        connection_id,
        list(keys.payment_ids),
        list(keys.end_to_end_ids),
    )
    return [
        ArchivedPayment(payment_id=row[0], payment_reference=row[1], state=codec.PAYMENT_STATES[row[2]], end_to_end_id=row[3])
        for row in rows
    ]
