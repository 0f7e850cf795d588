"""Whether the statements of an account follow each other without a gap, a contradiction or a break. Pure.

A *chain* is the final statements of one account in one currency and one format (camt.053 or MT940; a bank numbers the two apart).
What does not fit in it depends on the set of statements alone, never on the order in which they came: a late one mends what was
missing, and one that came twice says nothing new.

Sources: ISO 20022 message definition report "Bank-to-Customer Cash Management", camt.053: Stmt/ElctrncSeqNb, LglSeqNb, Bal (OPBD,
PRCD, CLBD, ITBD), Ntry/Sts, Ntry/CdtDbtInd. SWIFT Standards MT, category 9, MT940: field 28C (statement number, restarting each
year as a rule, and page number), 60F/60M, 62F/62M.

Rules, and where a bank's habit is taken for none of them:

- The numbers of a run have no hole. A run ends where a number comes again, or a lower one, on a later day of another year, or
  where 1 comes on a later day. After a change of year a new run begins at 1. What was before the first statement is not missed.
- Numbers that are dates ("20261125", "329" for the day of the year) count nothing and are not compared.
- A closing balance is the next opening balance: of consecutive numbers, and, without numbers, of consecutive days. Where a
  number is missing the balances beside the hole are not compared: one fact is told once.
- One number for other content is a contradiction, unless the two follow each other by their balances: pages of one statement,
  and banks that always write 1.
- Opening balance and booked entries make the closing balance, where all of them are there and of one currency. A statement
  without any entry lists none (banks that give entries elsewhere); interim balances (60M, 62M, ITBD) bound a page.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from itertools import pairwise
from typing import Final

from formats.report import Balance, Entry, Statement

GAP: Final = "statement_gap"
DUPLICATE: Final = "statement_duplicate"
BREAK: Final = "balance_break"

_UNBOOKED: Final = frozenset({"PDNG", "INFO", "FUTR"})  # ISO external code set, entry status
_OPENING: Final = ("OPBD", "PRCD", "60M")
_CLOSING: Final = ("CLBD", "62M")
_NUMBER: Final = re.compile(r"(\d{1,18})(?:/(\d{1,9}))?")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN: Final = 4  # characters of an account number, as banks print them


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFacts:
    """What continuity asks of one statement, or of one page of it. Balances are signed decimal texts; None: not told.

    `day` is when it closes, `created` when it was made (for the order within a day); `credits` and `debits` are the sums of the
    booked entries, None where they cannot be added up.
    """

    chain: str
    account: str  # its last characters
    currency: str
    statement_id: str
    number: int | None
    page: int | None
    day: str
    created: str
    opening: str | None
    closing: str | None
    opens_page: bool  # its opening balance is that of a page that is not the first
    closes_page: bool  # its closing balance is that of a page that is not the last
    entries: int
    credits: str | None
    debits: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that does not fit. `key` is the same as long as the fact is; `facts` are for people, as JSON values."""

    kind: str
    key: str
    facts: dict[str, object]


class Reading:
    """Gathers the facts of one statement while its entries pass. `facts` is None if it belongs to no chain."""

    def __init__(self, message: str, statement: Statement) -> None:
        self._statement = statement
        self._family = next((family for family in ("camt.053", "MT940") if message.startswith(family)), None)
        self._sums = {"CRDT": Decimal(0), "DBIT": Decimal(0)}
        self._entries = 0
        self._clear = True

    @property
    def compared(self) -> bool:
        """Whether it is a final statement, and may belong to a chain."""
        return self._family is not None

    def take(self, entry: Entry) -> None:
        """An entry of the statement. What is not booked, pending or for information, is in no balance."""
        if entry.status in _UNBOOKED:
            return
        self._entries += 1
        amount = _decimal(entry.amount)
        known = entry.status in {None, "BOOK"}
        if not known or amount is None or entry.credit_debit not in self._sums or entry.currency != self._currency():
            self._clear = False
        else:
            self._sums[entry.credit_debit] += amount

    def facts(self) -> StatementFacts | None:
        """What was gathered."""
        said, currency = self._statement, self._currency()
        account = re.sub(r"\s", "", said.account.iban or said.account.other_id or "").upper()
        opening = _balance(said.balances, _OPENING, currency, last=False)
        closing = _balance(said.balances, _CLOSING, currency, last=True)
        moments = (_date_of(closing), said.period_until, _date_of(opening), said.period_from, said.creation_date_time)
        day = next((moment[:10] for moment in moments if moment and _DAY.match(moment)), None)
        if self._family is None or not account or currency is None or day is None:
            return None
        number = _NUMBER.fullmatch((said.sequence_number or "").strip())
        counted = int(number[1]) if number else 0
        return StatementFacts(
            chain=sha256(f"{self._family}|{account}|{currency}".encode()).hexdigest()[:32],
            account=f"…{account[-_SHOWN:]}" if len(account) > 2 * _SHOWN else "…",
            currency=currency,
            statement_id=said.statement_id or "",
            number=counted or None,
            page=int(number[2]) if number and number[2] and int(number[2]) else None,
            day=day,
            created=said.creation_date_time or "",
            opening=_signed(opening),
            closing=_signed(closing),
            opens_page=opening is not None and opening.type == "60M",
            closes_page=closing is not None and closing.type == "62M",
            entries=self._entries,
            credits=str(self._sums["CRDT"]) if self._clear else None,
            debits=str(self._sums["DBIT"]) if self._clear else None,
        )

    def _currency(self) -> str | None:
        booked = (balance.currency for balance in self._statement.balances if balance.type in (*_OPENING, *_CLOSING))
        return self._statement.account.currency or next((currency for currency in booked if currency), None)


def findings(statements: Iterable[StatementFacts]) -> list[Finding]:
    """Everything that does not fit among the statements of one chain, in the order of their days."""
    known = _each_once(statements)
    if _numbers_are_dates(known):
        counted, uncounted = [], known
    else:
        counted = [one for one in known if one.number is not None]
        uncounted = [one for one in known if one.number is None]
    runs = _runs(counted)
    found = [*_inside(known), *_holes(runs), *_repeated(runs)]
    found += _breaks(_by_number(runs), {one.day for one in uncounted})
    found += _breaks(_by_day(uncounted), {one.day for one in counted})
    return found


# -- single statements -----------------------------------------------------------------------------------------------------


def _inside(known: Sequence[StatementFacts]) -> Iterator[Finding]:
    for one in known:
        if one.opening is None or one.closing is None or one.credits is None or one.debits is None or not one.entries:
            continue
        booked = Decimal(one.credits) - Decimal(one.debits)
        if Decimal(one.opening) + booked != Decimal(one.closing):
            yield Finding(
                kind=BREAK,
                key=f"inside:{_name(one)}:{_digest(one)}",
                facts={**_shown(one), "opening": one.opening, "booked": f"{booked:f}", "closing": one.closing},
            )


def _shown(one: StatementFacts) -> dict[str, object]:
    number = one.number if one.page is None else f"{one.number}/{one.page}"
    return {
        "account": one.account,
        "currency": one.currency,
        "statement_id": one.statement_id,
        "number": number,
        "day": one.day,
    }


def _name(one: StatementFacts) -> str:
    return f"{one.day}:{one.number or 0}/{one.page or 0}"


def _digest(one: StatementFacts) -> str:
    """The content, short: the same for the same statement told twice."""
    content = f"{one.statement_id}|{_content(one)}"
    return sha256(content.encode()).hexdigest()[:12]


def _content(one: StatementFacts) -> tuple[object, ...]:
    return (_plain(one.opening), _plain(one.closing), one.entries, _plain(one.credits), _plain(one.debits))


def _each_once(statements: Iterable[StatementFacts]) -> list[StatementFacts]:
    """Without repetitions: the same statement in several files, whatever else they say about its making."""
    once: dict[tuple[object, ...], StatementFacts] = {}
    for one in sorted(statements, key=lambda one: (one.day, one.created, one.statement_id)):
        named = one.number if one.number is not None else one.statement_id
        once.setdefault((one.day, named, one.page, _content(one)), one)
    return list(once.values())


# -- numbers ---------------------------------------------------------------------------------------------------------------

_Slot = list[StatementFacts]
"""What came under one number and page of a run."""
_Run = dict[int, _Slot]
"""The statements of a run by number."""


def _numbers_are_dates(known: Sequence[StatementFacts]) -> bool:
    numbered = [one for one in known if one.number is not None]
    return len(numbered) > 1 and all(_is_date(one) for one in numbered)


def _is_date(one: StatementFacts) -> bool:
    text = str(one.number)
    for moment in (one.day, one.created[:10]):
        try:
            day = date.fromisoformat(moment)
        except ValueError:
            continue
        of_year = day.timetuple().tm_yday
        if one.number in {of_year, day.year * 1000 + of_year, day.year % 100 * 1000 + of_year}:
            return True
        if any(text.startswith(day.strftime(form)) and len(text) - size < 4 for form, size in (("%Y%m%d", 8), ("%y%m%d", 6))):
            return True
    return False


def _runs(counted: Sequence[StatementFacts]) -> list[_Run]:
    runs: list[_Run] = []
    last_day, highest = "", 0
    for one in sorted(counted, key=lambda one: (one.day, one.number or 0, one.page or 0)):
        number = one.number or 0
        if not runs or (number <= highest and _restarts(runs[-1], number, one.day, last_day)):
            runs.append({})
            highest = 0
        runs[-1].setdefault(number, []).append(one)
        last_day, highest = one.day, max(highest, number)
    return runs


def _restarts(run: _Run, number: int, day: str, last_day: str) -> bool:
    """Whether a number that is not above those of the run begins another."""
    met = run[number][0].day if number in run else last_day
    return day > last_day and (number == 1 or day[:4] != met[:4])


def _holes(runs: Sequence[_Run]) -> Iterator[Finding]:
    for place, run in enumerate(runs):
        numbers = sorted(run)
        first = run[numbers[0]][0]
        if place and numbers[0] > 1:
            yield _hole(f"gap:start:{first.day[:4]}", 1, numbers[0] - 1, None, first)
        for before, after in pairwise(numbers):
            last = run[before][-1]
            if after > before + 1:
                yield _hole(f"gap:{run[before][0].day}:{before}", before + 1, after - 1, last, run[after][0])
        for number in numbers:
            yield from _missing_pages(run[number], closed=number != numbers[-1] or run is not runs[-1])


def _hole(key: str, first: int, last: int, before: StatementFacts | None, after: StatementFacts) -> Finding:
    facts: dict[str, object] = {"account": after.account, "currency": after.currency, "missing": _span(first, last)}
    if before is not None:
        facts |= {"before": before.number, "before_day": before.day}
    return Finding(kind=GAP, key=key, facts={**facts, "after": after.number, "after_day": after.day})


def _missing_pages(slot: _Slot, *, closed: bool) -> Iterator[Finding]:
    """Pages of one number; banks that put something else behind the slash do not bound them by interim balances. `closed`: a
    later number is there, so that the last pages are not to come any more."""
    pages = sorted({one.page for one in slot if one.page is not None})
    if not pages:
        return
    missing: list[str] = []
    if pages[0] > 1 and _all(slot, pages[0], "opens_page"):
        missing.append(_span(1, pages[0] - 1))
    for before, after in pairwise(pages):
        if after > before + 1 and (_all(slot, before, "closes_page") or _all(slot, after, "opens_page")):
            missing.append(_span(before + 1, after - 1))
    if closed and _all(slot, pages[-1], "closes_page"):
        missing.append(f"{pages[-1] + 1}…")
    if missing:
        one = slot[0]
        pages_missing = f"{one.number}/{', '.join(missing)}"
        yield Finding(
            kind=GAP,
            key=f"pages:{one.day}:{one.number}",
            facts={"account": one.account, "currency": one.currency, "missing": pages_missing, "after_day": one.day},
        )


def _all(slot: _Slot, page: int, flag: str) -> bool:
    return all(getattr(one, flag) for one in slot if one.page == page)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


def _repeated(runs: Sequence[_Run]) -> Iterator[Finding]:
    for run in runs:
        for slot in run.values():
            for page in sorted({one.page or 0 for one in slot}):
                same = [one for one in slot if (one.page or 0) == page]
                whole = all(one.opening is not None and one.closing is not None for one in same)  # else: pages
                if whole and len({_content(one) for one in same}) > 1 and not _follow(same):
                    first, *others = same
                    contents = [{"opening": one.opening, "closing": one.closing, "entries": one.entries} for one in same]
                    yield Finding(
                        kind=DUPLICATE,
                        key=f"duplicate:{first.day}:{first.number}/{page}",
                        facts={**_shown(first), "days": sorted({first.day, *(one.day for one in others)}), "contents": contents},
                    )


# -- balances --------------------------------------------------------------------------------------------------------------


def _by_number(runs: Sequence[_Run]) -> Iterator[tuple[_Slot, _Slot]]:
    """Neighbours whose balances must meet: pages of one number, consecutive numbers, and the ends of consecutive runs."""
    before: _Slot | None = None
    for run in runs:
        for place, number in enumerate(sorted(run)):
            parts = _pages(run[number])
            restarted = place == 0 and number == 1
            if before is not None and (restarted or number == (before[0].number or 0) + 1):
                yield before, parts[0]
            yield from pairwise(parts)
            before = parts[-1]


def _pages(slot: _Slot) -> list[_Slot]:
    pages: dict[int, _Slot] = {}
    for one in sorted(slot, key=lambda one: one.page or 0):
        pages.setdefault(one.page or 0, []).append(one)
    return list(pages.values())


def _by_day(uncounted: Sequence[StatementFacts]) -> Iterator[tuple[_Slot, _Slot]]:
    days: dict[str, list[StatementFacts]] = {}
    for one in uncounted:
        days.setdefault(one.day, []).append(one)
    before: StatementFacts | None = None
    for day in sorted(days):
        for one in _in_order(days[day], None if before is None else _plain(before.closing)):
            if before is not None:
                yield [before], [one]
            before = one


def _breaks(neighbours: Iterable[tuple[_Slot, _Slot]], other_days: set[str]) -> Iterator[Finding]:
    """`other_days`: when statements of the chain close that stand outside this order; balances around them may not meet."""
    for before, after in neighbours:
        closings = {_plain(one.closing) for one in before} - {None}
        openings = {_plain(one.opening) for one in after} - {None}
        last, first = before[-1], after[0]
        if not closings or not openings or closings & openings:
            continue
        if _pages_missing(last, first):
            continue  # which is told
        if any(last.day <= day <= first.day for day in other_days):
            continue
        ends = f"{_name(last)}:{_end(last)}:{_name(first)}:{_end(first)}"
        facts = {
            **_shown(first),
            "before": last.number,
            "before_day": last.day,
            "closing": last.closing,
            "opening": first.opening,
        }
        yield Finding(kind=BREAK, key=f"link:{ends}", facts=facts)


def _pages_missing(before: StatementFacts, after: StatementFacts) -> bool:
    if before.page is None:
        return False
    if before.number != after.number:
        return before.closes_page
    return (after.page or 0) > before.page + 1 and (before.closes_page or after.opens_page)


def _end(one: StatementFacts) -> str:
    return "" if one.number is not None else _digest(one)


def _follow(statements: Sequence[StatementFacts]) -> bool:
    """Whether they can be put into an order in which each opens with the balance the one before closed with."""
    return any(_trail(statements, _plain(one.opening)) is not None for one in statements)


def _in_order(statements: Sequence[StatementFacts], start: str | None) -> Sequence[StatementFacts]:
    """Statements of one day in the order of their balances, from `start` on if they can; else as they were made."""
    if len(statements) > 1 and all(one.opening is not None and one.closing is not None for one in statements):
        starts = (
            [start, *(_plain(one.opening) for one in statements)]
            if start is not None
            else [_plain(one.opening) for one in statements]
        )
        for balance in starts:
            trail = _trail(statements, balance)
            if trail is not None:
                return trail
    return statements


def _trail(statements: Sequence[StatementFacts], start: str | None) -> list[StatementFacts] | None:
    """All of them in one go from balance to balance, each once: an Eulerian trail (Hierholzer's algorithm). None: impossible."""
    leaving: dict[str | None, list[StatementFacts]] = {}
    for one in reversed(statements):
        leaving.setdefault(_plain(one.opening), []).append(one)
    stack: list[tuple[str | None, StatementFacts | None]] = [(start, None)]
    trail: list[StatementFacts] = []
    while stack:
        balance, came_by = stack[-1]
        if leaving.get(balance):
            following = leaving[balance].pop()
            stack.append((_plain(following.closing), following))
        else:
            stack.pop()
            if came_by is not None:
                trail.append(came_by)
    trail.reverse()
    meets = all(_plain(one.closing) == _plain(after.opening) for one, after in pairwise(trail))
    return trail if len(trail) == len(statements) and meets and _plain(trail[0].opening) == start else None


# -- values ----------------------------------------------------------------------------------------------------------------


def _balance(balances: Sequence[Balance], types: Sequence[str], currency: str | None, *, last: bool) -> Balance | None:
    """The balance of the first of these types that is there: of several days the outermost; None where one day has two."""
    for kind in types:
        found = [one for one in balances if one.type == kind and one.currency in {None, currency} and _signed(one) is not None]
        if found:
            days = sorted({one.date or "" for one in found})
            ends = {_plain(_signed(one)): one for one in found if (one.date or "") == days[-1 if last else 0]}
            return next(iter(ends.values())) if len(ends) == 1 else None
    return None


def _date_of(balance: Balance | None) -> str | None:
    return None if balance is None else balance.date


def _signed(balance: Balance | None) -> str | None:
    amount = None if balance is None else _decimal(balance.amount)
    if balance is None or amount is None or balance.credit_debit not in {"CRDT", "DBIT"}:
        return None
    return f"{amount if balance.credit_debit == 'CRDT' or not amount else -amount:f}"


def _plain(text: str | None) -> str | None:
    """The same text for the same amount, however many digits it was written with."""
    return None if text is None else f"{Decimal(text).normalize():f}"


def _decimal(text: str | None) -> Decimal | None:
    try:
        amount = Decimal(text or "")
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None
