"""Lanes: what the local engine runs on. A wake is a row; a claim takes the wakes that are due by then and leaves the later ones,
so that no wake is lost whatever the runner knows of the future.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from gateway.store import codec
from gateway.store.sqlite.writer import Tx


def claim_lane(tx: Tx, owner: str, now: datetime, lease: timedelta, lanes: Sequence[str]) -> tuple[str, int] | None:
    """The lane that has been due longest. One whose lease ended is due since then: its runner is taken to be dead."""
    at = codec.micros(now)
    _doubt_leases(tx, now, lease, lanes)
    found = tx.db.execute(
        """
        SELECT wanted.value AS lane, CASE WHEN l.owner IS NOT NULL THEN l.lease_until
            ELSE (SELECT min(due_at) FROM wakes WHERE lane = wanted.value) END AS since
        FROM json_each(?) AS wanted LEFT JOIN lanes AS l ON l.lane = wanted.value
        WHERE since <= ? ORDER BY since LIMIT 1
        """,
        (codec.json_list(lanes), at),
    ).fetchone()
    if found is None:
        return None
    lane = str(found[0])
    (ticket,) = tx.db.execute(
        """
        INSERT INTO lanes (lane, owner, ticket, lease_until) VALUES (?, ?, 1, ?)
        ON CONFLICT (lane) DO UPDATE SET owner = excluded.owner, ticket = ticket + 1, lease_until = excluded.lease_until
        RETURNING ticket
        """,
        (lane, owner, codec.micros(now + lease)),
    ).fetchone()
    tx.db.execute("DELETE FROM wakes WHERE lane = ? AND due_at <= ?", (lane, at))
    return lane, int(ticket)


def _doubt_leases(tx: Tx, now: datetime, lease: timedelta, lanes: Sequence[str]) -> None:
    """A lease that ends later than any could was dated by a clock that was ahead. Its runner, if it lives, renews within the one
    lease from now that it is left with; if it is dead, the lane is free after that, and not only when that hour has come."""
    tx.db.execute(
        """
        UPDATE lanes SET lease_until = ? WHERE owner IS NOT NULL AND lease_until > ?
            AND lane IN (SELECT value FROM json_each(?))
        """,
        (codec.micros(now + lease), codec.micros(now + 2 * lease), codec.json_list(lanes)),
    )


def extend_lane(tx: Tx, lane: str, owner: str, ticket: int, lease_until: datetime) -> bool:
    """Sets a new end of the lease. False: the claim has been lost."""
    changed = tx.db.execute(
        "UPDATE lanes SET lease_until = ? WHERE lane = ? AND owner = ? AND ticket = ?",
        (codec.micros(lease_until), lane, owner, ticket),
    ).rowcount
    return bool(changed)


def release_lane(tx: Tx, lane: str, owner: str, ticket: int, not_before: datetime | None) -> None:
    """One who lost the lane meanwhile takes nothing from its new runner, but may still ask for a wake."""
    tx.db.execute(
        "UPDATE lanes SET owner = NULL, lease_until = NULL WHERE lane = ? AND owner = ? AND ticket = ?", (lane, owner, ticket)
    )
    if not_before is not None:
        tx.wake(lane, codec.micros(not_before))
