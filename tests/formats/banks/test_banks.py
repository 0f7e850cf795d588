"""Every bank of this project through the conformance kit, with the samples in the folder of its name beside this file.

Names, accounts, amounts and references in the samples are made up; where they are of a real bank, only its BIC is.
"""

from pathlib import Path

import pytest

from formats import banks
from formats.bank import BankFormat, discover
from formats.conformance import RULES, Verdict
from formats.conformance.card import CardRule, Case, judge
from formats.conformance.suite import case_of

HERE = Path(__file__).parent
OURS = {name: bank for name, bank in discover().items() if (Path(banks.__path__[0]) / f"{name}.py").exists()}


@pytest.fixture(scope="module", params=sorted(OURS))
def case(request: pytest.FixtureRequest) -> Case:
    bank: BankFormat = OURS[request.param]
    return case_of(bank, HERE / bank.name, f"formats/banks/{bank.name}.py")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_our_own_banks_keep_every_rule_of_the_card(case: Case, rule: CardRule) -> None:
    line = judge(rule, case)
    assert line.verdict is not Verdict.FAILED, f"{case.bank.name}, {rule.id}\n{line.complaint}"


def test_there_are_no_samples_of_a_bank_that_is_gone() -> None:
    assert {path.name for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__"} == OURS.keys()
