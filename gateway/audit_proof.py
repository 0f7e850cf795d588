"""The proof bundle of a payment: what it was, what happened to it, and what was decided about it, in files that a stranger checks
with deploy/scripts/audit_check.py, without anything of ours (docs/audit.md).

Each event of the payment and of its message is proved to be under a seal (`gateway.audit.events`), the seal to be told of by a
line of the audit log, and that line, like all lines about the payment, to be among those that the checkpoint signs. What is said
of the payment itself is bound by a line of its own, written now, which holds the digest of `payment.json`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.audit.anchor import PRUNED
from gateway.audit.chain import AuditRow, moment_text
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.events import FIELDS, SEAL, EventSeal, LoggedEvent, Stream, event_salt, hidden_digest, leaf_of, seal_name
from gateway.audit.form import as_json, masked, names_a_person
from gateway.audit.lines import by_operator
from gateway.audit.merkle import Frontier, Tree
from gateway.checkpoints import Checkpointer
from gateway.sealed_events import archive_of, archived_event
from gateway.sealing import Sealer
from gateway.store import codec
from gateway.store.archive_files import read_manifest, rows_of
from gateway.store.audit import AuditFilter
from gateway.store.store import Store

PAGE: Final = 1_000
HASHES: Final = 10_000
SEALS: Final = 20
README: Final = """\
Proof bundle of payment {payment}, made at {made_at}.

payment.json       the payment and its events, as the gateway keeps them
events.json        its events and those of its message, each with the path that proves it to be under a seal; and the seals
lines.json         the lines of the audit log about it and about the seals, each with the path that proves it to be in the log
checkpoint.json    how far the log had come: the text that is signed, byte for byte
checkpoint.sig     the signature over checkpoint.json (absent: the gateway has no key for checkpoints)
checkpoint.pem     the public key that made it; compare it with the one that you were given on another way

To check: python3 audit_check.py DIRECTORY --key THE-KEY-YOU-WERE-GIVEN.pem
The script is deploy/scripts/audit_check.py of the gateway's sources; what it computes stands in docs/audit.md, and it needs
nothing but Python and openssl. By hand:
    openssl dgst -sha256 -verify KEY.pem -signature checkpoint.sig checkpoint.json
    sha256sum payment.json        must stand in the last line of lines.json, as payment_sha256 in its detail
"""


class CannotProve(Exception):
    """The operator's: there is no payment of this id, or what is stored does not fit its seals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """`files`: name and bytes of each."""

    files: dict[str, bytes]
    size: int  # lines that the checkpoint covers
    lines: int  # that are proved
    events: int  # that are proved
    unsealed: int  # events that are not under a seal yet
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """The payment: what is said of it, `personal` what is said only where names may be; and its events."""

    told: dict[str, Any]
    personal: dict[str, Any]
    delivery_id: str | None
    events: list[LoggedEvent]


@dataclass(slots=True)
class _Proofs:
    """What `events.json` is made of. `seals`: by their names."""

    events: list[dict[str, Any]] = field(default_factory=list)
    seals: dict[str, EventSeal] = field(default_factory=dict)
    unsealed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """Makes bundles. `archives`: the directory of `bankgate store archive`, for payments whose month is there."""

    store: Store
    checkpointer: Checkpointer
    sealer: Sealer
    archives: Path | None = None

    async def prove(self, payment_id: str, *, by: str, personal: bool) -> Bundle:
        """Seals what is not sealed, writes a line and makes a checkpoint. `personal`: with names, accounts and details.
        Raises `CannotProve`, `BadArchive`, `KeyUnavailable`, `StoreUnavailable`."""
        await self.sealer.seal_all()
        subject = await self._subject(payment_id)
        told = _json(
            subject.told
            | {"events": [_event(event, personal=personal) for event in subject.events]}
            | (subject.personal if personal else {})
        )
        proofs = _Proofs()
        await self._prove_events(proofs, Stream.PAYMENTS, subject.events, personal=personal)
        if subject.delivery_id is not None:
            events = await self.store.logged_events_of(Stream.DELIVERIES, subject.delivery_id)
            await self._prove_events(proofs, Stream.DELIVERIES, events, personal=personal)
        seal_rows = await self._seal_rows(proofs)
        digest = hashlib.sha256(told).hexdigest()
        line = by_operator(by, "audit.proof_made", "payment", payment_id, payment_sha256=digest, personal=personal)
        await self.store.audit([line])
        checkpoint = await self.checkpointer.make()
        assert checkpoint is not None  # noqa: S101 - a line was written above
        rows = await self._rows_of(payment_id, subject.delivery_id)
        last = next(row for row in reversed(rows) if row.detail is not None and digest in row.detail)
        rows = sorted([*rows, *seal_rows], key=lambda row: row.number)
        shown = [row if personal or row is last else masked(row) for row in rows if row.number <= checkpoint.size]
        lines = await self._proved(shown, checkpoint)
        files = {
            "payment.json": told,
            "events.json": _json({"seals": [_seal(one) for one in proofs.seals.values()], "events": proofs.events}),
            "lines.json": _json(lines),
            "README.txt": README.format(payment=payment_id, made_at=moment_text(checkpoint.made_at)).encode(),
            **files_of(checkpoint),
        }
        return Bundle(
            files=files,
            size=checkpoint.size,
            lines=len(lines),
            events=len(proofs.events),
            unsealed=proofs.unsealed,
            signed=checkpoint.signature is not None,
        )

    # -- the payment ---------------------------------------------------------------------------------------------------

    async def _subject(self, payment_id: str) -> _Subject:
        payment = await self.store.payment(payment_id)
        if payment is None:
            return await self._archived_subject(payment_id)
        return _Subject(
            told={
                "payment_id": payment.payment_id,
                "payment_reference": payment.payment_reference,
                "caller": payment.caller,
                "connection_id": payment.connection_id,
                "amount": str(payment.transfer.amount),
                "currency": payment.transfer.currency,
                "state": payment.state.value,
            },
            personal={
                "transfer": json.loads(codec.transfer_column(payment.transfer)),
                "terms": json.loads(codec.terms_column(payment.terms)),
            },
            delivery_id=payment.delivery_id,
            events=await self.store.logged_events_of(Stream.PAYMENTS, payment_id),
        )

    async def _archived_subject(self, payment_id: str) -> _Subject:
        """Of a payment whose month was archived: from there, and its later events from later months, archived or not."""
        months = await self.store.archived_months()
        if self.archives is None:
            more = "; if its month was archived, give --archive DIR" if months else ""
            raise CannotProve(f"there is no payment {payment_id}{more}")
        found: dict[str, Any] | None = None
        events: list[LoggedEvent] = []
        for month in months:
            if not (self.archives / f"bankgate-{month.month}").is_dir() and found is None:
                continue  # one of before the payment, perhaps kept elsewhere
            directory = archive_of(self.archives, month)
            manifest = read_manifest(directory)
            rows = rows_of(directory / manifest.payments.file)
            found = found or next((row for row in rows if row["payment_id"] == payment_id), None)
            if found is not None:
                told = (row for row in rows_of(directory / manifest.events.file) if row["payment_id"] == payment_id)
                events += [archived_event(row, month.month) for row in told]
        if found is None:
            raise CannotProve(f"there is no payment {payment_id}, neither in the database nor in the archives in {self.archives}")
        events += await self.store.logged_events_of(Stream.PAYMENTS, payment_id)
        names = ("payment_id", "payment_reference", "caller", "connection_id", "amount", "currency", "state")
        return _Subject(
            told={name: found[name] for name in names},
            personal={name: found[name] for name in ("transfer", "terms")},
            delivery_id=found["delivery_id"],
            events=events,
        )

    # -- the events ----------------------------------------------------------------------------------------------------

    async def _prove_events(self, proofs: _Proofs, stream: Stream, events: Sequence[LoggedEvent], *, personal: bool) -> None:
        trees: dict[str, Tree] = {}
        for event in events:
            seal = await self.store.seal_over(stream, event.cursor)
            if seal is None:
                proofs.unsealed += 1
                continue
            name = seal_name(stream, seal.first_number)
            proofs.seals[name] = seal
            if name not in trees:
                trees[name] = Tree(seal.leaf_data())
            number = _number_in(seal, event)
            if number is None:
                raise CannotProve(f"an event of {event.object_id} is not what was sealed: run `bankgate audit verify`")
            path = [one.hex() for one in trees[name].inclusion(number - seal.first_number)]
            proofs.events.append(_proved_event(seal, number, event, personal=personal) | {"path": path})

    async def _seal_rows(self, proofs: _Proofs) -> list[AuditRow]:
        """The lines that tell of these seals. Where such a line was pruned, the seals behind it up to the first whose line is
        there: they hang together. Where there is none, the line of the pruning, which hands on the last seal."""
        rows: dict[int, AuditRow] = {}
        for seal in list(proofs.seals.values()):
            following = [seal]
            while following:
                one = following.pop(0)
                name = seal_name(one.stream, one.first_number)
                proofs.seals[name] = one
                found, _ = await self.store.list_audit(AuditFilter(object_kind=SEAL, object_id=name), limit=1)
                if found:
                    rows[found[0].number] = found[0]
                    break
                following = following or await self.store.seals(Stream(seal.stream), one.first_number, SEALS)
            else:
                found, _ = await self.store.list_audit(AuditFilter(action=PRUNED), limit=1)
                rows.update((row.number, row) for row in found)
        return list(rows.values())

    # -- the lines -----------------------------------------------------------------------------------------------------

    async def _rows_of(self, payment_id: str, delivery_id: str | None) -> list[AuditRow]:
        """Of the payment and of the message that it is in, in the order in which they were written."""
        places = [("payment", payment_id)]
        if delivery_id is not None:
            places.append(("delivery", delivery_id))
        rows: list[AuditRow] = []
        for kind, name in places:
            token: str | None = None
            while True:
                where = AuditFilter(object_kind=kind, object_id=name)
                page, token = await self.store.list_audit(where, limit=PAGE, before=token)
                rows += page
                if token is None:
                    break
        return sorted(rows, key=lambda row: row.number)

    async def _proved(self, rows: Sequence[AuditRow], checkpoint: Checkpoint) -> list[dict[str, Any]]:
        anchors = await self.store.audit_anchors()
        before = Frontier()
        if anchors:
            (kept,) = await self.store.checkpoints(anchors[-1].size - 1, 1)
            before = Frontier(kept.size, kept.frontier)
        tree = Tree(await self._hashes(before.size, checkpoint.size), before)
        told = [row for row in rows if row.number > before.size]
        return [{"line": as_json(row), "path": [one.hex() for one in tree.inclusion(row.number - 1)]} for row in told]

    async def _hashes(self, after: int, size: int) -> list[bytes]:
        found: list[bytes] = []
        while (last := after + len(found)) < size:
            piece = await self.store.audit_hashes(last, min(HASHES, size - last))
            if not piece or piece[-1][0] != last + len(piece):
                raise RuntimeError(f"the audit log lacks lines after {last}: run `bankgate audit verify`")
            found += [one for _, one in piece]
        return found


def files_of(checkpoint: Checkpoint) -> dict[str, bytes]:
    """A checkpoint as files."""
    files = {"checkpoint.json": checkpoint.content.encode()}
    if checkpoint.signature is not None and checkpoint.public_key is not None:
        files |= {"checkpoint.sig": checkpoint.signature, "checkpoint.pem": checkpoint.public_key.encode()}
    return files


def _number_in(seal: EventSeal, event: LoggedEvent) -> int | None:
    """The number that an event has under a seal; None if it is not what was sealed."""
    for number, leaf in enumerate(seal.leaf_data(), seal.first_number):
        if leaf_of(seal.stream, event.texts, hidden_digest(event, event_salt(seal.salt, number))) == leaf:
            return number
    return None


def _proved_event(seal: EventSeal, number: int, event: LoggedEvent, *, personal: bool) -> dict[str, Any]:
    """As in `events.json`. The hidden texts are left out where they may name or describe somebody."""
    salt, texts = event_salt(seal.salt, number), dict(zip(FIELDS[Stream(seal.stream)], event.texts, strict=True))
    shown = personal or (not names_a_person(event.source) and event.reason == texts["reason_code"])
    hidden = {"source": event.source, "reason": event.reason, "salt": salt.hex()}
    return {
        "stream": seal.stream,
        "number": number,
        **texts,
        **(hidden if shown else dict.fromkeys(hidden)),
        "hidden_digest": hidden_digest(event, salt).hex(),
    }


def _seal(seal: EventSeal) -> dict[str, Any]:
    return {
        "stream": seal.stream,
        "first": seal.first_number,
        "count": seal.event_count,
        "month": seal.month,
        "root": seal.root.hex(),
        "previous_hash": seal.previous_hash.hex(),
        "hash": seal.hash.hex(),
    }


def _event(event: LoggedEvent, *, personal: bool) -> Mapping[str, Any]:
    texts = dict(zip(FIELDS[Stream.PAYMENTS], event.texts, strict=True))
    return {
        "at": texts["moment"],
        "state": texts["state"],
        "previous_state": texts["previous_state"] or None,
        "reason": texts["reason_code"],
        "source": event.source if personal or not names_a_person(event.source) else None,
        "message_id": texts["message_id"] or None,
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
