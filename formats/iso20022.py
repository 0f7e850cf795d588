"""A bank that speaks ISO 20022, as data: what it takes, and which rule packs hold there.

Most banks are one `IsoBank` in a file of `formats/banks/`; only a bank with XML of its own needs more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import BinaryIO

from formats.bank import Capabilities, Validity
from formats.errors import Unrenderable, Violation
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.pain001 import write_pain001
from formats.pain001_versions import VERSIONS, Pain001Version
from formats.report import ReportRecord
from formats.rules import RuleSet, unsupported_message
from formats.rules.address import ADDRESS
from formats.rules.common import COMMON
from formats.rules.rule import Pack, Setting
from formats.rules.sepa import INSTANT, SEPA
from formats.rules.service import CHARGES, SERVICE
from formats.schemas import validate_inbound

STANDARD_PACKS = (COMMON, ADDRESS, SERVICE, CHARGES, SEPA, INSTANT)
"""What holds at every bank. SEPA and INSTANT look only at payments that ask for service level SEPA or for INST."""


@dataclass(frozen=True, kw_only=True, eq=False)
class IsoBank:
    """A `BankFormat` made of data. `packs` are the rules put to payments; a bank's own rules are one more pack."""

    name: str
    capabilities: Capabilities
    packs: tuple[Pack, ...] = field(default=STANDARD_PACKS)

    @cached_property
    def _rules(self) -> RuleSet:
        return RuleSet(self.packs)

    def message_on(self, on: date) -> str | None:
        """The message used by default on a day: the first that the bank takes then; None if it takes none."""
        return next((name for name, validity in self.capabilities.sends.items() if validity.covers(on)), None)

    def check(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None = None
    ) -> tuple[Violation, ...]:
        """Every rule the payment breaks if sent on that day in that message (None: the default of the day). Never raises."""
        version, problems = self._version(on, message_name)
        setting = Setting(on, version, self.capabilities.horizon_days, self.capabilities.currencies)
        found = self._rules.check(terms, transfer, setting)
        return problems + found if problems else found

    def _version(self, on: date, message_name: str | None) -> tuple[Pain001Version, tuple[Violation, ...]]:
        """The version to check against, and what is wrong with asking for it."""
        name = self.message_on(on) if message_name is None else message_name
        validity = None if name is None else self.capabilities.sends.get(name)
        version = None if name is None else VERSIONS.get(name)
        if validity is not None and version is not None and validity.covers(on):
            return version, ()
        takes = tuple(known for known, span in self.capabilities.sends.items() if span.covers(on))
        span = validity or Validity()
        told = unsupported_message(name or "", takes, first=span.valid_from, last=span.valid_until)
        return version or VERSIONS["pain.001.001.09"], (told,)

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """Writes the message, streaming; the same message gives the same bytes.

        Raises `Unrenderable` for a message the bank never takes and for content that cannot be written, `CountMismatch` for a
        block whose transfers do not agree with its count and sum.
        """
        if message.message_name not in self.capabilities.sends:
            raise Unrenderable((unsupported_message(message.message_name, tuple(self.capabilities.sends)),))
        write_pain001(message, out)

    def parse(self, source: BinaryIO) -> Iterator[ReportRecord]:
        """Reads a bank's file, streaming. `source` must be seekable. Raises `Unparsable` and nothing else."""
        from formats.reader import parse

        return parse(source, validate=validate_inbound)
