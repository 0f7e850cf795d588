"""Acme keeps the promises of a bank plugin. What is missing, each test says."""

from pathlib import Path

import bankgate_acme
from formats.conformance import BankConformance


class TestAcme(BankConformance):
    bank = bankgate_acme.BANK
    samples = Path(bankgate_acme.__file__).parent / "samples"
    plugin = "bankgate_acme/__init__.py"
