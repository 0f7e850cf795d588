"""What a bank's samples say, in memory, and what can be wrong with anything that is judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from formats.bank import BankFormat
from formats.conformance.requests import SamplePayment, day_of
from formats.dialogue import DialogueBank
from formats.errors import Violation

Exemptions = Mapping[str, str | Mapping[str, str]]
"""Rule of the card → reason, or → subject → reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is not as it should be: where, what, and what to do about it.

    `place` is a file of the samples' folder or of the plugin. `subject` is what an exemption may name (a message, a kind);
    `violations` are broken rules, each with the place of its payment in the sample (from 0).
    """

    place: str
    problem: str
    direction: str
    subject: str = ""
    violations: tuple[tuple[int, Violation], ...] = ()

    def __str__(self) -> str:
        return f"{self.place}: {self.problem} {self.direction}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSample:
    """Payments the bank takes, and what they must become: message name → expected bytes."""

    file: str
    payments: tuple[SamplePayment, ...]
    expected: Mapping[str, bytes]
    settings: Mapping[str, object] = field(default_factory=dict)  # [bank_settings] under which it is judged

    @property
    def name(self) -> str:
        return self.file.removeprefix("requests/").removesuffix(".json")

    @property
    def on(self) -> date:
        return day_of(self.payments)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundSample:
    """A file of the bank, and the records it must give; None: not said yet."""

    file: str
    content: bytes
    expected: tuple[Mapping[str, object], ...] | None

    @property
    def base_name(self) -> str:
        """As the records call it."""
        return self.file.removeprefix("inbound/")


@dataclass(frozen=True, slots=True, kw_only=True)
class BadSample:
    """Payments the bank refuses, and what must be found, a tuple of words each: field, rule, and
    "warning" where it is told and not refused. None: not said yet."""

    file: str
    payments: tuple[SamplePayment, ...]
    on: date
    message: str | None
    expected: tuple[tuple[str, ...], ...] | None
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """All samples of one bank. `problems` are files that cannot be used as they are."""

    folder: str
    requests: tuple[RequestSample, ...] = ()
    inbound: tuple[InboundSample, ...] = ()
    bad: tuple[BadSample, ...] = ()
    exempt: Exemptions = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def expected_file(request: RequestSample, message: str, document: bytes = b"<") -> str:
    """Where the expected bytes of a request in a message belong; what they are says how the file's name ends."""
    first = document.lstrip()[:1]
    kind = "xml" if first == b"<" else "json" if first in {b"{", b"["} else "txt"
    return f"expected/{request.name}.{message}.{kind}"


def bank_for(bank: BankFormat, settings: Mapping[str, object]) -> BankFormat:
    """The plugin as a sample wants it. Raises `BadBankSettings`."""
    return bank.configured(settings) if settings and isinstance(bank, DialogueBank) else bank
