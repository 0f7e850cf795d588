"""What a rule is, and how rules are put to a payment.

A rule looks at one kind of part (a whole party, one IBAN, one text) wherever that kind occurs; `formats.rules.walk` knows
where that is. So a rule is written once, stands in one table with its source and its dates, and reports every place at which
it is broken.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from formats.errors import Severity, Violation
from formats.model import PaymentTerms
from formats.pain001_versions import Pain001Version

PARTS = (
    *("payment", "abroad", "terms", "transfer", "party", "organisation", "person", "other", "address", "account", "agent"),
    *("payment_type", "remittance", "structured", "text", "identifier", "code", "iban", "bic", "lei", "country", "currency"),
)
"""The kinds of part: wholes (dataclasses of the model), then single texts. Rules on texts are told the field's length limit.

"payment" is the terms and the transfer together, a pair, for what neither of them says alone; "abroad" is the same, where the
payment leaves its country outside SEPA (`formats.rules.places.is_cross_border`).
"""


class Setting(NamedTuple):
    """What rules may know besides the part: the day of sending, the message version, and the bank's own limits."""

    on: date
    version: Pain001Version
    horizon_days: int
    currencies: frozenset[str] | None


class Finding(NamedTuple):
    """One place where a rule is broken: a field below the part ("" is the part itself), a safe replacement, words for the
    message."""

    field: str = ""
    fix: str | None = None
    details: Mapping[str, object] = {}


Check = Callable[[Any, int, Setting], tuple[Finding, ...]]
"""(part, length limit of a text or 0, setting) → findings. Must not raise, whatever the part holds."""

Findings = tuple[Finding, ...]
NOTHING: Findings = ()
HERE: Findings = (Finding(),)

SCHEMA = "ISO 20022 pain.001, XML schema"
ALL_TEXTS = ("text", "identifier", "code")
"""The kinds of text that are held to length and characters (the others have a form of their own)."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .,'()?:+-]*").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """One rule: a stable id, its source, the parts it looks at, the days it is in force (both inclusive), its words, its check.

    `field` is the field below the part that a finding without a field of its own speaks of. The messages are format strings
    over the finding's details and `limit`. `spares_plain`: the rule is never broken by a text within its limit that begins with
    a letter or digit and holds only these, spaces and . , ' ( ) ? : + - (nearly every text is like that, and is then looked at
    once instead of once a rule). `severity`: whether a payment that breaks the rule is refused, or its caller only told.
    """

    id: str
    source: str
    parts: tuple[str, ...]
    message_en: str
    message_zh: str
    check: Check
    field: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    spares_plain: bool = False
    severity: Severity = "error"

    def in_force(self, on: date) -> bool:
        """Whether the rule holds for a payment sent on that day."""
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_until is None or on <= self.valid_until)

    def violation(self, path: str, finding: Finding, limit: int) -> Violation:
        """The finding in the words of the request."""
        words = {"limit": limit, **finding.details}
        return Violation(
            field=".".join(filter(None, (path, finding.field or self.field))),
            rule=self.id,
            source=self.source,
            message_en=self.message_en.format_map(words),
            message_zh=self.message_zh.format_map(words),
            fix=finding.fix,
            severity=self.severity,
        )


def how_many(values: object) -> int:
    """How many items a repeated field has; 0 for what is no tuple, which the walk reports."""
    return len(values) if isinstance(values, tuple) else 0


def _always(_terms: PaymentTerms) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pack:
    """Rules that belong together, and the payments they concern. Compared by identity, so that packs are cheap keys of caches."""

    name: str
    rules: tuple[Rule, ...]
    applies: Callable[[PaymentTerms], bool] = field(default=_always)


class RuleBook:
    """The rules of several packs that are in force on one day, sorted by the part they look at.

    `spares_plain`: the kinds of text of which every rule spares plain ones.
    """

    __slots__ = ("by_part", "spares_plain")

    def __init__(self, packs: Iterable[Pack], on: date) -> None:
        rules = [rule for pack in packs for rule in pack.rules if rule.in_force(on)]
        self.by_part = {part: tuple(rule for rule in rules if part in rule.parts) for part in PARTS}
        self.spares_plain = frozenset(kind for kind in ALL_TEXTS if all(rule.spares_plain for rule in self.by_part[kind]))


class CleanParts:
    """Parties, accounts and agents that have passed every rule of one book in one setting, known again by identity.

    Callers that pay the same people share the objects, and these are immutable, so the same object is the same content. Each is
    held here, so that its identity cannot be given to another while it is known.
    """

    __slots__ = ("_known",)
    MOST = 10_000

    def __init__(self) -> None:
        self._known: dict[int, object] = {}

    def has(self, part: object) -> bool:
        return self._known.get(id(part)) is part

    def add(self, part: object) -> None:
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[id(part)] = part


class Inspection:
    """One walk over a payment: collects what the rules find."""

    __slots__ = ("_by_part", "_setting", "_spares_plain", "clean", "found")

    def __init__(self, book: RuleBook, setting: Setting, clean: CleanParts | None = None) -> None:
        self._by_part = book.by_part
        self._spares_plain = book.spares_plain
        self._setting = setting
        self.clean = clean
        self.found: list[Violation] = []

    def look(self, kind: str, path: str, part: object, limit: int = 0) -> None:
        """Puts one part to every rule of its kind."""
        setting = self._setting
        for rule in self._by_part[kind]:
            findings = rule.check(part, limit, setting)
            if findings:
                self.found.extend([rule.violation(path, finding, limit) for finding in findings])

    def spares(self, kind: str, text: object, limit: int) -> bool:
        """Whether the text is plain and no rule of its kind concerns plain texts: then there is nothing to look at."""
        return kind in self._spares_plain and isinstance(text, str) and len(text) <= limit and _PLAIN(text) is not None

    def report(self, rule: Rule, path: str) -> None:
        """Notes a rule broken at `path` that the walk itself noticed."""
        self.found.append(rule.violation(path, HERE[0], 0))
