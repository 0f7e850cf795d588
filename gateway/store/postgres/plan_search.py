"""Beneficiaries found while somebody types, in PostgreSQL; how and why stands in `gateway.store.sqlite.plan_search`.

Whether a plan has a word that fits is asked plan by plan (a subquery with LIMIT, which the planner does not turn into a join): a
join would read every word of a short beginning first.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from gateway.store.plans import FEW, WALKED
from gateway.store.postgres.connection import Connection

END = "\U0010ffff"  # after every word that begins alike
_OFFERED = "p.caller = $1 AND p.kind = 'beneficiary' AND p.state = 'active'"
_BEST = "p.used DESC, p.last_used_at DESC NULLS LAST, p.plan_key DESC"
Words = Sequence[Sequence[str]]


class _Values(list[Any]):
    """The values of a statement; `mark` adds one and gives its place."""

    def mark(self, value: Any) -> str:
        self.append(value)
        return f"${len(self)}"


async def found_keys(db: Connection, caller: str, words: Words, since: datetime, limit: int) -> tuple[list[int], bool]:
    """The plan keys, the best first; and whether all that fit were looked at."""
    if not words:
        return [], True
    sized = sorted([(await _size(db, caller, any_of), place) for place, any_of in enumerate(words)])
    rarest_first = [words[place] for _, place in sized]
    if sized[0][0] <= FEW:
        return await _among(db, caller, rarest_first, since, limit), True
    found, whole = await _walked(db, caller, rarest_first, since, limit)
    if whole:
        return found, True
    more = await _among(db, caller, rarest_first, since, limit)
    return list(dict.fromkeys((*found, *more)))[:limit], False


async def _size(db: Connection, caller: str, any_of: Sequence[str]) -> int:
    """How many words begin so, counted up to a little more than `FEW`."""
    sql = """
    SELECT count(*) FROM (SELECT 1 FROM plan_words AS w WHERE w.caller = $1 AND w.word >= $2 AND w.word < $3 LIMIT $4) AS f
    """
    return sum([int(await db.fetchval(sql, caller, one, one + END, FEW + 1)) for one in any_of])


def _fits(words: Words, values: _Values) -> str:
    """The condition that a plan has a word for each."""

    def has(one: str) -> str:
        return (
            "coalesce((SELECT true FROM plan_words AS w WHERE w.plan_key = p.plan_key"
            f" AND w.word >= {values.mark(one)} AND w.word < {values.mark(one + END)} LIMIT 1), false)"
        )

    return " AND ".join(f"({' OR '.join(has(one) for one in any_of)})" for any_of in words) or "true"


async def _among(db: Connection, caller: str, words: Words, since: datetime, limit: int) -> list[int]:
    """Of the first `FEW` that the first word fits, those that fit the others too."""
    values = _Values([caller, since, limit, FEW])
    ranges = " UNION ".join(
        "SELECT DISTINCT plan_key FROM (SELECT w.plan_key FROM plan_words AS w WHERE w.caller = $1"
        f" AND w.word >= {values.mark(one)} AND w.word < {values.mark(one + END)} LIMIT $4) AS one"
        for one in words[0]
    )
    rows = await db.fetch(
        f"""
        WITH f AS MATERIALIZED ({ranges})
        SELECT p.plan_key FROM f JOIN plans AS p USING (plan_key) WHERE {_OFFERED} AND {_fits(words[1:], values)}
        ORDER BY (p.last_used_at IS NOT NULL AND p.last_used_at >= $2) DESC, {_BEST} LIMIT $3
        """,
        *values,
    )
    return [row[0] for row in rows]


async def _walked(db: Connection, caller: str, words: Words, since: datetime, limit: int) -> tuple[list[int], bool]:
    """The first that fit in the order in which they are shown, and whether no better one and no other one was passed over."""
    found: list[int] = []
    # Used lately, then the others; what was used has a use, by which most of the index is passed over.
    for lately in ("p.used > 0 AND p.last_used_at >= $2", "(p.last_used_at IS NULL OR p.last_used_at < $2)"):
        rows = await db.fetch(
            f"SELECT p.plan_key FROM plans AS p WHERE {_OFFERED} AND {lately} ORDER BY {_BEST} LIMIT $3",
            *(caller, since, WALKED[-1] + 1),
        )
        offered = [row[0] for row in rows]
        for start, end in pairwise((0, *WALKED)):
            found += await _first(db, offered[start:end], words, limit - len(found))
            if len(found) == limit:
                return found, True
        if len(offered) > WALKED[-1]:
            return found, False
    return found, True


async def _first(db: Connection, offered: list[int], words: Words, limit: int) -> list[int]:
    """The first of what is offered that fit."""
    values = _Values([offered, limit])
    rows = await db.fetch(
        f"""
        SELECT p.plan_key FROM unnest($1::bigint[]) WITH ORDINALITY AS p (plan_key, place)
        WHERE {_fits(words, values)} ORDER BY p.place LIMIT $2
        """,
        *values,
    )
    return [row[0] for row in rows]
