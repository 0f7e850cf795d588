"""What is wrong with policies beyond their shape: each document by itself, and all of them together. Pure.

A rule that can never match is a mistake as well: whoever wrote it relies on it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gateway.config_words import did_you_mean
from gateway.policy.digest import canonical
from gateway.policy.document import (
    AccountNumber,
    Asking,
    Country,
    Currency,
    Document,
    HoursOfDay,
    Limit,
    Restriction,
    Rule,
    Scope,
    Velocity,
    When,
)
from gateway.policy.rules import LIST_PREFIX

TOTALS_MAX: Final = 200  # of one rule, over the values that its conditions name

Told = Iterator[tuple[str, str, str]]  # key, problem, hint

_CHARGE_BEARERS: Final = ("CRED", "DEBT", "SHAR", "SLEV")  # ISO 20022, ChargeBearerType1Code
_SCOPES: Final = ("connections", "callers", "debtor_accounts")
_VALUES: Final[Mapping[str, TypeAdapter[str]]] = {
    "currency": TypeAdapter(Currency),
    "country": TypeAdapter(Country),
    "creditor_account": TypeAdapter(AccountNumber),
    "hours": TypeAdapter(HoursOfDay),
}


def of_document(document: Document) -> Told:
    """(key, problem, hint) of everything that does not fit together within one document."""
    if document.valid_until is not None and document.valid_until < document.valid_from:
        yield "valid_until", "is before valid_from", ""
    if document.default == "approval" and not document.default_steps:
        yield "default_steps", 'is required with default = "approval"', "who approves what no rule lets through"
    if document.default != "approval" and document.default_steps:
        yield "default_steps", 'has no meaning without default = "approval"', ""
    if document.rates is not None and document.rates.base in document.rates.per_unit:
        yield f"rates.per_unit.{document.rates.base}", "is the base itself, whose rate is 1", "leave it out"
    seen: set[str] = set()
    for kind, place, rule in document.rules():
        key = f"{kind}[{place}]"
        if rule.id in seen:
            yield f"{key}.id", f"another rule of this document is called {rule.id}", "a rule is known by its id"
        seen.add(rule.id)
        yield from _when(document, rule.when, f"{key}.when")
        yield from _rule(document, rule, key)


def of_all(named: Sequence[tuple[str, Document]]) -> Iterator[tuple[str, str, str, str]]:
    """(file, key, problem, hint) of documents that do not go together. `named`: each with its file."""
    versions: dict[tuple[str, int], tuple[str, bytes]] = {}
    owners: dict[str, tuple[str, str]] = {}
    for file, document in named:
        first, content = versions.setdefault((document.id, document.version), (file, fingerprint(document)))
        if content != fingerprint(document):
            hint = "what changes gets a new version"
            yield file, "version", f"{first} is version {document.version} of {document.id} too, and says otherwise", hint
        for kind, place, rule in document.rules():
            owner, elsewhere = owners.setdefault(rule.id, (document.id, file))
            if owner != document.id:
                problem = f"a rule of {elsewhere}, another document, is called {rule.id} too"
                yield file, f"{kind}[{place}].id", problem, "answers name a rule by its id and version"


def changed_unsaid(
    named: Iterable[tuple[str, Document]], earlier: Mapping[tuple[str, int], bytes]
) -> Iterator[tuple[str, str, str, str]]:
    """Likewise, of documents that say otherwise than they did under the same id and version. `earlier`: their fingerprints."""
    for file, document in named:
        before = earlier.get((document.id, document.version))
        if before is not None and before != fingerprint(document):
            problem = f"version {document.version} of {document.id} was in use with another content"
            yield file, "version", problem, f"what changes gets a new version: {document.version + 1}"


def of_names(document: Document, connections: Iterable[str], callers: Iterable[str]) -> Told:
    """(key, problem, hint) of connections and callers that a document names and that do not exist: it would not be about them."""
    known = {"connections": sorted(connections), "callers": sorted(callers)}
    places = [("scope", document.scope), *((f"{kind}[{at}].when", rule.when) for kind, at, rule in document.rules())]
    for key, scope in places:
        for name, words in known.items():
            for at, word in enumerate(getattr(scope, name) or ()):
                if word not in words:
                    yield f"{key}.{name}[{at}]", f"there is no {name[:-1]} {word}", did_you_mean(word, words)


def fingerprint(document: Document) -> bytes:
    """SHA-256 of what a document says."""
    return sha256(canonical(document.model_dump(exclude_defaults=True))).digest()


def _when(document: Document, when: When, key: str) -> Told:
    amounts = when.amount_above is not None or when.amount_up_to is not None
    if amounts and when.currency is None:
        yield f"{key}.currency", "is required with amount_above and amount_up_to", ""
    if when.currency is not None and not amounts:
        yield f"{key}.currency", "belongs to amount_above and amount_up_to, of which there is none", "did you mean currencies?"
    if when.amount_above is not None and when.amount_up_to is not None and when.amount_above >= when.amount_up_to:
        yield f"{key}.amount_up_to", "is not more than amount_above: no amount is in between", ""
    if when.convert and not amounts:
        yield f"{key}.convert", "belongs to amount_above and amount_up_to, of which there is none", ""
    elif when.convert:
        yield from _rates(document, when.currency, key)
    elif when.currency is not None and when.currencies is not None and when.currency not in when.currencies:
        yield f"{key}.currency", "is not among currencies, so no payment matches", ""
    for name in ("creditor_lists", "creditor_not_in"):
        for at, word in enumerate(getattr(when, name) or ()):
            if word not in document.lists:
                yield f"{key}.{name}[{at}]", f"there is no [lists.{word}]", did_you_mean(word, document.lists)
    for name in _SCOPES:
        if (both := _both(document.scope, when, name)) is not None and not both:
            yield f"{key}.{name}", f"shares nothing with scope.{name}, so no payment matches", ""


def _rates(document: Document, currency: str | None, key: str) -> Told:
    if document.rates is None:
        yield f"{key}.convert", "needs [rates] in this document", ""
    elif currency is not None and currency != document.rates.base:
        yield f"{key}.currency", f"must be the base of [rates], {document.rates.base}, where amounts are converted", ""


def _rule(document: Document, rule: Rule, key: str) -> Told:
    if isinstance(rule, Asking):
        if rule.outcome == "approval" and not rule.steps:
            yield f"{key}.steps", 'is required with outcome = "approval"', 'who approves, such as [{ group = "finance" }]'
        if rule.outcome != "approval" and rule.steps:
            yield f"{key}.steps", 'has no meaning without outcome = "approval"', ""
        if rule.outcome != "approval" and rule.recheck:
            yield f"{key}.recheck", 'has no meaning without outcome = "approval"', ""
    if isinstance(rule, Limit):
        if rule.convert:
            yield from _rates(document, rule.currency, key)
        elif rule.when.currencies is not None and rule.currency not in rule.when.currencies:
            yield f"{key}.currency", "is not among when.currencies, so no payment counts", ""
        if rule.period == "payment" and rule.per:
            yield f"{key}.per", "has no meaning for the limit of a single payment", ""
    if isinstance(rule, Limit | Velocity):
        yield from _totals(document, rule, key)
    if isinstance(rule, Restriction):
        yield from _restriction(document, rule, key)


def _totals(document: Document, rule: Limit | Velocity, key: str) -> Told:
    if len(set(rule.per)) < len(rule.per):
        yield f"{key}.per", "names something twice", ""
    totals = 1
    for name in _SCOPES:
        both = _both(document.scope, rule.when, name)
        totals *= max(1, len(both or ())) if name[:-1] not in rule.per else 1
    if isinstance(rule, Limit) and rule.convert and document.rates is not None:
        totals *= 1 + len(document.rates.per_unit)
    if totals > TOTALS_MAX:
        hint = "name fewer connections, callers or accounts, or take them into per"
        yield f"{key}.when", f"runs over {totals} totals for each payment, more than {TOTALS_MAX}", hint


def _restriction(document: Document, rule: Restriction, key: str) -> Told:
    if (rule.allowed is None) == (rule.forbidden is None):
        yield key, "must have one of allowed and forbidden", ""
    for name in ("allowed", "forbidden"):
        for at, word in enumerate(getattr(rule, name) or ()):
            yield from _value(document, rule.what, word, f"{key}.{name}[{at}]")


def _value(document: Document, what: str, word: str, key: str) -> Told:
    if what == "creditor_account" and word.startswith(LIST_PREFIX):
        if (name := word.removeprefix(LIST_PREFIX)) not in document.lists:
            yield key, f"there is no [lists.{name}]", did_you_mean(name, document.lists)
    elif what == "charge_bearer":
        if word not in _CHARGE_BEARERS:
            yield key, f"must be one of {', '.join(_CHARGE_BEARERS)}", ""
    else:
        try:
            _VALUES[what].validate_python(word)
        except ValidationError as error:
            yield key, error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, "), ""


def _both(scope: Scope, when: Scope, name: str) -> set[str] | None:
    """The values that scope and condition have in common; None where neither names any."""
    given = [set(values) for one in (scope, when) if (values := getattr(one, name)) is not None]
    return set.intersection(*given) if given else None


def groups_of(documents: Iterable[Document]) -> dict[str, int]:
    """Every group that documents ask for approval, with the most people that one chain needs of it."""
    needed: dict[str, int] = defaultdict(int)
    for document in documents:
        chains = [getattr(rule, "steps", ()) for _, _, rule in document.rules()]
        for steps in (document.default_steps, *chains):
            for group in {step.group for step in steps}:
                needed[group] = max(needed[group], sum(step.count for step in steps if step.group == group))
    return dict(needed)
