"""The numbers of terms in PostgreSQL."""

from formats.model import PaymentTerms
from gateway.store.postgres.connection import Connection
from gateway.store.terms import TermsNumbers, digest_and_content


class TermsCache(TermsNumbers):
    """Belongs to the writer."""

    async def terms_id(self, db: Connection, terms: PaymentTerms) -> int:
        """The number of these terms, stored now if they are new."""
        known = self.get(terms)
        return self.note(terms, await _store(db, terms)) if known is None else known


async def _store(db: Connection, terms: PaymentTerms) -> int:
    """Another process may be storing the same: then the insertion waits for it and inserts nothing, and the row can be read."""
    digest, content = digest_and_content(terms)
    find = "SELECT terms_id FROM terms WHERE digest = $1"
    found = await db.fetchval(find, digest)
    if found is None:
        found = await db.fetchval(
            "INSERT INTO terms (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING RETURNING terms_id",
            digest,
            content,
        )
    if found is None:
        found = await db.fetchval(find, digest)
    return int(found)
