"""Beneficiaries found while somebody types, in a time that does not grow with how many fit.

How many words begin so is counted up to `FEW`. A rare beginning: what it fits is looked up and the rest of the query tried on it.
Where every beginning is common, the plans are walked in the order in which they are shown, and the first that fit are the answer;
those beyond `WALKED` are left to who types on.
"""

import json
import sqlite3
from collections.abc import Sequence
from itertools import pairwise

from gateway.store.plans import FEW, WALKED

END = "\U0010ffff"  # after every word that begins alike
_BEGINS = "w.word >= ? AND w.word < ?"
_OFFERED = "p.caller = ? AND p.kind = 'beneficiary' AND p.state = 'active'"
_BEST = "p.used DESC, p.last_used_at DESC, p.plan_key DESC"
Words = Sequence[Sequence[str]]


def found_keys(db: sqlite3.Connection, caller: str, words: Words, since: int, limit: int) -> tuple[list[int], bool]:
    """The plan keys, the best first; and whether all that fit were looked at."""
    if not words:
        return [], True
    sized = sorted((_size(db, caller, any_of), place) for place, any_of in enumerate(words))
    rarest_first = [words[place] for _, place in sized]
    if sized[0][0] <= FEW:
        return _among(db, caller, rarest_first, since, limit), True
    found, whole = _walked(db, caller, rarest_first, since, limit)
    if whole:
        return found, True
    more = _among(db, caller, rarest_first, since, limit)
    return list(dict.fromkeys((*found, *more)))[:limit], False


def _size(db: sqlite3.Connection, caller: str, any_of: Sequence[str]) -> int:
    """How many words begin so, counted up to a little more than `FEW`."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM plan_words AS w WHERE w.caller = ? AND {_BEGINS} LIMIT ?)"
    counted = (db.execute(sql, (caller, one, one + END, FEW + 1)).fetchone() for one in any_of)
    return sum(int(count) for (count,) in counted)


def _fits(words: Words) -> tuple[str, list[str]]:
    """The condition that a plan has a word for each, looked up plan by plan; and its values."""
    has = f"EXISTS (SELECT 1 FROM plan_words AS w WHERE w.plan_key = p.plan_key AND {_BEGINS})"
    parts = [f"({' OR '.join([has] * len(any_of))})" for any_of in words]
    return " AND ".join(parts) or "true", [value for any_of in words for one in any_of for value in (one, one + END)]


def _among(db: sqlite3.Connection, caller: str, words: Words, since: int, limit: int) -> list[int]:
    """Of the first `FEW` that the first word fits, those that fit the others too."""
    first, (others, values) = words[0], _fits(words[1:])
    one_range = f"SELECT DISTINCT plan_key FROM (SELECT w.plan_key FROM plan_words AS w WHERE w.caller = ? AND {_BEGINS} LIMIT ?)"
    ranges = " UNION ".join([one_range] * len(first))
    rows = db.execute(
        f"""
        SELECT p.plan_key FROM ({ranges}) AS f CROSS JOIN plans AS p USING (plan_key)
        WHERE {_OFFERED} AND {others} ORDER BY coalesce(p.last_used_at, 0) >= ? DESC, {_BEST} LIMIT ?
        """,
        (*(value for one in first for value in (caller, one, one + END, FEW)), caller, *values, since, limit),
    )
    return [key for (key,) in rows]


def _walked(db: sqlite3.Connection, caller: str, words: Words, since: int, limit: int) -> tuple[list[int], bool]:
    """The first that fit in the order in which they are shown, and whether no better one and no other one was passed over."""
    found: list[int] = []
    # Used lately, then the others; what was used has a use, by which most of the index is passed over.
    for lately in ("p.used > 0 AND p.last_used_at >= ?", "coalesce(p.last_used_at, 0) < ?"):
        rows = db.execute(
            f"""
            SELECT p.plan_key FROM plans AS p INDEXED BY plans_best
            WHERE {_OFFERED} AND {lately} ORDER BY {_BEST} LIMIT ?
            """,
            (caller, since, WALKED[-1] + 1),
        )
        offered = [key for (key,) in rows]
        for start, end in pairwise((0, *WALKED)):
            found += _first(db, offered[start:end], words, limit - len(found))
            if len(found) == limit:
                return found, True
        if len(offered) > WALKED[-1]:
            return found, False
    return found, True


def _first(db: sqlite3.Connection, offered: list[int], words: Words, limit: int) -> list[int]:
    """The first of what is offered that fit."""
    fits, values = _fits(words)
    rows = db.execute(
        f"SELECT p.plan_key FROM (SELECT key, value AS plan_key FROM json_each(?)) AS p WHERE {fits} ORDER BY p.key LIMIT ?",
        (json.dumps(offered), *values, limit),
    )
    return [key for (key,) in rows]
