"""Large camt files: the records of the plain reader, at a fraction of its cost.

The plain reader (`formats.camt`) reads a frame of the document, which is all that stands outside the entries with the first
entry of each run of them; and it teaches the plans (`formats.camt_plan`) by which entries of a frequent shape are read without
it. Entries of other shapes are read from their texts (`formats.camt_text`), by the shapes and to the records that the plain
reader has; those that such a reading does not take for certain are the plain reader's again.

Two passes, in constant memory. The first looks where entries begin and end, and hands the file to the plain reader whole where
that cannot be told for certain or would not pay. In well-formed XML every `<` opens a tag unless a comment, a CDATA section or a
processing instruction is about (XML 1.0, 2.4 to 2.7), so where none of these begins, the cut is exact. The second reads the
entries. Whatever it meets that it does not know for certain, a broken file first of all, makes it start the plain reader and
pass over as many records as were told already, which are the same: so errors are the plain reader's own, with their lines.
"""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO, cast

from formats.camt_plan import Plan, Shape, Unlearnable, accounts_in, learn, parts_and_texts
from formats.camt_text import EntryTexts, entry_walk
from formats.errors import Unparsable
from formats.report import Document, Entry, ReportRecord, Statement
from formats.shapes_text import Walk
from formats.twins import NoTwin
from formats.xml import Utf8Reader

READS = frozenset(("camt.052", "camt.053", "camt.054"))
PlainReader = Callable[[BinaryIO], Iterator[ReportRecord]]

ENTRIES_MIN = 256  # fewer are not worth two passes, unless they are large; nor are runs that are shorter on average
_ENTRY_BYTES_USUAL = 1024
ENTRY_BYTES_MAX = 1024 * 1024
_FRAME_BYTES_MAX = 512 * 1024  # with an entry it stays within what the plain reader allows between two records
_READ_BYTES = 256 * 1024
_PLANNED_CHARACTERS_MAX = 32 * 1024  # a longer entry is read plainly: no bound of the reader's on one record is near
_SHAPES_CHARACTERS_MAX = 2 * 1024 * 1024  # of all shapes kept at a time
_VARIANTS_MAX = 512  # of one shape
_SIGHTS = 2  # a shape is learned when it is met this often
_PLANS_MAX = 1024
_PLANS_CHARACTERS_MAX = 1024 * 1024  # of the entries they were learned from
_PLANS_AT_ONCE = 8  # learning costs as much as reading some six entries: after these, one plan for every
_ENTRIES_A_PLAN = 25  # entries looked up
_PATTERNS_MAX = 8  # compiled; compiling costs as much as reading some fifteen entries, so it is for plans that are
_PATTERN_USES_MIN = 32  # used this often, and for one in `_PATTERNS_MAX` of the entries that were looked up
_RESTS = (1, 64)  # blocks read without plans after one in which not one entry in `_HITS_MIN` had a plan: ever more, for a file
# of ever new shapes, from the first number to the second
_HITS_MIN = 8

_FIRST = re.compile(rb"<(?:([A-Za-z_][A-Za-z0-9_.-]*):|())Ntry>")
_NOWHERE = b"\xff"  # in no UTF-8
_BLANKS = b" \t\r\n"
_DECLARATION = re.compile(
    rb"""<\?xml\s+version\s*=\s*(?:"1\.0"|'1\.0')(?:\s+encoding\s*=\s*(?:"[\w.-]+"|'[\w.-]+'))?"""
    rb"""(?:\s+standalone\s*=\s*(?:"(?:yes|no)"|'(?:yes|no)'))?\s*\?>"""
)
_STATEMENT_START = re.compile(rb"<(?:[\w.-]+:)?(?:Stmt|Rpt|Ntfctn)[\s>]")
_STATEMENT_END = re.compile(rb"</(?:[\w.-]+:)?(?:Stmt|Rpt|Ntfctn)\s*>")
_NOT_ANGLES = bytes(set(range(256)) - set(b"<>"))
_CONTROLS = bytes(set(range(32)) - set(_BLANKS))
_NO_CHARACTERS = ("\x00", "\ufffe", "\uffff")  # of the last two XML knows nothing, though UTF-8 can write them


class _Marks:
    """How the entries of a file begin and end."""

    def __init__(self, prefix: str = "") -> None:
        name = f"{prefix}:Ntry" if prefix else "Ntry"
        self.prefix = prefix
        self.start_text, self.end_text = f"<{name}>", f"</{name}>"
        self.start, self.end = self.start_text.encode(), self.end_text.encode()
        end, start = re.escape(self.end), re.escape(self.start)
        self.run_end = re.compile(end + rb"[ \t\r\n]*+(?!" + start + rb")")
        self.between = re.compile(end + rb"[ \t\r\n]*+" + start)


def _marks(source: BinaryIO) -> _Marks:
    """Those of the first entry, where one is near the beginning."""
    found = _FIRST.search(Utf8Reader(source).read(_READ_BYTES))
    return _Marks("" if found is None else (found[1] or b"").decode())


class _Odd(Exception):
    """Something that is not known for certain: the plain reader must read the file."""


@dataclass(slots=True)
class Tally:
    """For tests and measurements: how the entries of a file were read."""

    by_plan: int = 0
    by_text: int = 0
    plainly: int = 0
    plans: int = 0
    given_up: bool = False


def records(source: BinaryIO, plainly: PlainReader, heard: frozenset[str], tally: Tally | None = None) -> Iterator[ReportRecord]:
    """The records of a camt file, in reading order: those that `plainly(source)` gives, or its `Unparsable`.

    `heard` are the names of all elements that the plain reader is called for.
    """
    tally = tally or Tally()
    told = 0
    try:
        marks = _marks(source)
        frame = _surveyed(source, marks)
        if frame is not None:
            for record in _Reading(
                source, marks, frame, entry_walk(heard, prefix=marks.prefix), plainly=plainly, tally=tally
            ).records():
                yield record
                told += 1
            return
    except (_Odd, Unparsable, UnicodeDecodeError):
        pass  # the plain reader says what is wrong, if anything is, and on which line
    tally.given_up = True
    yield from islice(plainly(source), told, None)


@dataclass(slots=True)
class _Frame:
    """What stands outside the entries: before each run of them, and after the last; and how many entries each run has."""

    outside: list[bytes]
    firsts: list[bytes]
    counts: list[int]

    def document(self) -> bytes:
        """The document with one entry for each run."""
        runs = zip(self.outside, self.firsts, strict=False)
        return b"".join(part for run in runs for part in run) + self.outside[-1]

    def head(self, run: int) -> bytes | None:
        """What makes a document of some entries of that run, put before them: None where it is the same as for the run before."""
        outside = self.outside[run]
        starts = [match.start() for match in _STATEMENT_START.finditer(outside)]
        if run == 0:
            if not starts:
                raise _Odd
            return outside[: starts[0]] + outside[starts[-1] :]
        first = _STATEMENT_START.search(self.outside[0])
        return self.outside[0][: first.start()] + outside[starts[-1] :] if starts and first is not None else None

    def tail(self) -> bytes:
        """What closes such a document."""
        ends = [match.start() for match in _STATEMENT_END.finditer(self.outside[-1])]
        if not ends:
            raise _Odd
        return self.outside[-1][ends[-1] :]


def _blocks(source: BinaryIO, marks: _Marks, *, one_run: bool = False) -> Iterator[tuple[bytes, bytes, int]]:
    """The document piece by piece: what stands before some entries (blanks only, within a run), these entries, and how many.

    The last piece has no entries. `one_run`: nothing but blanks is known to stand between the entries, and they are not counted
    again. Raises `_Odd` where an entry is too large, or ends that did not start.
    """
    reader = Utf8Reader(source)
    rest, between = b"", _NOWHERE
    while piece := reader.read(_READ_BYTES):
        data = rest + piece
        last = data.rfind(marks.end)
        ends = [last] if last >= 0 else []
        count = 0 if one_run else data.count(marks.end)
        # As a rule the same blanks stand between all entries: counting is faster than looking at each.
        if count > 1 and data.count(between, 0, last + len(marks.end)) != count - 1:
            ends = sorted({match.start() for match in marks.run_end.finditer(data)} | {last})
            found = marks.between.search(data)
            between = _NOWHERE if found is None else found[0]
        done = 0
        for end in ends:
            first = data.find(marks.start, done, end)
            if first < 0:
                raise _Odd
            block = data[first : end + len(marks.end)]
            yield data[done:first], block, count if len(ends) == 1 else block.count(marks.end)
            done = end + len(marks.end)
        rest = data[done:]
        if len(rest) > ENTRY_BYTES_MAX:
            raise _Odd
    yield rest, b"", 0


def _surveyed(source: BinaryIO, marks: _Marks) -> _Frame | None:
    """The first pass; None where the file is for the plain reader."""
    frame = _Frame([], [], [])
    size = entries_size = 0
    for outside, block, count in _blocks(source, marks):
        entries_size += len(block)
        if not frame.outside:
            declared = _DECLARATION.match(outside)
            outside = outside[declared.end() :] if declared is not None else outside  # noqa: PLW2901 - the bytes are UTF-8 by now
        elif block and not outside.strip(_BLANKS):
            frame.counts[-1] += count
            continue
        angles = outside.translate(None, _NOT_ANGLES)
        if angles != b"<>" * (len(angles) // 2) or b"Ntry" in outside or outside.startswith(b"<?xml"):
            return None
        frame.outside.append(outside)
        size += len(outside)
        if block:
            frame.counts.append(count)
            frame.firsts.append(block[: block.find(marks.end) + len(marks.end)])
            size += len(frame.firsts[-1])
        if size > _FRAME_BYTES_MAX:
            return None
    worth = max(sum(frame.counts), entries_size // _ENTRY_BYTES_USUAL)
    return frame if worth >= ENTRIES_MIN * max(1, len(frame.counts)) else None


class _Reading:
    """The second pass."""

    def __init__(self, source: BinaryIO, marks: _Marks, frame: _Frame, walk: Walk, *, plainly: PlainReader, tally: Tally) -> None:
        self._source = source
        self._marks = marks
        self._walk = walk
        self._frame = frame
        self._plainly = plainly
        self._tally = tally

    def records(self) -> Iterator[ReportRecord]:
        """All records of the file. Raises `_Odd` or `Unparsable` where the plain reader must go on."""
        framed = list(self._plainly(io.BytesIO(self._frame.document())))
        entries = sum(isinstance(record, Entry) for record in framed)
        if entries != len(self._frame.counts) or sum(isinstance(record, Document) for record in framed) != 1:
            raise _Odd
        blocks = _blocks(self._source, self._marks, one_run=len(self._frame.counts) == 1)
        first = next(blocks)[1]
        tail = self._frame.tail()
        run, reader = 0, None
        texts = EntryTexts(self._walk, None, frozenset())
        for record in framed:
            if isinstance(record, Statement):
                own_accounts = frozenset(filter(None, (record.account.iban, record.account.other_id)))
                texts = EntryTexts(self._walk, record.statement_id, own_accounts)
                runs = self._frame.counts[run : run + record.entry_count]
                yield replace(record, entry_count=sum(runs))
            elif isinstance(record, Entry):
                head = self._frame.head(run)
                if head is not None:
                    reader = _EntryReader(head, tail, self._marks, texts, plainly=self._plainly, tally=self._tally)
                if reader is None:
                    raise _Odd
                yield from reader.records(first)
                for outside, block, _ in blocks:
                    if outside.strip(_BLANKS) or not block:
                        first = block
                        break
                    yield from reader.records(block)
                run += 1
            else:
                yield record


class _EntryReader:
    """Reads the entries of one statement, a block of them at a time."""

    def __init__(
        self,
        head: bytes,
        tail: bytes,
        marks: _Marks,
        texts: EntryTexts,
        *,
        plainly: PlainReader,
        tally: Tally,
    ) -> None:
        own_accounts = texts.own_accounts | accounts_in(head.decode())
        if any(character in account for account in own_accounts for character in "&<>"):
            raise _Odd
        self._head, self._tail = head, tail
        self._marks = marks
        self._texts = texts
        self._plainly = plainly
        self._tally = tally
        self._plans = _Plans(marks.start_text, own_accounts, self._read, tally)
        self._rest, self._next_rest = 0, _RESTS[0]

    def records(self, block: bytes) -> list[Entry]:
        """The records of some complete entries."""
        text = block.decode()
        if any(character in text for character in _NO_CHARACTERS):
            raise _Odd
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")  # XML 1.0, 2.11
        if self._rest:
            self._rest -= 1
            _refuse_what_no_text_holds(block)
            entries = text.split(self._marks.end_text)
            return self._unplanned([entry + self._marks.end_text for entry in entries[:-1]])
        told, left = self._planned(text)
        _refuse_what_no_text_holds("".join([entry for _, entry in left]).encode())  # plans take no such text
        for (at, _), record in zip(left, self._unplanned([entry for _, entry in left]), strict=True):
            told[at] = record
        hits = len(told) - len(left)
        self._tally.by_plan += hits
        if hits * _HITS_MIN < len(told):
            self._rest, self._next_rest = self._next_rest, min(2 * self._next_rest, _RESTS[1])
        else:
            self._next_rest = _RESTS[0]
        return cast("list[Entry]", told)

    def _unplanned(self, entries: list[str]) -> list[Entry]:
        """The records of these entries, from their texts or, where that is not enough, from a tree."""
        told = [self._texts.record(entry) if self._texts.worthwhile else None for entry in entries]
        left = [at for at, record in enumerate(told) if record is None]
        self._tally.by_text += len(told) - len(left)
        if left:
            plain = self._plain("".join(entries[at] for at in left), len(left))
            for at, record in zip(left, plain, strict=True):
                told[at] = record
        return cast("list[Entry]", told)

    def _plain(self, entries: str, count: int) -> list[Entry]:
        """What the plain reader makes of these entries."""
        if "<!" in entries or "<?" in entries:
            raise _Odd
        read = self._read(entries)
        if len(read) != count:
            raise _Odd
        self._tally.plainly += count
        return read

    def _read(self, entries: str) -> list[Entry]:
        document = io.BytesIO(b"".join((self._head, entries.encode(), self._tail)))
        return [record for record in self._plainly(document) if isinstance(record, Entry)]

    def _planned(self, text: str) -> tuple[list[Entry | None], list[tuple[int, str]]]:
        """The records of those entries that have a plan, and the others with their places."""
        told: list[Entry | None] = []
        left: list[tuple[int, str]] = []
        patterns, look_up = self._plans.patterns, self._plans.look_up
        entry_end = self._marks.end_text
        place, reference = 0, text.find("&")
        while place < len(text):
            texts: Sequence[str] | None = None
            plan: Plan | None = None
            for at, (match, plan_of_match) in enumerate(patterns):
                matched = match(text, place)
                if matched is not None:
                    plan, texts, stop = plan_of_match, matched.groups(), matched.end()
                    if at > 1:  # the two before it are tried cheaply
                        patterns.insert(0, patterns.pop(at))
                    break
            else:
                stop = text.index(entry_end, place) + len(entry_end)
                plan, texts = look_up(text[place:stop].lstrip())
            if -1 < reference < stop or (plan is not None and plan.padded):
                reference = text.find("&", stop)
                texts = plan.cleared(texts) if plan is not None and texts else None
            record = None
            if texts and plan is not None and stop - place <= _PLANNED_CHARACTERS_MAX:
                record = plan.record(texts)
            else:
                left.append((len(told), text[place:stop]))
            told.append(record)
            place = stop
        return told, left


def _refuse_what_no_text_holds(data: bytes) -> None:
    """Raises `_Odd` where something stands that is not well-formed (XML 1.0, productions [2] and [14])."""
    if b"]]>" in data or len(data.translate(None, _CONTROLS)) != len(data):
        raise _Odd


class _Plans:
    """The plans for the entries of one statement, learned as they come, within bounds."""

    def __init__(self, start: str, own_accounts: frozenset[str], read: Callable[[str], list[Entry]], tally: Tally) -> None:
        self.patterns: list[tuple[Callable[..., re.Match[str] | None], Plan]] = []
        """The plans most used, compiled, to be tried before an entry is looked up."""
        self._start = start
        self._own_accounts = own_accounts
        self._read = read
        self._tally = tally
        self._shapes: dict[str, Shape] = {}
        self._shapes_characters = 0
        self._learned = self._learned_characters = 0
        self._looked_up = 0

    def look_up(self, entry: str) -> tuple[Plan | None, list[str] | None]:
        """The plan for an entry, learned now if its kind has been met before, and its varying texts; None: it is read plainly."""
        self._looked_up += 1
        if not entry.startswith(self._start):
            raise _Odd
        if len(entry) > _PLANNED_CHARACTERS_MAX:
            return None, None
        parts, texts = parts_and_texts(entry)
        markup = "\x00".join(parts)
        shape = self._shapes.get(markup)
        if shape is None:
            shape = self._shapes[markup] = Shape(parts)
            self._shapes_characters += len(markup)
            if self._shapes_characters > _SHAPES_CHARACTERS_MAX:
                self._forget()
        plan = self._plan(shape, entry, texts)
        if plan is None:
            return None, None
        plan.uses += 1
        if plan.uses >= _PATTERN_USES_MIN and plan.uses * _PATTERNS_MAX > self._looked_up:
            plan.uses = 0
            self.patterns.insert(0, (re.compile(plan.pattern).match, plan))
            del self.patterns[_PATTERNS_MAX:]
        return plan, plan.varying(texts)

    def _plan(self, shape: Shape, entry: str, texts: list[str]) -> Plan | None:
        variant = shape.variant(texts, self._own_accounts)
        known = shape.variants.get(variant, 0)
        if not isinstance(known, int):
            return known
        if known + 1 < _SIGHTS or not self._may_learn():
            if len(shape.variants) >= _VARIANTS_MAX:
                shape.forget()
            shape.variants[variant] = known + 1
            return None
        self._learned += 1
        self._learned_characters += len(entry)
        try:
            plan = learn(shape, entry, self._own_accounts, self._read)
        except (Unlearnable, NoTwin, Unparsable):
            plan = None
        self._tally.plans += plan is not None
        shape.variants[variant] = plan
        return plan

    def _may_learn(self) -> bool:
        most = min(_PLANS_MAX, _PLANS_AT_ONCE + self._looked_up // _ENTRIES_A_PLAN)
        return self._learned < most and self._learned_characters < _PLANS_CHARACTERS_MAX

    def _forget(self) -> None:
        """Drops the shapes that have no plan."""
        self._shapes = {markup: shape for markup, shape in self._shapes.items() if shape.forget()}
        self._shapes_characters = sum(map(len, self._shapes))
