"""The desk behind the EBICS door: reads a request, judges it, answers; and has the moods of a bank.

The order of the checks is that of a strict bank: form, host, user, AuthSignature, replay, the bank's keys, the order. Whatever
goes wrong is one return code in one answer.
"""

import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from keys.ebics_auth import verify_message
from keys.ebics_encryption import encrypted_whole, inflated_whole, new_transaction_key, wrapped_key
from keys.keymaterial import SoftwareKey
from keys.seal import BadSeal
from simulator.bank import Bank
from simulator.ebics import downloads
from simulator.ebics.answers import Answer, Encrypted, hev_answer, write
from simulator.ebics.archive import Archive
from simulator.ebics.bankkeys import BankKeys
from simulator.ebics.begin import Beginnings, new_id
from simulator.ebics.downloads import Download
from simulator.ebics.eds import Eds
from simulator.ebics.keydata import hpb_data, read_key_order
from simulator.ebics.moods import Moment, strikes
from simulator.ebics.names import H004, H005, Fault
from simulator.ebics.requests import Element, Request, hev_host, is_hev, read_request, read_root, version_of
from simulator.ebics.settings import EbicsDoorSettings
from simulator.ebics.subscribers import Subscribers, User
from simulator.ebics.uploads import Upload, Uploads
from simulator.ledger import Refusal
from simulator.moods import Mood, Setting

log = logging.getLogger(__name__)

_ENDING: Final = frozenset(["091009", "091102", "091104", "091105"])
"""Faults after which a transaction is no more."""
_KEY_DATA_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes out over HTTP. `body` None: the line is cut."""

    body: bytes | None
    status: int = 200
    wait_seconds: float = 0.0


_CUT: Final = Reply(body=None)


class Desk:
    """One bank. All methods belong to the event loop, and each request is worked on whole before the next."""

    def __init__(self, bank: Bank, settings: EbicsDoorSettings, data: Path) -> None:
        folder = data / "ebics"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._bank = bank
        self.settings = settings
        self.archive = Archive(folder / "ebics.db")
        self.keys = BankKeys(data)
        self.subscribers = Subscribers(bank.customers, self.archive, explicit=settings.explicit_user_errors)
        self.uploads = Uploads(bank, self.archive, self.subscribers, settings, folder)
        self._eds = Eds(self.archive, self.subscribers, self.uploads)
        self.beginnings = Beginnings(
            bank=bank,
            archive=self.archive,
            subscribers=self.subscribers,
            uploads=self.uploads,
            eds=self._eds,
            keys=self.keys,
            settings=settings,
        )
        self._open: dict[str, Upload | Download] = {}
        self._foreign_key: SoftwareKey | None = None

    def resume(self) -> None:
        """At the start, once the bank works."""
        self.uploads.resume()

    def close(self) -> None:
        self.archive.close()

    def handle(self, message: bytes) -> Reply:
        """The answer to one message; what nobody foresaw is a fault of the bank (061099), and one answer too."""
        try:
            return self._handle(message)
        except Exception as error:
            log.exception("a message could not be worked on: %s", type(error).__name__)
            version = H005 if "H005" in self.settings.versions else H004
            return self._written(Answer(version=version, code="061099", text="the bank does not know what to do"))

    def _handle(self, message: bytes) -> Reply:
        default = H005 if "H005" in self.settings.versions else H004
        try:
            root = read_root(message)
        except Fault as fault:
            return self._written(Answer(version=default, code=fault.code, text=fault.text))
        if is_hev(root):
            return Reply(body=self._hev(root))
        version = version_of(root)
        if version is not None and version.name not in self.settings.versions:
            version = None
        try:
            if version is None:
                raise Fault("091010", "the message is in no protocol version of this bank")
            request = read_request(root, version)
        except Fault as fault:
            answer = Answer(version=version or default, management=_is_management(root), code=fault.code, text=fault.text)
            return self._written(answer)
        return self._conversation(request)

    def forget(self, transaction_id: str, why: str) -> None:
        """Forgets an open transaction."""
        found = self._open.pop(transaction_id, None)
        if isinstance(found, Upload):
            self.uploads.drop(found, why)

    def offer(self, customer: str, kind: str, data: bytes) -> str:
        """The tester's: puts a file of a kind, such as mt942, on offer. Raises `Refusal`."""
        found = self._bank.customers.get(customer)
        if found is None or not kind.replace(".", "").isalnum():
            raise Refusal("offer wants a customer and a kind, such as camt.053.001.08 or mt942")
        name = f"{kind}-offered-{self._bank.records.next('ebics/offered')}"
        (found.tree.work / name).write_bytes(data)
        (found.tree.work / name).rename(found.tree.outbox / name)
        return name

    def release(self, number: int) -> None:
        """The tester's: an order that waits for paper is released. Raises `Refusal`."""
        waiting = [order for order in self.archive.orders(state="waiting") if order.number == number]
        if not waiting:
            raise Refusal("no order of this number waits for its release")
        self.uploads.accept(waiting[0], self.subscribers.known(waiting[0].partner_id, waiting[0].user_id))

    def books(self) -> dict[str, Any]:
        """Users, keys, orders with their signers and what the ledger made of each, open transactions; JSON-ready."""
        self.beginnings.settle()
        users = [
            {"partner": user.partner_id, "user": user.id, "state": user.state.value, "level": user.settings.level}
            for user in self.subscribers.all()
        ]
        orders = []
        for order in self.archive.orders():
            user = self.subscribers.find(order.partner_id, order.user_id)
            known = None if user is None else self._bank.records.known(user.customer.id, order.file_name)
            orders.append(
                {
                    "number": order.number,
                    "partner": order.partner_id,
                    "user": order.user_id,
                    "order_id": order.order_id,
                    "version": order.version,
                    "order": order.label,
                    "digest": None if order.digest is None else order.digest.hex(),
                    "bytes": order.size,
                    "state": order.state,
                    "signers": [{"user": signer.user_id, "level": signer.level} for signer in order.signers],
                    "ledger": None if known is None else known["state"],
                }
            )
        return {
            "host_id": self.settings.host_id,
            "bank_keys": self.keys.shown(),
            "users": users,
            "orders": orders,
            "open_transactions": len(self._open),
        }

    # one conversation step ---------------------------------------------------------------------------------------------------

    def _conversation(self, request: Request) -> Reply:
        self._expire()
        transaction = self._open.get(request.transaction_id)
        customer, moment = self._moment(request, transaction)
        if self._mood(Mood.EBICS_LOSE_REQUEST, customer, moment):
            return _CUT
        if self._mood(Mood.EBICS_FORGET, customer, moment):
            self.forget(request.transaction_id, "the bank has forgotten the transaction")
        wrong = self._mood(Mood.EBICS_RETURN_CODE, customer, moment)
        acts = wrong is None or wrong.value.get("executed")
        answer = self._acted(request) if acts else self._answer_of(request)
        if wrong is not None:
            answer = _miscoded(answer, wrong)
        if self._mood(Mood.EBICS_WRONG_TRANSACTION_ID, customer, moment):
            answer = replace(answer, transaction_id=new_id())
        key = self._a_foreign_key() if self._mood(Mood.EBICS_BAD_SIGNATURE, customer, moment) else self.keys.authentication_key
        reply = Reply(body=write(answer, key))
        return self._spoiled(reply, customer, moment)

    def _spoiled(self, reply: Reply, customer: str, moment: Moment) -> Reply:
        body = reply.body or b""
        if self._mood(Mood.EBICS_TRUNCATE, customer, moment):
            reply = replace(reply, body=body[: len(body) // 2])
        if setting := self._mood(Mood.EBICS_HTTP_STATUS, customer, moment):
            reply = replace(reply, body=b"", status=int(setting.value.get("status", 503)))
        if setting := self._mood(Mood.EBICS_SLOW, customer, moment):
            reply = replace(reply, wait_seconds=float(setting.value.get("seconds", 1)))
        return _CUT if self._mood(Mood.EBICS_LOSE_ANSWER, customer, moment) else reply

    def _mood(self, mood: Mood, customer: str, moment: Moment) -> Setting | None:
        setting = self._bank.moods.peek(mood, customer)
        return self._bank.moods.take(mood, customer) if setting is not None and strikes(setting.value, moment) else None

    def _moment(self, request: Request, transaction: Upload | Download | None) -> tuple[str, Moment]:
        user = transaction.user if transaction else self.subscribers.find(request.partner_id, request.user_id)
        order_type = request.order_type
        if isinstance(transaction, Upload):
            order_type = transaction.order.order_type
        elif transaction is not None:
            order_type = transaction.order_type
        last = request.last_segment and not isinstance(transaction, Download)
        moment = Moment(step=request.step, segment=request.segment_number, last=last, order_type=order_type)
        return "" if user is None else user.customer.id, moment

    def _acted(self, request: Request) -> Answer:
        try:
            return self._act(request)
        except Fault as fault:
            if fault.code in _ENDING:
                self.forget(request.transaction_id, fault.text)
            return replace(self._answer_of(request), code=fault.code, text=fault.text, segment=fault.segment)

    def _answer_of(self, request: Request) -> Answer:
        transaction = self._open.get(request.transaction_id)
        return Answer(
            version=request.version,
            management=request.kind != "ebicsRequest",
            phase=request.phase or "Initialisation",
            transaction_id=request.transaction_id if transaction else None,
            order_id=transaction.order.order_id if isinstance(transaction, Upload) else None,
        )

    def _act(self, request: Request) -> Answer:
        if request.host_id != self.settings.host_id:
            raise Fault("091011", "there is no such host")
        if request.kind == "ebicsUnsecuredRequest":
            return self._take_keys(request)
        if request.phase in {"Transfer", "Receipt"}:
            return self._go_on(request)
        user = self.subscribers.ready(request.partner_id, request.user_id)
        self._authentic(request, user)
        self._fresh(request)
        if request.kind == "ebicsNoPubKeyDigestsRequest":
            return self._tell_keys(request, user)
        self._names_our_keys(request)
        open_ones = sum(each.user is user for each in self._open.values() if not (isinstance(each, Upload) and each.finished))
        transaction, answer = self.beginnings.begin(request, user, open_ones)
        if transaction is not None:
            self._open[transaction.id] = transaction
        return answer

    def _go_on(self, request: Request) -> Answer:
        transaction = self._open.get(request.transaction_id)
        if transaction is None:
            raise Fault("091101", "no transaction of this TransactionID is open")
        self._authentic(request, transaction.user)
        if isinstance(transaction, Upload):
            if request.phase == "Receipt":
                raise Fault("061002", "an upload has no receipt")
            answer = self.uploads.take(request, transaction)
            if transaction.finished and self.settings.finished_uploads == "forgotten":
                del self._open[transaction.id]
            return answer
        if request.phase == "Transfer":
            return downloads.give(request, transaction, self.settings.recoveries_max)
        if transaction.given < len(transaction.segments):
            raise Fault("061002", "a receipt comes after the last segment")
        del self._open[transaction.id]
        if request.receipt_code:
            return replace(self._answer_of(request), transaction_id=transaction.id, code="011001", text="offered again")
        transaction.received()
        return replace(self._answer_of(request), transaction_id=transaction.id, code="011000", text="received")

    # keys --------------------------------------------------------------------------------------------------------------------

    def _take_keys(self, request: Request) -> Answer:
        order_type = request.order_type
        if order_type not in {"INI", "HIA", "H3K"}:
            raise Fault("091006", f"{order_type} does not come in an ebicsUnsecuredRequest")
        if not request.version.is_h005 and request.attribute != "DZNNN":
            raise Fault("091121", f"{order_type}: its OrderAttribute is DZNNN")
        user = self.subscribers.known(request.partner_id, request.user_id)
        self.subscribers.check_awaits(user, order_type)
        try:
            data = inflated_whole(request.order_data or b"", bytes_max=_KEY_DATA_BYTES_MAX)
        except BadSeal as error:
            raise Fault("090004", f"the order data of {order_type}: {error.detail}") from error
        found = read_key_order(data, order_type, request.version, datetime.now(UTC))
        if (found.partner_id, found.user_id) != (user.partner_id, user.id):
            raise Fault("090004", "the order data names another user than the header")
        self.subscribers.take_keys(user, order_type, found.keys)
        order = self.archive.new_order(
            user.partner_id, user.id, version=request.version.name, order_type=order_type, label=order_type
        )
        order.state = "done"
        self.archive.keep_order(order)
        self.archive.note(order, "FILE_UPLOAD", "TS01")
        self.archive.note(order, "ORDER_HAC_FINAL_POS")
        return replace(self._answer_of(request), order_id=order.order_id)

    def _tell_keys(self, request: Request, user: User) -> Answer:
        if request.order_type != "HPB":
            raise Fault("091006", f"{request.order_type} does not come in an ebicsNoPubKeyDigestsRequest")
        if not request.version.is_h005 and request.attribute != "DZHNN":
            raise Fault("091121", "HPB: its OrderAttribute is DZHNN")
        data = hpb_data(request.version, self.settings.host_id, self.keys.authentication, self.keys.encryption)
        key, transaction_key = user.keys["Encryption"], new_transaction_key()
        digest = key.digest("certificate" if request.version.is_h005 else "public-key")
        return replace(
            self._answer_of(request),
            encrypted=Encrypted(digest=digest, transaction_key=wrapped_key(key.public, transaction_key)),
            order_data=encrypted_whole(data, transaction_key),
        )

    def _authentic(self, request: Request, user: User) -> None:
        try:
            verify_message(request.root, user.keys["Authentication"].public)
        except BadSeal as error:
            raise Fault("061001", f"{error.detail} [{error.code}]") from error

    def _fresh(self, request: Request) -> None:
        window = self.settings.replay_window_seconds
        if not window or request.timestamp is None:
            return
        now = datetime.now(UTC)
        if abs((now - request.timestamp).total_seconds()) > window:
            raise Fault("091103", "Timestamp: is too far from the bank's clock")
        if not self.archive.new_nonce(request.nonce, now.timestamp(), window):
            raise Fault("091103", "Nonce: was used before")

    def _names_our_keys(self, request: Request) -> None:
        keys, given = self.keys, request.digests
        assert given is not None  # noqa: S101 - the reader demands them
        kind = self.settings.tolerate.any_digest_kind
        for key, digest in ((keys.authentication, given.authentication), (keys.encryption, given.encryption)):
            if not keys.named(key, digest, request.version, any_kind=kind):
                raise Fault("091008", f"BankPubKeyDigests: do not name the bank's {key.version} key; fetch it by HPB")

    # small things --------------------------------------------------------------------------------------------------------------

    def _expire(self) -> None:
        limit = time.monotonic() - self.settings.transaction_seconds
        for identifier in [each.id for each in self._open.values() if each.started < limit]:
            self.forget(identifier, "the transaction was left open too long")

    def _hev(self, root: Element) -> bytes:
        try:
            known = hev_host(root) == self.settings.host_id
        except Fault as fault:
            return hev_answer((), fault.code)
        return hev_answer(self.settings.versions) if known else hev_answer((), "091011")

    def _written(self, answer: Answer) -> Reply:
        return Reply(body=write(answer, self.keys.authentication_key))

    def _a_foreign_key(self) -> SoftwareKey:
        if self._foreign_key is None:
            self._foreign_key = SoftwareKey(rsa.generate_private_key(public_exponent=65537, key_size=2048))
        return self._foreign_key


def _is_management(root: Element) -> bool:
    return str(root.tag).endswith(("}ebicsUnsecuredRequest", "}ebicsNoPubKeyDigestsRequest"))


def _miscoded(answer: Answer, setting: Setting) -> Answer:
    value = setting.value
    changed = replace(answer, code=str(value["code"]), text="a mood of the bank")
    return replace(changed, header_code=str(value["header"])) if "header" in value else changed
