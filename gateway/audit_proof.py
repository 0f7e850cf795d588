"""The proof bundle of a payment: what it was, what happened to it, and what was decided about it, in files that a stranger checks
with deploy/scripts/audit_check.py, without anything of ours (docs/audit.md).

What is said of the payment and its events is bound by a line of the audit log of its own, written now, which holds the digest of
`payment.json`; that line and all other lines of the payment are proved to be among those that the checkpoint signs.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from gateway.audit.chain import AuditRow, moment_text
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.form import as_json, masked
from gateway.audit.lines import by_operator
from gateway.audit.merkle import Tree
from gateway.checkpoints import Checkpointer
from gateway.store import codec
from gateway.store.audit import AuditFilter
from gateway.store.records import Payment, PaymentEventRow
from gateway.store.store import Store

PAGE: Final = 1_000
HASHES: Final = 10_000
README: Final = """\
Proof bundle of payment {payment}, made at {made_at}.

payment.json       the payment and its events, as the gateway keeps them
lines.json         the lines of the audit log about it, each with the path that proves it to be in the log
checkpoint.json    how far the log had come: the text that is signed, byte for byte
checkpoint.sig     the signature over checkpoint.json (absent: the gateway has no key for checkpoints)
checkpoint.pem     the public key that made it; compare it with the one that you were given on another way

To check: python3 audit_check.py DIRECTORY --key THE-KEY-YOU-WERE-GIVEN.pem
The script is deploy/scripts/audit_check.py of the gateway's sources; what it computes stands in docs/audit.md, and it needs
nothing but Python and openssl. By hand:
    openssl dgst -sha256 -verify KEY.pem -signature checkpoint.sig checkpoint.json
    sha256sum payment.json        must stand in the last line of lines.json, as payment_sha256 in its detail
"""


class NoSuchPayment(Exception):
    """The operator's: there is no payment of this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """`files`: name and bytes of each."""

    files: dict[str, bytes]
    size: int  # lines that the checkpoint covers
    lines: int  # about the payment
    signed: bool


async def prove(store: Store, checkpointer: Checkpointer, payment_id: str, *, by: str, personal: bool) -> Bundle:
    """Writes a line and makes a checkpoint. `personal`: with the names, accounts and details. Raises `NoSuchPayment`,
    `KeyUnavailable`, `StoreUnavailable`."""
    payment = await store.payment(payment_id)
    if payment is None:
        raise NoSuchPayment(f"there is no payment {payment_id}")
    told = _json(_told(payment, await store.payment_events(payment_id), personal=personal))
    digest = hashlib.sha256(told).hexdigest()
    await store.audit([by_operator(by, "audit.proof_made", "payment", payment_id, payment_sha256=digest, personal=personal)])
    checkpoint = await checkpointer.make()
    assert checkpoint is not None  # noqa: S101 - a line was written above
    rows = await _rows_of(store, payment)
    tree = Tree(await _hashes(store, checkpoint.size))
    last = next(row for row in reversed(rows) if row.detail is not None and digest in row.detail)
    proved = [row for row in rows if row.number <= checkpoint.size]
    lines = [
        {
            "line": as_json(row if personal or row is last else masked(row)),
            "path": [one.hex() for one in tree.inclusion(row.number - 1)],
        }
        for row in proved
    ]
    files = {
        "payment.json": told,
        "lines.json": _json(lines),
        "README.txt": README.format(payment=payment_id, made_at=moment_text(checkpoint.made_at)).encode(),
        **files_of(checkpoint),
    }
    return Bundle(files=files, size=checkpoint.size, lines=len(lines), signed=checkpoint.signature is not None)


def files_of(checkpoint: Checkpoint) -> dict[str, bytes]:
    """A checkpoint as files."""
    files = {"checkpoint.json": checkpoint.content.encode()}
    if checkpoint.signature is not None and checkpoint.public_key is not None:
        files |= {"checkpoint.sig": checkpoint.signature, "checkpoint.pem": checkpoint.public_key.encode()}
    return files


async def _rows_of(store: Store, payment: Payment) -> list[AuditRow]:
    """Of the payment and of the message that it is in, in the order in which they were written."""
    places = [("payment", payment.payment_id)]
    if payment.delivery_id is not None:
        places.append(("delivery", payment.delivery_id))
    rows: list[AuditRow] = []
    for kind, name in places:
        token: str | None = None
        while True:
            page, token = await store.list_audit(AuditFilter(object_kind=kind, object_id=name), limit=PAGE, before=token)
            rows += page
            if token is None:
                break
    return sorted(rows, key=lambda row: row.number)


async def _hashes(store: Store, size: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < size:
        piece = await store.audit_hashes(len(found), min(HASHES, size - len(found)))
        if not piece or piece[-1][0] != len(found) + len(piece):
            raise RuntimeError(f"the audit log lacks lines after {len(found)}: run `bankgate audit verify`")
        found += [one for _, one in piece]
    return found


def _told(payment: Payment, events: list[PaymentEventRow], *, personal: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "payment_id": payment.payment_id,
        "payment_reference": payment.payment_reference,
        "caller": payment.caller,
        "connection_id": payment.connection_id,
        "amount": str(payment.transfer.amount),
        "currency": payment.transfer.currency,
        "state": payment.state.value,
        "events": [_event(event) for event in events],
    }
    if personal:
        told |= {
            "transfer": json.loads(codec.transfer_column(payment.transfer)),
            "terms": json.loads(codec.terms_column(payment.terms)),
        }
    return told


def _event(event: PaymentEventRow) -> dict[str, Any]:
    return {
        "at": moment_text(event.occurred_at),
        "state": event.state.value,
        "previous_state": event.previous_state.value if event.previous_state else None,
        "reason": event.reason.code,
        "source": event.source,
        "message_id": event.message_id,
    }


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
