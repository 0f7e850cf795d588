"""The conformance kit: does a bank plugin keep the promises of `formats.bank.BankFormat`, shown by its samples?

For outside packages too. As a pytest suite:

    from formats.conformance import BankConformance

    class TestAcme(BankConformance):
        bank = BANK
        samples = Path(__file__).parent / "samples"

and as a card for people: `bankgate banks score NAME`, or `score(BANK, folder)`. How samples are laid out:
`formats.conformance.folder`. Nothing here is imported by the gateway at work.
"""

from formats.conformance.bank_rules import RULES
from formats.conformance.card import Card, Line, Verdict
from formats.conformance.samples import Problem
from formats.conformance.suite import BankConformance, score

__all__ = ["RULES", "BankConformance", "Card", "Line", "Problem", "Verdict", "score"]
