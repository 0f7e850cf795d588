"""Whether a log is as it was written: the first line that does not fit, and why.

What can be told from the lines alone: that none was altered, taken out, put in or moved. Whoever can write the whole table can
make a new chain that fits in itself; only checkpoints that were kept elsewhere tell that, and that lines were cut off at the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gateway.audit.anchor import PRUNED, Beginning
from gateway.audit.chain import AuditHead, AuditRow, fault_of, line_hash
from gateway.audit.checkpoint import Claim
from gateway.audit.events import SEALED, seal_told
from gateway.audit.lines import ERASED, erased_by
from gateway.audit.merkle import Frontier

TRIED: Final = 300  # numbers on both sides of a line's, to find as what it was written


class Kind(StrEnum):
    ALTERED = "altered"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CUT_OFF = "cut_off"
    OTHER_LOG = "other_log"  # a checkpoint is of another log, or of this one before it was written anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first line that does not fit, and what is wrong with it or before it."""

    number: int
    kind: Kind
    text: str


class Verifier:
    """Takes lines in their order, some at a time. `claims`: what checkpoints say, in any order. `beginning`: of a log whose first
    lines were taken out; of claims about some of these nothing can be told."""

    def __init__(self, claims: Sequence[Claim] = (), beginning: Beginning | None = None) -> None:
        self.fault: Fault | None = None
        self.head = beginning.head if beginning else AuditHead()
        self.first = self.head.number + 1  # the line that is verified first
        self.seals: dict[str, tuple[str, int]] = {}  # what lines tell of seals over events: hash, and number of the line
        self.pruned: list[AuditRow] = []  # the lines that tell of lines taken out
        self.erased = 0  # lines that are without a part
        self._gone: set[tuple[int, str]] = set()
        self._told: set[tuple[int, str]] = set()
        self.log = beginning.log if beginning else ""  # its name
        self._tree = Frontier(self.head.number, beginning.frontier) if beginning else Frontier()
        self._left = sorted((claim for claim in claims if claim.size >= self.head.number), key=lambda claim: claim.size)
        self.claims_before = len(claims) - len(self._left)  # of which nothing can be told
        self._agreed = self.head.number  # lines up to the last checkpoint that agreed
        self._waiting: list[AuditRow] = []  # a line is judged when the one after it is known
        if beginning is not None:
            self.fault = self._agree()

    @property
    def root(self) -> bytes:
        """Of all lines taken."""
        return self._tree.root

    @property
    def untold(self) -> list[tuple[int, str]]:
        """Parts that are gone (number of the line, part) without a line that tells who erased them and why. Not to be asked of an
        export, where parts are masked."""
        return sorted(self._gone - self._told)

    def take(self, rows: Sequence[AuditRow]) -> None:
        """Goes on with these lines. After a fault it takes no more."""
        self._waiting += rows
        self._judge(keep=1)

    def _judge(self, keep: int) -> None:
        known, self._waiting = self._waiting, self._waiting[max(0, len(self._waiting) - keep) :]
        for place in range(max(0, len(known) - keep)):
            if self.fault is not None:
                return
            row = known[place]
            self.fault = self._fault_of(row, known[place + 1 :]) or self._follow(row)

    def finish(self) -> Fault | None:
        """The verdict, after the last line."""
        self._judge(keep=0)
        if self.fault is None and self._left:
            claim, number = self._left[0], self.head.number
            self.fault = Fault(
                number=number + 1,
                kind=Kind.CUT_OFF,
                text=f"cut off at the end: a checkpoint tells of {claim.size} lines, and there are {number}",
            )
        return self.fault

    def _follow(self, row: AuditRow) -> Fault | None:
        self.head = AuditHead(number=row.number, hash=row.hash)
        self.log = self.log or row.hash.hex()
        self.erased += bool(row.erased)
        self._gone.update((row.number, part.value) for part in row.erased)
        if row.action == ERASED:
            self._told.update(erased_by(row))
        elif row.action == SEALED and (told := seal_told(row.object_id, row.detail)) is not None:
            self.seals.setdefault(told[0], (told[1], row.number))  # the first: a seal is told of once
        elif row.action == PRUNED:
            self.pruned.append(row)
        self._tree.extend([row.hash])
        return self._agree()

    def _agree(self) -> Fault | None:
        """Compares with the checkpoints that end at the last line taken."""
        number = self.head.number
        while self._left and self._left[0].size == number:
            claim = self._left.pop(0)
            if (claim.log, claim.head, claim.root) != (self.log, self.head.hash.hex(), self.root.hex()):
                return Fault(
                    number=min(self._agreed + 1, number),
                    kind=Kind.OTHER_LOG,
                    text=f"lines {min(self._agreed + 1, number)} to {number} are not those of the checkpoint over {claim.size}"
                    " lines, although they fit among themselves: they were written anew, or the checkpoint is of another log",
                )
            self._agreed = number
        return None

    def _fault_of(self, row: AuditRow, following: Sequence[AuditRow]) -> Fault | None:
        expected = self.head.number + 1
        if row.number > expected:
            last = f" to {row.number - 1}" if row.number > expected + 1 else ""
            return Fault(number=expected, kind=Kind.MISSING, text=f"missing: there is no line {expected}{last}")
        if row.number < expected:
            return Fault(number=row.number, kind=Kind.INSERTED, text=f"inserted: there is a second line {row.number}")
        within = fault_of(row)
        if within is None and row.previous_hash == self.head.hash:
            return None
        if within is not None:
            return self._moved(row, following) or Fault(number=row.number, kind=Kind.ALTERED, text=within)
        if self.head.number >= self.first and following and following[0].previous_hash == row.hash:
            text = "altered: it was replaced, hash and all, after the line behind it was written"
            return Fault(number=self.head.number, kind=Kind.ALTERED, text=text)
        text = "altered: it does not follow the line before it; one of the two was replaced"
        return Fault(number=row.number, kind=Kind.ALTERED, text=text)

    def _moved(self, row: AuditRow, following: Sequence[AuditRow]) -> Fault | None:
        """Where the line is whole, only not at its place."""
        written_as = _number_of(row)
        if written_as is None:
            return None
        if written_as > row.number and any(_fits_at(other, row.number) for other in following):
            return Fault(number=row.number, kind=Kind.REORDERED, text=f"reordered: it was written as line {written_as}")
        if written_as > row.number:
            text = f"missing: it was written as line {written_as}; lines before it were taken out and the rest numbered anew"
            return Fault(number=row.number, kind=Kind.MISSING, text=text)
        text = f"inserted: it was written as line {written_as}; lines were put in before it and the rest numbered anew"
        return Fault(number=row.number, kind=Kind.INSERTED, text=text)


def _fits_at(row: AuditRow, number: int) -> bool:
    return line_hash(replace(row, number=number)) == row.hash


def _number_of(row: AuditRow) -> int | None:
    near: Iterable[int] = range(max(1, row.number - TRIED), row.number + TRIED)
    return next((number for number in near if number != row.number and _fits_at(row, number)), None)
