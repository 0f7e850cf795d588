"""Downloads: what is on offer to a customer, cut into segments, and gone only after a positive receipt.

The files are those of the customer's outbox, which the other doors show too. With days in the request, files that were
acknowledged on those days are given once more.
"""

import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keys.ebics_encryption import encrypted, new_transaction_key, segments, wrapped_key
from keys.ebics_keys import DigestKind
from simulator.bank import Bank
from simulator.customer import Customer
from simulator.ebics.answers import Answer, Encrypted
from simulator.ebics.mt940 import mt940
from simulator.ebics.names import Fault
from simulator.ebics.requests import Request
from simulator.ebics.subscribers import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Order data to give, and what a positive receipt means for it."""

    data: bytes
    received: Callable[[], None]


@dataclass(slots=True, kw_only=True)
class Download:
    """A transaction that is open. `given`: the highest segment that was sent."""

    id: str
    user: User
    order_type: str
    started: float
    segments: list[bytes]
    encrypted: Encrypted
    received: Callable[[], None]
    given: int = 1
    recoveries: int = 0


def files_on_offer(customer: Customer, kind: str, days: tuple[str, str] | None = None) -> list[Path]:
    """Files of a kind ("camt.053"), oldest first."""
    found = [path for path in customer.tree.outbox.iterdir() if path.is_file() and path.name.startswith(kind)]
    if days is not None:
        found += [path for path in customer.tree.acknowledged.iterdir() if path.name.startswith(kind)]
        found = [path for path in found if days[0] <= _day(path) <= days[1]]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def kinds_on_offer(customer: Customer) -> set[str]:
    """The kinds of everything in the outbox; a camt.053 can be had as MT940 too."""
    kinds = {".".join(path.name.split("-")[0].split(".")[:2]) for path in customer.tree.outbox.iterdir() if path.is_file()}
    return kinds | ({"mt940"} if "camt.053" in kinds else set())


def offer(bank: Bank, user: User, kind: str, *, zipped: bool, days: tuple[str, str] | None) -> Offer | None:
    """What is there of a kind: all of it in a ZIP, all messages of MT940 one after another, else the oldest file alone."""
    customer = user.customer
    files = files_on_offer(customer, kind, days)
    if kind == "mt940":
        made = files_on_offer(customer, "camt.053", days)
        data = b"".join([*(path.read_bytes() for path in files), *(mt940(path.read_bytes()) for path in made)])
        files += made
    elif zipped:
        data = _zip(files)
    else:
        files = files[:1]
        data = files[0].read_bytes() if files else b""
    if not files:
        return None

    def received() -> None:
        for path in files:
            if path.parent == customer.tree.outbox and path.exists():
                path.rename(customer.tree.acknowledged / path.name)
                bank.outgoing.emptied(customer, path.name)

    return Offer(data=data, received=received)


def begin(request: Request, user: User, found: Offer, identifier: str, *, segment_chars: int) -> tuple[Download, Answer]:
    """Encrypts for the user; the transaction and the answer with the first segment."""
    key = user.keys["Encryption"]
    kind: DigestKind = "certificate" if request.version.is_h005 else "public-key"
    transaction_key = new_transaction_key()
    download = Download(
        id=identifier,
        user=user,
        order_type=request.order_type,
        started=time.monotonic(),
        segments=list(segments(encrypted((found.data,), transaction_key), segment_chars)),
        encrypted=Encrypted(digest=key.digest(kind), transaction_key=wrapped_key(key.public, transaction_key)),
        received=found.received,
    )
    return download, _answer(request, download, 1, phase="Initialisation")


def give(request: Request, download: Download, recoveries_max: int) -> Answer:
    """A further segment, or one that was given before (which counts as a recovery). Raises `Fault`."""
    number = request.segment_number
    if request.order_data is not None:
        raise Fault("061002", "a download brings no OrderData")
    if number > len(download.segments):
        raise Fault("091104", f"the order data has {len(download.segments)} segments")
    if number > download.given + 1 or number <= download.given:
        download.recoveries += 1
        if not recoveries_max:
            raise Fault("091105", "the bank does not continue broken transactions")
        if download.recoveries > recoveries_max:
            raise Fault("091102", "too many recoveries: the transaction is aborted")
        if number > download.given + 1:
            raise Fault("061101", "go on behind this segment", segment=download.given)
    download.given = max(download.given, number)
    return _answer(request, download, number, phase="Transfer")


def _answer(request: Request, download: Download, number: int, *, phase: str) -> Answer:
    first = phase == "Initialisation"
    return Answer(
        version=request.version,
        phase=phase,
        transaction_id=download.id,
        num_segments=len(download.segments) if first else None,
        segment=number,
        last=number == len(download.segments),
        encrypted=download.encrypted if first else None,
        order_data=download.segments[number - 1],
    )


def _zip(files: list[Path]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, f"{path.name.removesuffix('.xml')}.xml")
    return held.getvalue()


def _day(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
