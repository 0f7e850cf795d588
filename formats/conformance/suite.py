"""The card as a pytest suite. pytest is imported when a test runs, and nowhere else."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from formats.bank import BankFormat
from formats.conformance.bank_rules import RULES
from formats.conformance.card import Card, CardRule, Case, Verdict, judge
from formats.conformance.folder import read_samples
from formats.conformance.samples import bank_for


def case_of(bank: BankFormat, samples: Path, plugin: str = "") -> Case:
    """A bank and its samples, ready to be judged."""

    def takes(settings: Mapping[str, object]) -> tuple[str, ...]:
        return tuple(bank_for(bank, settings).capabilities.sends) if isinstance(bank, BankFormat) else ()

    return Case(bank=bank, samples=read_samples(samples, takes), plugin=plugin or "the plugin")


def score(bank: BankFormat, samples: Path, plugin: str = "") -> Card:
    """The whole card. Never raises for what plugin or samples do. `plugin` is how directions call the plugin's file."""
    case = case_of(bank, samples, plugin)
    return Card(bank=bank.name, samples=str(samples), lines=tuple(judge(rule, case) for rule in RULES))


class BankConformance:
    """Every rule of the card as a test. A bank's own suite is these lines:

    class TestAcme(BankConformance):
        bank = BANK
        samples = Path(__file__).parent / "samples"

    A rule the bank is exempt from is a skipped test with its reason. `plugin` is how directions call the plugin's file.
    """

    bank: ClassVar[BankFormat]
    samples: ClassVar[Path]
    plugin: ClassVar[str] = "the plugin"

    @property
    def _case(self) -> Case:
        return case_of(self.bank, self.samples, self.plugin)


def _test(rule: CardRule) -> Callable[[Any], None]:
    def test(self: Any) -> None:
        import pytest

        line = judge(rule, self._case)
        if line.verdict is Verdict.EXEMPT:
            pytest.skip(f"exempt: {line.text}")
        if line.verdict is Verdict.FAILED:
            folder = self._case.samples.folder
            pytest.fail(f"{rule.id}: {rule.title_en} (samples in {folder})\n{line.complaint}", pytrace=False)

    test.__doc__ = rule.title_en
    return test


for _rule in RULES:
    setattr(BankConformance, f"test_{_rule.id.replace('-', '_')}", _test(_rule))
