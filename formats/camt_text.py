"""Entries of a camt file read from their text: what `formats.camt` makes of an entry's tree, by the same shapes and records."""

from typing import Any

from formats.camt_plan import without_references
from formats.camt_records import NoAmount, entry_record, transaction_record
from formats.camt_shapes import DETAILS, ENTRY, TRANSACTION
from formats.report import Entry, EntryTransaction
from formats.shapes import Supplement
from formats.shapes_text import Odd, Records, Walk, Within, split

_TRANSACTIONS = {"TxDtls": Within(shape=TRANSACTION, whole=True, within={})}
_ENTRY = Within(
    shape=ENTRY, whole=True, within={"NtryDtls": Within(shape=DETAILS, whole=False, within=_TRANSACTIONS), **_TRANSACTIONS}
)

_MISSES_MAX = 64  # beside one for every entry that was read


def _no_record(_name: str, _found: dict[str, Any], _supplement: Supplement, _top: dict[str, Any]) -> None:
    """Where nothing within is a record of its own."""


def entry_walk(heard: frozenset[str], *, prefix: str | None) -> Walk:
    """What reads entries; `heard` are the names of the elements that the readers are called for wherever they stand."""
    return Walk("Ntry", _ENTRY, heard, prefix=prefix)


def transaction_walk(heard: frozenset[str]) -> Walk:
    """What reads transactions alone, from the text of their tree."""
    return Walk("TxDtls", _TRANSACTIONS["TxDtls"], heard, prefix=None)


class Texts:
    """Reads elements from their texts."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._read = self._missed = 0

    @property
    def worthwhile(self) -> bool:
        """Whether these elements are read so as a rule."""
        return self._missed <= _MISSES_MAX + self._read

    def read(self, text: str, record: Records = _no_record) -> tuple[dict[str, Any], Supplement] | None:
        """What is wanted of this element and what is left over; None where a tree must be built to know it.

        The text must be well-formed but for its tags, which are looked at here.
        """
        parts = split(text)
        texts = [*map(str.strip, parts[1::2])]
        try:
            if "&" in text:
                texts = _without_references(texts)
            read = self._walk.read(parts[::2], texts, record)
        except Odd:
            self._missed += 1
            return None
        self._read += 1
        return read


class EntryTexts(Texts):
    """Reads the entries of one statement."""

    def __init__(self, walk: Walk, statement_id: str | None, own_accounts: frozenset[str]) -> None:
        super().__init__(walk)
        self._statement_id = statement_id
        self.own_accounts = own_accounts

    def record(self, text: str) -> Entry | None:
        """The record of this entry; None where a tree must be built to know it, or to say what is wrong with it."""
        entry = _Entry(self.own_accounts)
        read = self.read(text, entry.within)
        try:
            return (
                None
                if read is None
                else entry_record(*read, statement_id=self._statement_id, batch=entry.batch, transactions=entry.transactions)
            )
        except NoAmount:
            return None


def _without_references(texts: list[str]) -> list[str]:
    known = [without_references(text) if "&" in text else text for text in texts]
    cleared = [text.strip() for text in known if text]
    if len(cleared) != len(texts) or "" in cleared:
        raise Odd
    return cleared


class _Entry:
    """What is gathered of one entry on the way."""

    def __init__(self, own_accounts: frozenset[str]) -> None:
        self.batch: dict[str, Any] = {}
        self.transactions: list[EntryTransaction] = []
        self._own_accounts = own_accounts
        self._direction: str | None = None
        self._reversal = False

    def within(self, name: str, found: dict[str, Any], supplement: Supplement, entry: dict[str, Any]) -> None:
        """A NtryDtls or a TxDtls is complete."""
        if name == "NtryDtls":
            self.batch = found or self.batch
            return
        if not self.transactions:
            self._direction, self._reversal = entry.get("credit_debit"), entry.get("reversal") in ("true", "1")
        self.transactions.append(
            transaction_record(
                found, supplement, direction=self._direction, reversal=self._reversal, own_accounts=self._own_accounts
            )
        )
