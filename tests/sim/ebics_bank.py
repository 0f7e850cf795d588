"""A bank that speaks EBICS, in front of the simulation's own bank: transactions, segments, its customer protocol, and its faults.

Messages are read and written by the simulator's code (`simulator.ebics.requests`, `answers`, `reports`), which was written apart
from the channel's; everything that has to do with time and chance is the world's. It executes an order once its last segment is
there, and it does execute a second one with the same content, unless it has duplicate control: that no order comes twice is the
gateway's to see to.

How it is differs from life to life: its version, whether it continues broken transactions, whether it remembers finished ones,
and whether it knows order data again, at the end or with the first message of a transaction.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from keys.ebics_auth import verify_message
from keys.ebics_encryption import decrypted_whole, encrypted, segments, unwrapped_key, wrapped_key
from keys.ebics_signature import normalised
from simulator.ebics.answers import Answer, Encrypted, write
from simulator.ebics.archive import Step
from simulator.ebics.names import H005, Fault
from simulator.ebics.reports import hac
from simulator.ebics.requests import Request, read_request, read_root, version_of
from tests.ebics.support.parties import key, own_keys
from tests.sim.settings import START

if TYPE_CHECKING:
    from tests.sim.world import World

FORGETS_AFTER = 1800.0  # seconds; then a transaction that was left open is aborted
RECOVERIES_MAX = 3
SEGMENT_CHARS = 600  # of what it sends: several segments, mostly
PROTOCOL_LATE = 7200.0  # seconds, by which the customer protocol may lag behind
EXECUTES_LATE = 7200.0  # likewise, the bank with an order that it took
_ID = re.compile(rb"<MsgId>(\w+)</MsgId>")
UNTRUE = ("061099", "099999", "011101")  # codes in the answer to a last segment that the bank has acted upon
REFUSALS = ("061001", "061002", "090003", "090004", "091113", "091301")  # with which it takes nothing


@dataclass
class Upload:
    """A transaction in which an order comes."""

    id: str
    order_id: str
    order_type: str
    announced: int
    secret: bytes
    declared: bytes | None
    at: float
    received: list[bytes] = field(default_factory=list)
    recoveries: int = 0
    finished: bool = False


@dataclass
class Download:
    """A transaction in which something is fetched. `received`: what its positive receipt means."""

    id: str
    parts: list[bytes]
    at: float
    received: Callable[[], None]


@dataclass
class Line:
    """One step of the customer protocol, and from when on it is shown."""

    step: Step
    shown_at: float


class EbicsBank:
    """See the module. `answer` takes a message and gives the bank's."""

    def __init__(self, world: "World") -> None:
        self._world = world
        dice = world.dice
        self.version = dice.choice(["H004", "H005"])
        self.segment_chars = dice.choice([400, 800, 4000])  # as it wants them: an order is about 1,200
        self.recovers = dice.random() < 0.7
        self.remembers = dice.random() < 0.5  # a transaction that has ended well
        self.control = dice.choice(["", "", "end", "start"] if self.version == "H005" else ["", "end"])
        self._uploads: dict[str, Upload] = {}
        self._downloads: dict[str, Download] = {}
        self._known: set[bytes] = set()  # digests, for duplicate control
        self._protocol: list[Line] = []
        self._numbers = 0
        self._nonces: set[str] = set()
        self.accepted: dict[bytes, int] = {}  # how often order data was accepted, by its digest

    def answer(self, message: bytes) -> bytes:
        """What the bank answers. It has acted then, or not: that is its secret."""
        root = read_root(message)
        version = version_of(root)
        assert version is not None
        request = read_request(root, version)
        if request.kind != "ebicsRequest":  # HPB: not now
            return write(Answer(version=version, management=True, code="061099"), key("BX"))
        verify_message(root, own_keys(certificates=False).authentication.public)
        self._expire()
        try:
            answer = self._acted(request)
        except Fault as fault:
            self._world.tell("bank", f"says {fault.code} to {request.phase} {request.segment_number or ''}: {fault.text}")
            known = request.transaction_id if request.transaction_id in {*self._uploads, *self._downloads} else None
            phase = request.phase or "Initialisation"
            answer = Answer(version=version, phase=phase, transaction_id=known, code=fault.code, segment=fault.segment)
        if self._strikes("ebics: answer about another transaction", 0.01):
            answer = replace(answer, transaction_id=self._new_id())
        by = "O" if self._strikes("ebics: answer that nobody signed for the bank", 0.01) else "BX"
        return write(answer, key(by))

    # -- one step ------------------------------------------------------------------------------------------------------

    def _acted(self, request: Request) -> Answer:
        if request.phase == "Initialisation":
            if request.nonce in self._nonces:
                raise Fault("091103", "a message that came before")
            self._nonces.add(request.nonce)
            return self._begun(request) if request.upload is not None else self._offered(request)
        if self._strikes("ebics: transaction forgotten", 0.02):
            self._forget(request.transaction_id)
        upload, download = self._uploads.get(request.transaction_id), self._downloads.get(request.transaction_id)
        if upload is not None:
            return self._taken(request, upload)
        if download is None:
            raise Fault("091101", "no such transaction")
        return self._receipted(request, download) if request.phase == "Receipt" else self._given(request, download)

    def _begun(self, request: Request) -> Answer:
        if self._strikes("ebics: wrong code to the first message", 0.03):
            raise Fault(self._world.dice.choice(["061099", "091010", "099999", "091119"]), "a whim")
        if self._strikes("ebics: order refused with the first message", 0.01):
            raise Fault(self._world.dice.choice(REFUSALS), "refused")
        assert request.upload is not None
        assert request.num_segments is not None
        declared = request.upload.data_digest
        if self.control == "start" and declared is not None:
            if declared in self._known:
                self._seen("ebics: known again with the first message (091122)")
                raise Fault("091122", "the customer has sent this before")
            self._known.add(declared)
        self._numbers += 1
        secret = unwrapped_key(key("BE"), request.upload.transaction_key)
        upload = Upload(
            id=self._new_id(),
            order_id=f"B{self._numbers:03d}",
            order_type=request.order_type,
            announced=request.num_segments,
            secret=secret,
            declared=declared,
            at=self._now(),
        )
        self._uploads[upload.id] = upload
        self._world.tell("bank", f"opens order {upload.order_id} of {upload.announced} segments")
        return Answer(version=request.version, transaction_id=upload.id, order_id=upload.order_id)

    def _taken(self, request: Request, upload: Upload) -> Answer:
        number, have = request.segment_number, len(upload.received)
        if upload.finished:
            self._seen("ebics: a segment of an order that is complete (061101)")
            raise Fault("061101", "complete", segment=have)
        if have and self._strikes("ebics: segment lost by the bank", 0.03):
            upload.received.pop()
            have -= 1
        if number != have + 1:
            upload.recoveries += 1
            if not self.recovers or upload.recoveries > RECOVERIES_MAX:
                self._forget(upload.id)
                raise Fault("091102" if self.recovers else "091105", "aborted")
            self._seen("ebics: recovery (061101)")
            raise Fault("061101", "go on behind this segment", segment=have)
        wrong = "061099" if self._strikes("ebics: wrong code to a segment", 0.02) else ""
        if wrong and not request.last_segment:
            raise Fault(wrong, "a whim")
        assert request.order_data is not None
        upload.received.append(request.order_data)
        code = self._finished(upload) if request.last_segment else "000000"
        return Answer(
            version=request.version,
            phase="Transfer",
            transaction_id=upload.id,
            order_id=upload.order_id,
            segment=number,
            last=request.last_segment,
            code=wrong or code,
        )

    def _finished(self, upload: Upload) -> str:
        """All of it is there. The code of the answer."""
        if len(upload.received) != upload.announced:
            self._world.fail(f"order {upload.order_id} ended with segment {len(upload.received)} of {upload.announced}")
        if self._strikes("ebics: order refused at its end", 0.02):
            self._negative(upload, "TS01", "refused")
            del self._uploads[upload.id]
            raise Fault(self._world.dice.choice(REFUSALS), "refused")
        data = decrypted_whole(b"".join(upload.received), upload.secret, bytes_max=1 << 24)
        digest = hashlib.sha256(normalised(data)).digest()
        if upload.declared not in {None, digest}:
            self._world.fail(f"order {upload.order_id} is not the order data whose digest it declared")
        if self.control == "end" and digest in self._known:
            self._seen("ebics: known again at its end (091122)")
            self._negative(upload, "TS01", "sent before")
            del self._uploads[upload.id]
            raise Fault("091122", "the customer has sent this before")
        self._known.add(digest)
        upload.finished = True
        if not self.remembers:
            del self._uploads[upload.id]
        self.accepted[digest] = self.accepted.get(digest, 0) + 1
        if self.accepted[digest] > 1 and not self._world.wrong_words:
            self._world.fail(f"order data of order {upload.order_id} was executed {self.accepted[digest]} times")
        self._note(upload, "FILE_UPLOAD", "TS01")
        self._note(upload, "ES_VERIFICATION", "DS01")
        self._execute(upload, data)
        if self._strikes("ebics: wrong code after it was executed", 0.05):
            return self._world.dice.choice(UNTRUE)
        return "000000"

    def _execute(self, upload: Upload, data: bytes) -> None:
        world = self._world
        found = _ID.search(data)
        assert found is not None
        name = found[1].decode()

        def execute() -> None:
            world.bank.take(name, data)
            self._note(upload, "ORDER_HAC_FINAL_POS", "")

        if world.strikes("ebics: executed hours later", 0.1):
            world.bank.pending += 1

            def late() -> None:
                world.bank.pending -= 1
                execute()

            world.later(EXECUTES_LATE * world.dice.random(), late, flying=name)
        else:
            execute()

    def _offered(self, request: Request) -> Answer:
        if self._strikes("ebics: wrong code to a download", 0.03):
            raise Fault("061099", "a whim")
        received: Callable[[], None] = _nothing
        if request.order_type == "HAC":
            data = self._hac(request)
        else:
            data, received = self._news()
        if not data:
            raise Fault("090005", "nothing")
        receiver, secret = own_keys(certificates=False).encryption, self._world.dice.randbytes(16)
        parts = list(segments(encrypted((data,), secret), SEGMENT_CHARS))
        download = Download(id=self._new_id(), parts=parts, at=self._now(), received=received)
        self._downloads[download.id] = download
        return Answer(
            version=request.version,
            transaction_id=download.id,
            num_segments=len(parts),
            segment=1,
            last=len(parts) == 1,
            encrypted=Encrypted(digest=receiver.public_key_hash, transaction_key=wrapped_key(receiver.public, secret)),
            order_data=parts[0],
        )

    def _given(self, request: Request, download: Download) -> Answer:
        number = request.segment_number
        if number > len(download.parts):
            raise Fault("091104", "there are not so many")
        return Answer(
            version=request.version,
            phase="Transfer",
            transaction_id=download.id,
            segment=number,
            last=number == len(download.parts),
            order_data=download.parts[number - 1],
        )

    def _receipted(self, request: Request, download: Download) -> Answer:
        del self._downloads[download.id]
        if request.receipt_code == 0:
            download.received()
        code = "011000" if request.receipt_code == 0 else "011001"
        return Answer(version=request.version, phase="Receipt", transaction_id=download.id, code=code)

    # -- what it shows -------------------------------------------------------------------------------------------------

    def _news(self) -> tuple[bytes, Callable[[], None]]:
        """All answers in a ZIP; what is being written is not shown."""
        offers = self._world.bank.offers
        there = {name: data for name, data in offers.items() if data.endswith(b"-->")}
        if not there:
            return b"", _nothing
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            for name, data in there.items():
                archive.writestr(zipfile.ZipInfo(name), data)

        def received() -> None:
            for name, data in there.items():
                if offers.get(name) == data:
                    del offers[name]

        return held.getvalue(), received

    def _hac(self, request: Request) -> bytes:
        shown = [line.step for line in self._protocol if line.shown_at <= self._now()]
        return hac("SIM", len(shown), self._clock(), shown, H005 if self.version == "H005" else request.version) if shown else b""

    def _note(self, upload: Upload, action: str, reason: str) -> None:
        self._world.tell("bank", f"notes {action} {reason} of order {upload.order_id}")
        step = Step(
            number=len(self._protocol) + 1,
            partner_id="PARTNER1",
            user_id="USER1",
            order_id=upload.order_id,
            order_type=upload.order_type,
            action=action,
            reason=reason,
            text="",
            at=self._clock(),
        )
        late = self._strikes("ebics: customer protocol late", 0.9 if self._world.kind.deaf else 0.35)
        self._protocol.append(Line(step, self._now() + (PROTOCOL_LATE * self._world.dice.random() if late else 0.0)))

    def _negative(self, upload: Upload, reason: str, why: str) -> None:
        self._world.tell("bank", f"takes nothing of order {upload.order_id}: {why}")
        self._note(upload, "FILE_UPLOAD", reason)
        self._note(upload, "ORDER_HAC_FINAL_NEG", "")

    # -- transactions --------------------------------------------------------------------------------------------------

    def _forget(self, identifier: str) -> None:
        self._downloads.pop(identifier, None)
        upload = self._uploads.pop(identifier, None)
        if upload is not None and not upload.finished:
            self._negative(upload, "TA01", "the transaction is no more")

    def _expire(self) -> None:
        for identifier, open_one in [*self._uploads.items(), *self._downloads.items()]:
            if self._now() - open_one.at > FORGETS_AFTER:
                self._forget(identifier)

    def _new_id(self) -> str:
        return f"{self._world.dice.getrandbits(128):032X}"

    def _now(self) -> float:
        return self._world.loop.time()

    def _clock(self) -> str:
        return (START + timedelta(seconds=self._now())).isoformat()

    def _strikes(self, what: str, chance: float) -> bool:
        return self._world.strikes(what, chance)

    def _seen(self, what: str) -> None:
        self._world.note("bank", what)


def _nothing() -> None:
    return None
