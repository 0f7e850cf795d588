"""What the doors ask of a ledger: the part of a bank that decides about payments, books them and writes answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol


class LedgerDown(Exception):
    """The ledger cannot be reached or broke; the file waits and is tried again."""


class Refusal(ValueError):
    """The tester's: the ledger will not do that (an account it cannot hold, a day it cannot reach). Carries its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the ledger made of one file."""

    message_id: str | None
    status: str  # group status: "ACCP", "PART", "RJCT"
    reason: str | None  # code, of a file rejected whole
    accepted: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A message the bank wants to send. Either its receiver is known, or the names of the account it is about."""

    key: str  # the ledger's own: one answer, one key
    kind: str  # "pain.002.001.10"
    customer: str | None
    account_names: tuple[str, ...]
    body: bytes | Path


class Ledger(Protocol):
    """Every method may raise `LedgerDown`."""

    async def submit(self, customer: str, file: Path) -> Verdict:
        """Feeds one opened payment file, of any size, to the bank."""

    async def collect(self) -> tuple[Answer, ...]:
        """The answers not yet confirmed, oldest first. Asking again gives them again."""

    async def confirm(self, answers: tuple[Answer, ...]) -> None:
        """The answers are in the doors' hands; `collect` gives them no more."""

    async def advance(self, days: int) -> Mapping[str, Any]:
        """Moves bank time by whole calendar days. Raises `Refusal`."""

    async def today(self) -> date:
        """The day it is at the bank."""

    async def open_account(self, account: Mapping[str, Any]) -> Mapping[str, Any]:
        """Creates the account, or changes the one with that `id`; fields as mock-bank's accounts. Raises `Refusal`."""

    async def accounts(self) -> list[Mapping[str, Any]]:
        """The accounts the bank holds."""

    async def payments(self) -> list[Mapping[str, Any]]:
        """Every transaction ever decided, oldest first: the keys of `simulator.books.Booked`."""

    async def close(self) -> None:
        """Lets go of files, connections and child processes. Harmless to call twice."""
