"""Payments against lists: an immutable index of all of them, and what it finds in a payment.

Names are compared (`index`, `score`); accounts, BICs and countries must be the same; terms must stand in the remittance
text. A BIC of 8 characters on a list covers all branches. What cannot be compared, because there is no name, no letter in
it or too much of it, is held: unknown is not the same as clean."""

import hashlib
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from typing import Final

from formats.model import Agent, Party
from gateway.policy.screening.chinese import han_of
from gateway.policy.screening.cleared import NOBODY, Cleared, Excuse, Payee, excuse_of, payee_key
from gateway.policy.screening.entries import ListAction, ListEntry, ScreeningList, day_limits
from gateway.policy.screening.index import NameIndex
from gateway.policy.screening.names import latin_words, name_of, parts_of
from gateway.policy.screening.told import Hit, finding_of, unreadable_finding
from gateway.policy.subject import Subject
from gateway.policy.verdict import Finding, Outcome

ALGORITHM: Final = 2  # goes up when the same lists may give other findings
WEAK_SHARE: Final = 0.9  # of the score of a name that the list itself calls weak
EXACT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRules:
    """From which score a name is held, from which a list that blocks blocks, and how many hits of a kind are told."""

    hold_score: int = 80
    block_score: int = 98
    told_max: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What of a payment is looked at, each with the part of the payment that it stands in."""

    names: tuple[tuple[str, str], ...] = ()
    account: str = ""  # the creditor's, as `account_key`
    bics: tuple[tuple[str, str], ...] = ()
    countries: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()


def looked_at(subject: Subject) -> Looked:
    """The parties that are paid, their bank and their countries."""
    transfer = subject.transfer
    agent = transfer.creditor_agent
    iban = transfer.creditor_account.iban if transfer.creditor_account else None
    names = [("creditor", transfer.creditor.name or "")]
    countries = [*_countries_of("creditor", transfer.creditor), ("creditor_account", (iban or "")[:2])]
    if transfer.ultimate_creditor is not None:
        names += [("ultimate_creditor", transfer.ultimate_creditor.name)] if transfer.ultimate_creditor.name else []
        countries += _countries_of("ultimate_creditor", transfer.ultimate_creditor)
    bics = [("creditor", bic) for bic in _party_bics(transfer.creditor)]
    if agent is not None:
        names += [("creditor_agent", agent.name)] if agent.name else []
        bics += [("creditor_agent", agent.bic)] if agent.bic else []
        countries += _agent_countries(agent)
    remittance = transfer.remittance_information
    texts = [transfer.purpose_proprietary or ""]
    if remittance is not None:
        texts += ["".join(remittance.unstructured), " ".join(remittance.unstructured)]
        texts += [item.additional_information or "" for item in remittance.structured]
    return Looked(
        names=tuple(names),
        account=subject.creditor_account,
        bics=tuple(bics),
        countries=tuple(dict.fromkeys((where, code.upper()) for where, code in countries if code)),
        texts=tuple(text for text in texts if text),
    )


def _party_bics(party: Party) -> list[str]:
    return [party.organisation.bic] if party.organisation and party.organisation.bic else []


def _countries_of(where: str, party: Party) -> list[tuple[str, str]]:
    address = party.postal_address.country if party.postal_address else None
    return [(where, code) for code in (address, party.country_of_residence) if code]


def _agent_countries(agent: Agent) -> list[tuple[str, str]]:
    address = agent.postal_address.country if agent.postal_address else None
    return [("creditor_agent", code) for code in (address, (agent.bic or "")[4:6]) if code]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry stands."""

    of: ScreeningList
    entry: ListEntry


class Screen:
    """Lists and rules, ready to judge. The same lists and rules give the same findings and the same `digest`."""

    def __init__(self, lists: Sequence[ScreeningList], rules: ScreenRules) -> None:
        self.lists = tuple(lists)
        self.rules = rules
        self.digest = _digest(lists, rules)
        """SHA-256 (hex) of lists and rules; payments that wait are judged again when it changes, or `digest_on` does."""
        self._days = day_limits(lists)
        self._names: list[tuple[_Place, str, bool]] = []
        self._exact: dict[tuple[str, str], list[_Place]] = defaultdict(list)
        self._terms: list[tuple[_Place, str, tuple[str, ...], str]] = []
        self._good: dict[Payee, list[Excuse]] = defaultdict(list)
        for one in lists:
            for entry in one.entries:
                place = _Place(one, entry)
                if one.action is ListAction.PASS:
                    if (excuse := excuse_of(entry)) is not None:
                        for payee in product(map(payee_key, entry.names), entry.accounts):
                            self._good[payee].append(excuse)
                else:
                    self._place(place)
        self._index = NameIndex([name_of(text) for _, text, _ in self._names])

    def _place(self, place: _Place) -> None:
        entry = place.entry
        self._names += [(place, text, False) for text in dict.fromkeys(entry.names)]
        self._names += [(place, text, True) for text in dict.fromkeys(entry.weak) if text not in entry.names]
        for kind, values in (("account", entry.accounts), ("bic", map(_covering, entry.bics)), ("country", entry.countries)):
            for value in values:
                self._exact[kind, value].append(place)
        self._terms += [(place, term, latin_words(term), han_of(term)) for term in entry.terms]

    def digest_on(self, today: date) -> str:
        """As `digest`, and different on days on which other entries count: they have a first and a last day."""
        return f"{self.digest}.{bisect_right(self._days, today)}"

    def judge(self, subject: Subject, today: date, cleared: Cleared = NOBODY) -> tuple[Finding, ...]:
        """What stands against a payment, the strongest first. `today`: which entries count, at the gateway. `cleared`: what
        people decided here, beside what lists say."""
        return self.look(looked_at(subject), today, cleared)

    def look(self, looked: Looked, today: date, cleared: Cleared = NOBODY) -> tuple[Finding, ...]:
        """As `judge`, for what is looked at alone."""
        hits: list[Hit] = []
        findings: list[Finding] = []
        for where, text in looked.names:
            if self._names and (name_of(text).is_empty or not name_of(text).is_whole):
                findings.append(unreadable_finding(where, empty=name_of(text).is_empty, version=ALGORITHM))
                continue
            hits += self._name_hits(where, text, today)
        hits += self._exact_hits(looked, today)
        hits += self._term_hits(looked.texts, today)
        excuses = self._excuses(looked, cleared) if hits else {}
        judged = [self._excused(hit, excuses.get(_named_by(hit), ()), today) for hit in hits]
        standing = [hit for hit, excuse in judged if excuse is None]
        for hit, further in self._told(standing):
            findings.append(finding_of(hit, self._outcome(hit), further=further))
        excused = [(hit, excuse) for hit, excuse in judged if excuse is not None]
        findings.sort(key=lambda finding: (-finding.outcome, -(finding.score or 0)))
        findings += [finding_of(hit, Outcome.PASS, excuse=excuse) for hit, excuse in excused[: self.rules.told_max]]
        return tuple(findings)

    def _told(self, hits: Sequence[Hit]) -> Iterator[tuple[Hit, int]]:
        """Of each place and kind the strongest, and with the last one told how many more there are."""
        groups: dict[tuple[str, str], list[Hit]] = defaultdict(list)
        for hit in hits:
            groups[hit.where, hit.kind].append(hit)
        for group in groups.values():
            group.sort(key=lambda hit: (-self._outcome(hit), -hit.score, hit.of.id, hit.entry.entry_id))
            told = group[: self.rules.told_max]
            yield from ((hit, len(group) - len(told) if hit is told[-1] else 0) for hit in told)

    def _outcome(self, hit: Hit) -> Outcome:
        if hit.of.action is ListAction.BLOCK and hit.score >= self.rules.block_score and not hit.weak:
            return Outcome.BLOCK
        return Outcome.HOLD

    def _name_hits(self, where: str, text: str, today: date) -> Iterator[Hit]:
        best: dict[tuple[str, str], Hit] = {}
        for part in parts_of(text):
            for found in self._index.search(name_of(part), self.rules.hold_score):
                place, listed, weak = self._names[found.number]
                score = found.score * (WEAK_SHARE if weak else 1)
                key = place.of.id, place.entry.entry_id
                if score < self.rules.hold_score or not place.entry.valid_on(today):
                    continue
                if key not in best or best[key].score < score:
                    seen = found.comparison, found.by_reading, weak
                    best[key] = Hit(place.of, place.entry, where, "name", listed, score, *seen)
        yield from best.values()

    def _exact_hits(self, looked: Looked, today: date) -> Iterator[Hit]:
        asked = [("account", "creditor_account", looked.account)] if looked.account else []
        for where, bic in looked.bics:
            asked += [("bic", where, key) for key in _keys(bic)]
        asked += [("country", where, code) for where, code in looked.countries]
        for kind, where, value in asked:
            for place in self._exact.get((kind, value), ()):
                if place.entry.valid_on(today):
                    yield Hit(place.of, place.entry, where, kind, value, EXACT)

    def _term_hits(self, texts: Iterable[str], today: date) -> Iterator[Hit]:
        if not self._terms:
            return
        read = [(f" {' '.join(latin_words(text))} ", han_of(text)) for text in texts]
        for place, term, words, han in self._terms:
            said = f" {' '.join(words)} "
            if place.entry.valid_on(today) and any(
                (words and said in latin) or (han and han in chinese) for latin, chinese in read
            ):
                yield Hit(place.of, place.entry, "remittance_information", "term", term, EXACT)

    def _excuses(self, looked: Looked, cleared: Cleared) -> dict[str, tuple[Excuse, ...]]:
        """By the part of a payment that a name stands in: the decisions about that name with the account that is paid."""
        if not looked.account:
            return {}
        payees = {where: (payee_key(text), looked.account) for where, text in looked.names}
        return {where: (*self._good.get(payee, ()), *cleared.get(payee, ())) for where, payee in payees.items() if payee[0]}

    def _excused(self, hit: Hit, excuses: Sequence[Excuse], today: date) -> tuple[Hit, Excuse | None]:
        """The decision that this payee is somebody else, if it counts; else the hit says why not."""
        for excuse in excuses:
            if (excuse.list_id, excuse.entry_id) != (hit.of.id, hit.entry.entry_id):
                continue
            if not excuse.valid_on(today):
                hit = replace(hit, fallen="expired")
            elif excuse.digest != hit.entry.digest:
                hit = replace(hit, fallen="changed")
            elif self._outcome(hit) is Outcome.BLOCK and not hit.of.lift_blocks:
                hit = replace(hit, fallen="blocks")
            else:
                return hit, excuse
        return hit, None


def _named_by(hit: Hit) -> str:
    """The part of a payment whose name, with the account, a decision about the hit is bound to; "": none is about such hits."""
    if hit.kind == "account":
        return "creditor"
    return hit.where if hit.kind == "name" else ""


def _covering(bic: str) -> str:
    """A BIC of a list as it is compared: of a head office, its first eight characters, which cover all branches."""
    return bic[:8] if len(bic) == 8 or bic.endswith("XXX") else bic


def _keys(bic: str) -> tuple[str, ...]:
    bic = bic.strip().upper()
    return (bic[:8], bic) if len(bic) > 8 else (bic,)


def _digest(lists: Sequence[ScreeningList], rules: ScreenRules) -> str:
    content = [
        ALGORITHM,
        [rules.hold_score, rules.block_score, rules.told_max],
        [[one.id, one.kind, one.date.isoformat(), one.sha256, one.action.value, one.skipped, one.lift_blocks] for one in lists],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
