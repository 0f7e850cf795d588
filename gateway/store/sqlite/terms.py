"""The numbers of terms in SQLite."""

import sqlite3

from formats.model import PaymentTerms
from gateway.store.terms import TermsNumbers, digest_and_content


class TermsCache(TermsNumbers):
    """Belongs to the writer's thread."""

    def terms_id(self, db: sqlite3.Connection, terms: PaymentTerms) -> int:
        """The number of these terms, stored now if they are new."""
        known = self.get(terms)
        return self.note(terms, _store(db, terms)) if known is None else known


def _store(db: sqlite3.Connection, terms: PaymentTerms) -> int:
    digest, content = digest_and_content(terms)
    row = db.execute("SELECT terms_id FROM terms WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        row = db.execute("INSERT INTO terms (digest, content) VALUES (?, ?) RETURNING terms_id", (digest, content)).fetchone()
    return int(row[0])
