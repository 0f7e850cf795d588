"""A bank in the same process, for tests and demonstrations: `async with run_bank(directory, customers=[…]) as bank: …`."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from simulator.running import RunningBank, run
from simulator.settings import BankSettings

__all__ = ["RunningBank", "iban", "run_bank"]


@asynccontextmanager
async def run_bank(
    directory: Path,
    *,
    customers: Iterable[Mapping[str, Any]],
    ledger: str | Mapping[str, Any] = "mock-bank",
    client_certificates: Sequence[Path] = (),
    ebics: Mapping[str, Any] | None = None,
) -> AsyncIterator[RunningBank]:
    """A bank with the doors its customers need, on ports the system picks.

    `customers` are the tables `[[customers]]` of the configuration. `ledger` is "mock-bank", "fast", or the table `[ledger]`.
    `client_certificates` are PEM files of the certificates with which HTTPS customers come; `ebics` is the
    table `[ebics]`. Raises what `simulator.running.run`
    raises, and pydantic's `ValidationError` for tables that make no sense.
    """
    tables = [dict(customer) for customer in customers]
    table: dict[str, Any] = {
        "directory": directory,
        "customers": tables,
        "ledger": {"kind": ledger} if isinstance(ledger, str) else dict(ledger),
    }
    if any("sftp" in customer for customer in tables):
        table["sftp"] = {}
    if any("https" in customer for customer in tables):
        table["https"] = {"client_ca": _put_together(directory, client_certificates)}
    if any("ebics" in customer for customer in tables):
        table["ebics"] = dict(ebics or {})
    async with run(BankSettings.model_validate(table)) as bank:
        yield bank


def _put_together(directory: Path, certificates: Sequence[Path]) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    together = directory / "client_certificates.pem"
    together.write_bytes(b"".join(certificate.read_bytes() for certificate in certificates))
    return together.name


def iban(country: str, bban: str) -> str:
    """The IBAN of a basic bank account number, with its check digits (ISO 13616-1, mod 97-10 of ISO/IEC 7064)."""
    digits = "".join(str(int(character, 36)) for character in f"{bban}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{bban}"
