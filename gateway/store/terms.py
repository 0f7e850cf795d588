"""Terms are stored once and named by a number: payments with equal terms share it, and that is what batching groups by."""

import hashlib
from functools import lru_cache

from formats.model import PaymentTerms
from gateway.store import codec

REMEMBERED = 4096


class TermsNumbers:
    """The numbers of terms seen lately. Belongs to the one writer of a process."""

    def __init__(self) -> None:
        self._ids: dict[PaymentTerms, int] = {}

    def get(self, terms: PaymentTerms) -> int | None:
        """The number, if it is remembered."""
        return self._ids.get(terms)

    def note(self, terms: PaymentTerms, terms_id: int) -> int:
        """Remembers it."""
        if len(self._ids) >= REMEMBERED:
            self._ids.clear()
        self._ids[terms] = terms_id
        return terms_id

    def forget(self) -> None:
        """After a roll-back, which may have taken back terms just stored."""
        self._ids.clear()


def digest_and_content(terms: PaymentTerms) -> tuple[bytes, bytes]:
    """What a new row of terms holds: SHA-256 of the content, and the content."""
    content = codec.terms_column(terms)
    return hashlib.sha256(content).digest(), content


@lru_cache(maxsize=REMEMBERED)
def terms_of(content: bytes) -> PaymentTerms:
    """The terms of a stored content; the same object for the same bytes, as a page of payments mostly shares them."""
    return codec.terms_of(content)
