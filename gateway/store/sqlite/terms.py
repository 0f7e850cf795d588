"""Terms are stored once and named by a number: payments with equal terms share it, and that is what batching groups by."""

import hashlib
import sqlite3
from functools import lru_cache

from formats.model import PaymentTerms
from gateway.store.sqlite import codec

REMEMBERED = 4096


class TermsCache:
    """The numbers of terms seen lately. Belongs to the writer's thread."""

    def __init__(self) -> None:
        self._ids: dict[PaymentTerms, int] = {}

    def terms_id(self, db: sqlite3.Connection, terms: PaymentTerms) -> int:
        """The number of these terms, stored now if they are new."""
        known = self._ids.get(terms)
        if known is None:
            if len(self._ids) >= REMEMBERED:
                self._ids.clear()
            known = self._ids[terms] = _store(db, terms)
        return known

    def forget(self) -> None:
        """After a roll-back, which may have taken back terms just stored."""
        self._ids.clear()


def _store(db: sqlite3.Connection, terms: PaymentTerms) -> int:
    content = codec.terms_column(terms)
    digest = hashlib.sha256(content).digest()
    row = db.execute("SELECT terms_id FROM terms WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        row = db.execute("INSERT INTO terms (digest, content) VALUES (?, ?) RETURNING terms_id", (digest, content)).fetchone()
    return int(row[0])


@lru_cache(maxsize=REMEMBERED)
def terms_of(content: bytes) -> PaymentTerms:
    """The terms of a stored content; the same object for the same bytes, as a page of payments mostly shares them."""
    return codec.terms_of(content)
