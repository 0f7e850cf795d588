"""Rules of a bank on what it wants to know of a payment (`formats.dialects.facts`): one line of a table each."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from formats.dialects.facts import Facts, facts_of
from formats.model import CreditTransfer, PaymentTerms
from formats.rules.rule import HERE, NOTHING, Check, Finding, Findings, Rule, Setting

Looks = Callable[[Facts, Decimal], bool | Findings]
"""(facts, amount) → whether the rule is broken, or where."""


def on_facts(bank_class: str, broken: Looks) -> Check:
    """The check of a rule on the part "payment". What is not of its type is told by other rules, and not looked at here."""

    def check(pair: tuple[PaymentTerms, CreditTransfer], _limit: int, _setting: Setting) -> Findings:
        terms, transfer = pair
        try:
            found = broken(facts_of(terms, transfer, bank_class), transfer.amount)
        except (ArithmeticError, AttributeError, TypeError, ValueError):
            return NOTHING
        if isinstance(found, tuple):
            return found
        return HERE if found else NOTHING

    return check


def payment_rule(bank_class: str, source: str, broken: Looks, **words: Any) -> Rule:
    """A rule on the payment as a whole. `words`: `id`, `field`, `message_en`, `message_zh`, perhaps `severity`."""
    return Rule(source=source, parts=("payment",), check=on_facts(bank_class, broken), **words)


def with_words(**details: object) -> Findings:
    """One finding at the rule's own field, with details for its words."""
    return (Finding(details=details),)
