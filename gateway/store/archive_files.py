"""Archives of a month: what the files are, how they are written (a crash leaves a whole archive or none) and read back.

    bankgate-2026-11/
        payments.jsonl.gz    a payment a line: what was asked, what became of it, the message it went in
        events.jsonl.gz      an event a line, in the order of the feed
        manifest.json        rows, sums by currency, states, and the SHA-256 of each file; written last

JSON Lines under gzip are read by everything there is, without us. They hold names and account numbers: owner only, as the
database's own files.
"""

import gzip
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from gateway.lifecycle import FINAL_PAYMENT_STATES, PaymentState

AT_AN_END: Final = sorted(state.value for state in FINAL_PAYMENT_STATES | {PaymentState.SETTLED})
"""What a payment has to be before it may go. A settled one may still be returned, months later: that news then finds no payment,
and becomes a discrepancy."""

FORMAT: Final = "bankgate-archive-1"
MANIFEST: Final = "manifest.json"
PAYMENTS: Final = "payments.jsonl.gz"
EVENTS: Final = "events.jsonl.gz"
_PIECE: Final = 1 << 20
_LINE_BYTES_MAX: Final = 16 * 1024 * 1024

_to_json = msgspec.json.Encoder().encode
_of_json = msgspec.json.Decoder(dict[str, Any]).decode


class BadArchive(Exception):
    """An archive is not what its manifest says, or none at all. Says where and what."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of an archive."""

    file: str
    rows: int
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an archive holds. `versions` is the sum of the payments' versions: it grows with every change of any of them.
    `last_event`: the place of the last one in the order of the feed."""

    format: str
    month: str
    schema: str
    made_at: str
    payments: Part
    events: Part
    sums: dict[str, str]
    states: dict[str, int]
    versions: int
    last_event: str | None


@dataclass(slots=True)
class Totals:
    """What is counted of payments, in writing and in reading back alike."""

    rows: int = 0
    versions: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)

    def take(self, payment: dict[str, Any]) -> None:
        """One payment's row."""
        self.rows += 1
        self.versions += payment["version"]
        self.sums[payment["currency"]] += Decimal(payment["amount"])  # type: ignore[assignment]  # sums of money are decimal
        self.states[payment["state"]] += 1

    @property
    def sums_text(self) -> dict[str, str]:
        """Plain numbers without trailing zeros, so that equal sums are equal texts."""
        return {currency: plain(Decimal(total)) for currency, total in sorted(self.sums.items())}


def plain(amount: Decimal) -> str:
    """A number without exponent and without trailing zeros behind the point."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# -- writing -----------------------------------------------------------------------------------------------------------


def write_part(path: Path, rows: Iterable[dict[str, Any]]) -> Part:
    """Writes rows to a new file, durable when this returns. The same rows give the same bytes."""
    count = 0
    with _new(path) as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0, compresslevel=6) as packed:
            for row in rows:
                packed.write(_to_json(row) + b"\n")
                count += 1
        raw.flush()
        os.fsync(raw.fileno())
    return Part(file=path.name, rows=count, size=path.stat().st_size, sha256=digest(path))


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Writes the manifest: with it the archive is whole."""
    with _new(directory / MANIFEST) as file:
        file.write(msgspec.json.format(_to_json(manifest), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(directory)


def _new(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb")


def begin(out: Path, name: str) -> Path:
    """An empty directory for an archive that is being made; what a crash left of an earlier one goes."""
    partial = out / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    return partial


def publish(partial: Path, name: str) -> Path:
    """Gives a whole archive its name. One of that name that is there already is of the same month, whose rows are all still in
    the database: the new one takes its place."""
    final, old = partial.parent / name, partial.parent / f".{name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    partial.rename(final)
    sync_directory(final.parent)
    shutil.rmtree(old, ignore_errors=True)
    return final


def sync_directory(directory: Path) -> None:
    """Makes the names in it durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- reading back ------------------------------------------------------------------------------------------------------


def digest(path: Path) -> str:
    """SHA-256 of a file, as it is on disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(directory: Path) -> Manifest:
    """Raises `BadArchive`."""
    path = directory / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise BadArchive(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise BadArchive(f"{path}: is no manifest of an archive: {error}") from None
    if manifest.format != FORMAT:
        raise BadArchive(f"{path}: has the format {manifest.format!r}; this program reads {FORMAT}")
    return manifest


def verify(directory: Path) -> Manifest:
    """Reads everything and compares it with the manifest. Raises `BadArchive`."""
    manifest = read_manifest(directory)
    for part in (manifest.payments, manifest.events):
        _same_bytes(directory, part)
    totals = Totals()
    for payment in rows_of(directory / manifest.payments.file):
        totals.take(payment)
    events, last = 0, None
    for event in rows_of(directory / manifest.events.file):
        events, last = events + 1, event["cursor"]
    for what, found, said in (
        ("payments", totals.rows, manifest.payments.rows),
        ("sums by currency", totals.sums_text, manifest.sums),
        ("states", dict(totals.states), manifest.states),
        ("versions", totals.versions, manifest.versions),
        ("events", events, manifest.events.rows),
        ("last event", last, manifest.last_event),
    ):
        if found != said:
            raise BadArchive(f"{directory}: {what}: the files hold {found}, the manifest says {said}")
    return manifest


def _same_bytes(directory: Path, part: Part) -> None:
    path = directory / part.file
    if path.parent != directory or not path.is_file():
        raise BadArchive(f"{path}: the file is missing")
    if path.stat().st_size != part.size or digest(path) != part.sha256:
        raise BadArchive(f"{path}: is not the file that was written: size or SHA-256 differ from the manifest")


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a part. Raises `BadArchive` with the line."""
    number = 0
    try:
        with gzip.open(path, "rb") as packed:
            while line := packed.readline(_LINE_BYTES_MAX):
                number += 1
                yield _of_json(line)
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise BadArchive(f"{path}: line {number or 1} cannot be read: {error}") from None
