"""Uploads: what is announced, what arrives, what the bank makes of it.

An order is accepted in the answer to its last segment and not before. Its data goes to the ledger once: the step that accepts
it is one row of the archive, and the file is renamed into the customer's vault, so that a bank killed in between finds at its
next start what was accepted and not handed over yet.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from xml.parsers import expat

from keys.ebics_encryption import SEGMENT_CHARS_MAX, decrypted
from keys.ebics_signature import normalised
from keys.seal import BadSeal
from simulator.bank import Bank
from simulator.ebics.answers import Answer
from simulator.ebics.archive import Archive, Order
from simulator.ebics.catalogue import KEY_ORDERS
from simulator.ebics.keydata import read_key_order
from simulator.ebics.names import H004, H005, Fault
from simulator.ebics.requests import Request
from simulator.ebics.settings import EbicsDoorSettings
from simulator.ebics.signatures import Signature, as_signers, check_signatures, signers_of
from simulator.ebics.subscribers import State, Subscribers, User, suffices
from simulator.ebics.verifying import REPORT, is_verified, report
from simulator.fast_reader import Unreadable

FAILED_REASONS: Final = {
    "090003": "DS19",  # the user's rights do not suffice
    "090004": "TD03",  # incorrect file structure
    "091113": "DS17",  # data and signatures do not belong together
    "091117": "TD02",  # the file cannot be read
    "091301": "DS17",
    "091304": "DS14",  # the user does not exist
    "091305": "DS27",  # the user is not activated
    "091306": "DS26",  # the same user has signed more than once
}
OTHER_REASON: Final = "DS28"  # returned for a technical reason
"""Reason codes of the customer protocol for what fails (ISO 20022, ExternalStatusReason1Code)."""


@dataclass(slots=True, kw_only=True)
class Upload:
    """A transaction that is open. `received` are the segments' files, in order."""

    id: str
    user: User
    order: Order
    started: float
    num_segments: int
    transaction_key: bytes
    signatures: list[Signature]
    declared: bytes | None  # DataDigest
    eds: bool | None  # whether missing signatures may follow; None: no SignatureFlag
    attribute: str
    received: list[Path] = field(default_factory=list)
    recoveries: int = 0
    finished: bool = False


class Uploads:
    """The part of the desk that takes order data."""

    def __init__(self, bank: Bank, archive: Archive, subscribers: Subscribers, settings: EbicsDoorSettings, folder: Path) -> None:
        self._bank = bank
        self._archive = archive
        self._subscribers = subscribers
        self._settings = settings
        self._work = folder / "work"
        self._orders = folder / "orders"
        for made in (self._work, self._orders):
            made.mkdir(parents=True, exist_ok=True)
        for left in self._work.iterdir():
            left.unlink()

    def resume(self) -> None:
        """At the start: what was accepted and not handed over is handed over; what was open is aborted."""
        for order in self._archive.orders(state="accepted"):
            if self.file_of(order).exists():
                self._hand_over(order)
        for order in self._archive.orders(state="open"):
            self.abort(order, "the bank has forgotten the transaction")

    def file_of(self, order: Order) -> Path:
        """Where the data of an order lies until the ledger gets it."""
        return self._orders / f"{order.number:08d}"

    def take(self, request: Request, upload: Upload) -> Answer:
        """One segment. Raises `Fault`."""
        number, have = request.segment_number, len(upload.received)
        answer = Answer(version=request.version, phase="Transfer", transaction_id=upload.id, order_id=upload.order.order_id)
        if upload.finished:
            raise Fault("061101", "the bank has the last segment", segment=have)
        if number > upload.num_segments or (number == upload.num_segments and not request.last_segment):
            raise Fault("091104", f"{upload.num_segments} segments were announced")
        if number != have + 1:
            raise self._out_of_step(upload, have)
        if request.order_data is None:
            raise Fault("061002", "a segment without OrderData")
        if len(request.order_data) > SEGMENT_CHARS_MAX:
            raise Fault("091009", "a segment has at most 1 MiB")
        file = self._work / f"{upload.id}-{number:06d}"
        file.write_bytes(request.order_data)
        upload.received.append(file)
        if not request.last_segment:
            return _with(answer, "000000", "", number, last=False)
        upload.finished = True
        early = number < upload.num_segments
        code, text = self.finish(upload)
        if early and code == "000000":
            code, text = "011101", "fewer segments came than were announced"
        return _with(answer, code, text, number, last=True)

    def _out_of_step(self, upload: Upload, have: int) -> Fault:
        upload.recoveries += 1
        if not self._settings.recoveries_max:
            return Fault("091105", "the bank does not continue broken transactions")
        if upload.recoveries > self._settings.recoveries_max:
            return Fault("091102", "too many recoveries: the transaction is aborted")
        return Fault("061101", "go on behind this segment", segment=have)

    def finish(self, upload: Upload) -> tuple[str, str]:
        """What the bank says once all data is there; the customer protocol is told each step."""
        order = upload.order
        try:
            return self._judge(upload)
        except Fault as fault:
            order.state = "refused"
            self._archive.keep_order(order)
            self._archive.note(order, "FILE_UPLOAD", "TS01")
            self._archive.note(order, "ES_VERIFICATION", FAILED_REASONS.get(fault.code, OTHER_REASON), fault.text)
            self._archive.note(order, "ORDER_HAC_FINAL_NEG", "", f"{fault.code} {fault.text}")
            self.file_of(order).unlink(missing_ok=True)
            return fault.code, fault.text
        finally:
            for file in upload.received:
                file.unlink(missing_ok=True)

    def abort(self, order: Order, why: str) -> None:
        """Nothing of this order will be executed."""
        order.state = "aborted"
        self._archive.keep_order(order)
        self._archive.note(order, "FILE_UPLOAD", "TA01", why)
        self._archive.note(order, "ORDER_HAC_FINAL_NEG", "", why)

    def drop(self, upload: Upload, why: str) -> None:
        """Forgets an open transaction."""
        for file in upload.received:
            file.unlink(missing_ok=True)
        if not upload.finished:
            self.abort(upload.order, why)

    # ------------------------------------------------------------------------------------------------------------------------

    def _judge(self, upload: Upload) -> tuple[str, str]:
        order, settings = upload.order, self._settings
        digest, raw, well_formed = self._open(upload)
        order.digest = digest
        pairs = signers_of(upload.signatures, upload.user, self._subscribers.find)
        if check_signatures(pairs, digest, raw) and not settings.tolerate.raw_signatures:
            raise Fault("091301", "the electronic signature is over the data as it is; CR, LF and Ctrl-Z are not signed")
        if upload.declared not in {None, digest} and not settings.tolerate.long_data_digest:
            tolerated = settings.tolerate.raw_signatures and upload.declared == raw
            if not tolerated:
                raise Fault("091113", "DataDigest: is not the digest of the order data that came")
        if order.order_type in KEY_ORDERS or order.order_type in {"SPR", "HVS"}:
            return self._administer(upload, pairs)
        if not well_formed and not order.label.startswith("FUL") and not settings.tolerate.any_format:
            raise Fault("090004", "the order data is no well-formed XML")
        if settings.double_upload_control and self._archive.sent_before(order.partner_id, digest, order.number):
            raise Fault("091122", "the customer has sent this order data before")
        self._archive.note(order, "FILE_UPLOAD", "TS01")
        order.signers = as_signers(pairs)
        return self.authorise(order, self._subscribers.known(order.partner_id, order.user_id), upload.eds, upload.attribute)

    def authorise(self, order: Order, user: User, eds: bool | None, attribute: str) -> tuple[str, str]:
        """Executes the order, parks it for more signatures, lets it wait for paper, or refuses it (`Fault`)."""
        if is_verified(order.label):
            self._verify(order, user)
            return "000000", ""
        on_paper = attribute == "DZHNN" or (eds is None and self._settings.flagless == "wait")
        if on_paper:
            order.state = "waiting"
            self._archive.keep_order(order)
            self._archive.note(order, "ES_VERIFICATION", "TS04")
        elif suffices(order.signers):
            self._archive.note(order, "ES_VERIFICATION", "DS01")
            self.accept(order, user)
        elif eds:
            order.state = "parked"
            self._archive.keep_order(order)
            self._archive.note(order, "VEU_FORWARDING", "DS06")
        else:
            raise Fault("090003", "the electronic signatures do not suffice, and no distributed signature was asked for")
        return "000000", ""

    def _verify(self, order: Order, user: User) -> None:
        """The result is on offer before the order waits; the signatures that came with it are forgotten. Raises `Fault`."""
        number = self._bank.records.next("vop")
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            told = report(self.file_of(order), f"SIM-VOP-{number}", created)
        except Unreadable as error:
            raise Fault("090004", f"the payees cannot be read: {error}") from error
        tree, name = user.customer.tree, f"{REPORT}-{number}.xml"
        (tree.work / name).write_bytes(told)
        (tree.work / name).rename(tree.outbox / name)
        order.signers, order.state = [], "parked"
        self._archive.keep_order(order)
        self._archive.note(order, "VEU_FORWARDING", "DS06")

    def accept(self, order: Order, user: User) -> None:
        """The order is the bank's from here on."""
        order.state = "accepted"
        self._archive.keep_order(order)
        user.customer.counts["ebics_orders_accepted"] += 1
        self._hand_over(order)

    def _hand_over(self, order: Order) -> None:
        user = self._subscribers.known(order.partner_id, order.user_id)
        file = self.file_of(order)
        self._bank.records.claim(user.customer.id, order.file_name, order.size, None)
        self._bank.take(user.customer, order.file_name, file)

    def _administer(self, upload: Upload, pairs: list[tuple[Signature, User]]) -> tuple[str, str]:
        """PUB, HCA, HCS, SPR by upload of data; HVS is judged by its caller, who reads the file."""
        order, user = upload.order, upload.user
        if not any(signer.id == user.id for _, signer in pairs):
            raise Fault("091304", "the order is not signed by its user")
        version = H005 if order.version == H005.name else H004
        data = self.file_of(order).read_bytes()
        if order.order_type == "SPR":
            user.state = State.LOCKED
            self._subscribers.keep(user)
        elif order.order_type == "HVS":
            self.cancel_by_data(upload, data)
        else:
            found = read_key_order(data, order.order_type, version, datetime.now(UTC))
            if (found.partner_id, found.user_id) != (user.partner_id, user.id):
                raise Fault("090004", "the order data names another user")
            self._subscribers.change_keys(user, found.keys)
        order.state = "done"
        self._archive.keep_order(order)
        self._archive.note(order, "FILE_UPLOAD", "TS01")
        self._archive.note(order, "ES_VERIFICATION", "DS01")
        self._archive.note(order, "ORDER_HAC_FINAL_POS")
        self.file_of(order).unlink()
        return "000000", ""

    cancel_by_data: Callable[[Upload, bytes], None]
    """Set by the desk: HVS, which belongs to the distributed signatures."""

    def _open(self, upload: Upload) -> tuple[bytes, bytes, bool]:
        """Decrypts the segments into the order's file: digest of N(D), digest of D, and whether D is well-formed XML."""
        signed, raw, watch = hashlib.sha256(), hashlib.sha256(), _Wellformed()
        size = 0
        with self.file_of(upload.order).open("wb") as out:
            try:
                for piece in decrypted(
                    _contents(upload.received), upload.transaction_key, bytes_max=self._settings.order_bytes_max
                ):
                    signed.update(normalised(piece))
                    raw.update(piece)
                    watch.feed(piece)
                    out.write(piece)
                    size += len(piece)
            except BadSeal as error:
                raise Fault("091117" if error.code == "content.too-large" else "090004", error.detail) from error
        upload.order.size = size
        return signed.digest(), raw.digest(), watch.ended()


class _Wellformed:
    """Looks at order data as it passes. A DTD is none of a payment."""

    def __init__(self) -> None:
        self._fine = True
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._doctype

    def _doctype(self, *_: object) -> None:
        self._fine = False

    def feed(self, piece: bytes) -> None:
        if self._fine:
            try:
                self._parser.Parse(piece, False)
            except expat.ExpatError:
                self._fine = False

    def ended(self) -> bool:
        if self._fine:
            try:
                self._parser.Parse(b"", True)
            except expat.ExpatError:
                self._fine = False
        return self._fine


def _contents(files: list[Path]) -> Iterator[bytes]:
    for file in files:
        yield file.read_bytes()


def _with(answer: Answer, code: str, text: str, segment: int, *, last: bool) -> Answer:
    return Answer(
        version=answer.version,
        phase=answer.phase,
        transaction_id=answer.transaction_id,
        order_id=answer.order_id,
        code=code,
        text=text,
        segment=segment,
        last=last,
    )
