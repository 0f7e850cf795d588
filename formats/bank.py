"""What a bank plugin is, and how plugins are found.

A plugin is ONE module that defines `BANK`, an object with the shape of `BankFormat`: a file in `formats/banks/`, or a module of
another package named by an entry point of the group `bankgate.formats`. Nothing else has to be edited to add a bank.
"""

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from importlib.metadata import entry_points
from typing import BinaryIO, Protocol, runtime_checkable

from formats import banks
from formats.errors import Severity, Violation
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import ReportRecord

ENTRY_POINT_GROUP = "bankgate.formats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when until when (both inclusive, None: open) a bank takes a message version."""

    valid_from: date | None = None
    valid_until: date | None = None

    def covers(self, on: date) -> bool:
        """Whether the version is taken on that day."""
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_until is None or on <= self.valid_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a bank takes and gives. `sends` is ordered: the first version valid on a date is the one used by default."""

    sends: Mapping[str, Validity]
    reads: tuple[str, ...]  # prefixes of message names: "pain.002", "camt.053", …
    currencies: frozenset[str] | None = None  # None: any
    transfers_max: int = 100_000  # in one message
    horizon_days: int = 365  # how far ahead an execution date may lie
    time_zone: str = "UTC"
    repeated_end_to_end_ids: Severity = "warning"  # two payments of one message with the same id: told, or refused
    variants: Mapping[str, str] = field(default_factory=dict)  # other names of what it takes: "….ch.02" → the name in `sends`
    routes: Mapping[str, str] = field(default_factory=dict)  # kind of message → route name; empty: the channel's default route

    def taken_as(self, name: str, on: date) -> str | None:
        """The name in `sends` under which the bank takes a message of that name on that day, or None.

        Messages made elsewhere may carry a community's own name for a version ("pain.001.001.03.ch.02").
        """
        known = self.variants.get(name, name)
        validity = self.sends.get(known)
        return known if validity is not None and validity.covers(on) else None


@runtime_checkable
class BankFormat(Protocol):
    """How one bank wants payments said, and what its answers mean. Stateless."""

    @property
    def name(self) -> str:
        """The word used in configuration and on the command line."""

    @property
    def capabilities(self) -> Capabilities: ...

    def check(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None = None
    ) -> tuple[Violation, ...]:
        """Every rule the payment breaks if sent on that day in that message (None: the default of the day). Never raises.

        Warnings are among them: `formats.errors.refusing` gives those for which the payment is not taken.
        """

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """Writes the bank's message, streaming; the same message gives the same bytes. Raises `Unrenderable`."""

    def parse(self, source: BinaryIO) -> Iterator[ReportRecord]:
        """Reads a bank's file, streaming. `source` must be seekable. Raises `Unparsable` and nothing else."""


class UnknownBank(LookupError):
    """No plugin of that name. `known` lists those there are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"no bank plugin is called {name!r}; there are: {', '.join(known)}")


def discover() -> dict[str, BankFormat]:
    """Every plugin by name: the modules of `formats.banks`, then entry points. Two of one name are an error."""
    found: dict[str, BankFormat] = {}
    names = (info.name for info in pkgutil.iter_modules(banks.__path__))
    # A bank's own tests may lie beside it; they are no banks.
    modules = [f"{banks.__name__}.{name}" for name in names if not name.startswith("test_")]
    plugins: list[object] = [import_module(name) for name in modules]
    plugins += [point.load() for point in entry_points(group=ENTRY_POINT_GROUP)]
    for plugin in plugins:
        bank = getattr(plugin, "BANK", plugin)
        if not isinstance(bank, BankFormat):
            raise TypeError(f"{plugin!r} defines no BANK with the shape of formats.bank.BankFormat")
        if bank.name in found:
            raise ValueError(f"two bank plugins are called {bank.name!r}")
        found[bank.name] = bank
    return found


def bank_named(name: str) -> BankFormat:
    """The plugin of that name, or `UnknownBank`."""
    found = discover()
    if name not in found:
        raise UnknownBank(name, tuple(sorted(found)))
    return found[name]
