"""What screening says to people: why a payment waits, in English and Chinese, and the facts it was decided by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.masking import mask_text, masked_number
from gateway.policy.screening.cleared import Excuse
from gateway.policy.screening.entries import ListEntry, ScreeningList
from gateway.policy.screening.score import Comparison, Pair
from gateway.policy.verdict import Finding, Outcome

_PLACES: Final[Mapping[str, tuple[str, str]]] = {
    "creditor": ("the creditor", "收款人"),
    "ultimate_creditor": ("the ultimate creditor", "最终收款人"),
    "creditor_agent": ("the creditor's bank", "收款行"),
    "creditor_account": ("the creditor's account", "收款账户"),
    "remittance_information": ("the remittance information", "附言"),
}
_HOW: Final[Mapping[str, tuple[str, str]]] = {
    "same": ("the same", "相同"),
    "spelling": ("spelt alike", "拼写相近"),
    "sound": ("sounds alike", "读音相近"),
    "initial": ("an initial", "首字母"),
    "together": ("written together or apart", "连写或分写"),
}
_FALLEN: Final[Mapping[str, tuple[str, str]]] = {
    "changed": (
        "; an earlier decision that it is somebody else fell when the entry changed",
        "；名单条目已变更，先前“非同一人”认定失效",
    ),
    "expired": ("; an earlier decision that it is somebody else is no longer valid", "；先前“非同一人”认定已过期"),
    "blocks": (
        "; a decision that it is somebody else does not count where this list blocks (decisions_lift_blocks)",
        "；该名单为“阻止”名单，“非同一人”认定不解除阻止（decisions_lift_blocks）",
    ),
}


@dataclass(frozen=True, slots=True)
class Hit:
    """Something of a payment that stands on a list. `kind`: "name", "account", "bic", "country", "term".

    `value` is as the list has it.
    """

    of: ScreeningList
    entry: ListEntry
    where: str
    kind: str
    value: str
    score: float
    comparison: Comparison | None = None
    by_reading: bool = False
    weak: bool = False
    fallen: str = ""  # why a decision that this is somebody else does not count: "changed", "expired", "blocks"


_SAME: Final = ("list", "entry", "entry_digest", "where", "kind")


def same_hit(one: Finding, other: Finding) -> bool:
    """Whether two findings are about the same entry, saying the same, in the same part of a payment."""
    theirs, ours = dict(other.facts), dict(one.facts)
    return one.rule == other.rule and all(theirs.get(name) == ours.get(name) for name in _SAME)


def finding_of(hit: Hit, outcome: Outcome, *, further: int = 0, excuse: Excuse | None = None) -> Finding:
    """The hit as a finding; with an `excuse`, as one that was decided to be somebody else."""
    english, chinese = _said(hit)
    if excuse is not None:
        why = f": {mask_text(excuse.about)}" if excuse.about else ""
        by_english, by_chinese = _by(excuse)
        english += f"; {by_english}{why}"
        chinese += f"；{by_chinese}{why.replace(': ', '：')}"
    else:
        more_english, more_chinese = _FALLEN.get(hit.fallen, ("", ""))
        english, chinese = english + more_english, chinese + more_chinese
        if further:
            english, chinese = f"{english}; {further} more of the lists are as near", f"{chinese}；名单中另有 {further} 条相近"
    return Finding(
        rule=f"screening.{hit.of.id}",
        version=int(hit.of.date.strftime("%Y%m%d")),
        outcome=outcome,
        text_en=english[0].upper() + english[1:] + ".",
        text_zh=chinese + "。",
        score=int(hit.score),
        facts=_facts(hit, excuse),
    )


def _by(excuse: Excuse) -> tuple[str, str]:
    if not excuse.person:
        return "decided before that it is somebody else", "先前已认定非同一人"
    until = "" if excuse.valid_until is None else excuse.valid_until.isoformat()
    return f"cleared by {excuse.person} until {until} as somebody else", f"{excuse.person} 已认定非同一人，有效期至 {until}"


def _said(hit: Hit) -> tuple[str, str]:
    place_english, place_chinese = _PLACES[hit.where]
    listed_english = f"list {hit.of.id} of {hit.of.date.isoformat()}, entry {hit.entry.entry_id}"
    listed_chinese = f"名单 {hit.of.id}（{hit.of.date.isoformat()}）条目 {hit.entry.entry_id}"
    match hit.kind:
        case "name":
            weak = " (which the list calls weak)" if hit.weak else ""
            read = (", read aloud,", "（按读音）") if hit.by_reading else ("", "")
            english = f'the name of {place_english}{read[0]} is {int(hit.score)} % like "{hit.value}"{weak} on {listed_english}'
            chinese = f"{place_chinese}名称{read[1]}与{listed_chinese}“{hit.value}”相似度 {int(hit.score)}%"
        case "account":
            english, chinese = f"{place_english} is on {listed_english}", f"{place_chinese}在{listed_chinese}上"
        case "bic":
            english = f"the BIC {hit.value} of {place_english} is on {listed_english}"
            chinese = f"{place_chinese}的 BIC {hit.value} 在{listed_chinese}上"
        case "country":
            english = f"{place_english} is in {hit.value}, a country on {listed_english}"
            chinese = f"{place_chinese}所在国家/地区 {hit.value} 在{listed_chinese}上"
        case _:
            english = f'{place_english} has the words "{hit.value}" of {listed_english}'
            chinese = f"{place_chinese}含有{listed_chinese}的词语“{hit.value}”"
    if hit.comparison is not None:
        words_english, words_chinese = _words(hit.comparison)
        english, chinese = f"{english} ({words_english})", f"{chinese}（{words_chinese}）"
    return english, chinese


def _words(comparison: Comparison) -> tuple[str, str]:
    """Which words stood for which."""
    english = [_pair(pair, 0) for pair in comparison.pairs]
    chinese = [_pair(pair, 1) for pair in comparison.pairs]
    if comparison.theirs_alone:
        english.append(f"not in the payment: {' '.join(comparison.theirs_alone)}")
        chinese.append(f"付款中没有：{' '.join(comparison.theirs_alone)}")
    if comparison.ours_alone:
        english.append(f"only in the payment: {' '.join(comparison.ours_alone)}")
        chinese.append(f"仅付款中有：{' '.join(comparison.ours_alone)}")
    return "; ".join(english), "；".join(chinese)


def _pair(pair: Pair, language: int) -> str:
    how = _HOW[pair.likeness.how][language]
    if pair.ours == pair.theirs:
        return f"{pair.ours}: {how}" if language == 0 else f"{pair.ours}：{how}"
    return f"{pair.ours} for {pair.theirs}: {how}" if language == 0 else f"{pair.ours} 对 {pair.theirs}：{how}"


def _facts(hit: Hit, excuse: Excuse | None) -> tuple[tuple[str, str], ...]:
    facts = [
        *(("list", hit.of.id), ("list_date", hit.of.date.isoformat()), ("list_sha256", hit.of.sha256)),
        *(("entry", hit.entry.entry_id), ("entry_digest", hit.entry.digest), ("where", hit.where), ("kind", hit.kind)),
        ("value", masked_number(hit.value) if hit.kind == "account" else hit.value),
        ("score", f"{hit.score:.1f}"),
    ]
    if hit.entry.about:
        facts.append(("about", mask_text(hit.entry.about)))
    if hit.entry.places:
        facts.append(("places", mask_text("; ".join(hit.entry.places))))
    if hit.comparison is not None:
        facts.append(("words", _words(hit.comparison)[0]))
    if hit.by_reading:
        facts.append(("compared", "Chinese characters by how they are read"))
    if hit.weak:
        facts.append(("name", "weak"))
    if excuse is not None:
        facts.append(("decision", excuse.decision_id))
        if excuse.person:
            facts.append(("cleared_by", excuse.person))
        if excuse.valid_until is not None:
            facts.append(("cleared_until", excuse.valid_until.isoformat()))
    return tuple(facts)


def unreadable_finding(where: str, *, empty: bool, version: int) -> Finding:
    """A name that could not be screened: held, as nothing is known of it."""
    place_english, place_chinese = _PLACES[where]
    english = f"the name of {place_english} " + ("has nothing to compare" if empty else "is too long to be compared")
    chinese = f"{place_chinese}名称" + ("没有可比对的文字" if empty else "过长，无法比对")
    return Finding(
        rule="screening.unreadable",
        version=version,
        outcome=Outcome.HOLD,
        text_en=f"{english[0].upper()}{english[1:]} with the screening lists.",
        text_zh=f"{chinese}，未能筛查。",
        facts=(("where", where), ("why", "empty" if empty else "long")),
    )
