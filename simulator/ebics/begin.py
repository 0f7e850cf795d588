"""The beginning of a transaction: what an order needs before the bank opens one, and what each order type leads to."""

import hashlib
import time
from datetime import UTC, datetime
from typing import Final

from keys.ebics_encryption import unwrapped_key
from keys.ebics_signature import order_digest
from keys.keymaterial import random_bytes
from simulator.bank import Bank
from simulator.ebics import downloads, reports
from simulator.ebics.answers import Answer
from simulator.ebics.archive import Archive, Order
from simulator.ebics.bankkeys import BankKeys
from simulator.ebics.catalogue import (
    KEY_ORDERS,
    REPORTS,
    SIGNATURE_ONLY,
    UPLOAD_TYPES,
    date_range,
    download_kind,
    is_upload,
    upload_label,
    wants_eds,
)
from simulator.ebics.downloads import Download, Offer
from simulator.ebics.eds import Eds
from simulator.ebics.names import Fault
from simulator.ebics.requests import Request, UploadStart
from simulator.ebics.settings import EbicsDoorSettings
from simulator.ebics.signatures import Signature, check_signatures, read_signatures, signers_of
from simulator.ebics.subscribers import State, Subscribers, User
from simulator.ebics.uploads import Upload, Uploads

_ATTRIBUTES: Final = {
    **dict.fromkeys(UPLOAD_TYPES, ("OZHNN", "DZHNN")),
    **dict.fromkeys(KEY_ORDERS, ("OZHNN",)),
    "HVE": ("UZHNN",),
    "HVS": ("OZHNN", "UZHNN"),
    "SPR": ("OZHNN", "UZHNN"),
}
"""OrderAttribute of H004; DZHNN for all others, which are downloads."""
_SPR_DATA: Final = b" "


class Beginnings:
    """Opens transactions. Each method raises `Fault` where the bank refuses, and then nothing has changed."""

    def __init__(
        self,
        *,
        bank: Bank,
        archive: Archive,
        subscribers: Subscribers,
        uploads: Uploads,
        eds: Eds,
        keys: BankKeys,
        settings: EbicsDoorSettings,
    ) -> None:
        self._bank = bank
        self._archive = archive
        self._subscribers = subscribers
        self._uploads = uploads
        self._eds = eds
        self._keys = keys
        self._settings = settings
        self.url = ""

    def begin(self, request: Request, user: User, open_ones: int) -> tuple[Upload | Download | None, Answer]:
        """The transaction that is open now (None where the order is done or was never one), and the answer."""
        if not request.version.is_h005:
            allowed = _ATTRIBUTES.get(request.order_type, ("DZHNN",))
            if request.attribute not in allowed:
                raise Fault("091121", f"{request.order_type}: its OrderAttribute is {' or '.join(allowed)}")
        if not is_upload(request):
            kind = None if request.order_type in REPORTS else download_kind(request)
            self._may(request, user, open_ones)
            return self._download(request, user, kind)
        if request.upload is None:
            raise Fault("091010", "an upload begins with DataTransfer")
        if request.order_type in {*KEY_ORDERS, *SIGNATURE_ONLY}:
            label = request.order_type
        else:
            label = upload_label(request, flag_content=self._settings.tolerate.flag_content)
        self._may(request, user, open_ones)
        return self._upload(request, user, request.upload, label)

    def _may(self, request: Request, user: User, open_ones: int) -> None:
        if not user.may(request.order_type):
            raise Fault("090003", f"the user may not give the order {request.order_type}")
        if open_ones >= self._settings.transactions_max:
            raise Fault("091119", f"the user has {open_ones} transactions open")

    # uploads ---------------------------------------------------------------------------------------------------------------

    def _upload(self, request: Request, user: User, start: UploadStart, label: str) -> tuple[Upload | None, Answer]:
        count = request.num_segments
        if count is not None and count > self._settings.segments_max:
            raise Fault("091118", f"an upload has at most {self._settings.segments_max} segments")
        keys, tolerate = self._keys, self._settings.tolerate
        if not keys.named(keys.encryption, start.encryption_digest, request.version, any_kind=tolerate.any_digest_kind):
            raise Fault("091008", "the transaction key is for another key than the bank's")
        transaction_key = unwrapped_key(keys.encryption_key, start.transaction_key)
        signatures = read_signatures(start.signature_data, transaction_key, request.version)
        declared = self._declared(request, start)
        if not count:
            if request.order_type not in SIGNATURE_ONLY:
                raise Fault("091112", "NumSegments: an upload of order data has one at least")
            return None, self._sign(request, user, signatures)
        if request.order_type == "HVE":
            raise Fault("091112", "NumSegments: HVE brings no order data")
        pairs = signers_of(signatures, user, self._subscribers.find)
        if declared is not None:
            check_signatures(pairs, declared)
            if self._settings.double_upload_control and self._archive.sent_before(user.partner_id, declared):
                raise Fault("091122", "the customer has sent this order data before")
        if request.order_type == "HVS":
            label = f"HVS {self._eds.named(request, user).number}"
        order = self._new_order(request, user, label, declared)
        upload = Upload(
            id=new_id(),
            user=user,
            order=order,
            started=time.monotonic(),
            num_segments=count,
            transaction_key=transaction_key,
            signatures=signatures,
            declared=declared,
            eds=wants_eds(request),
            attribute=request.attribute,
        )
        return upload, Answer(version=request.version, transaction_id=upload.id, order_id=order.order_id)

    def _declared(self, request: Request, start: UploadStart) -> bytes | None:
        if not request.version.is_h005 or start.data_digest is None:
            return None
        if len(start.data_digest) != hashlib.sha256().digest_size or start.digest_version not in {"A005", "A006"}:
            if self._settings.tolerate.long_data_digest:
                return None
            raise Fault("091113", "DataDigest: a SHA-256 of 32 bytes with SignatureVersion A005 or A006")
        return start.data_digest

    def _sign(self, request: Request, user: User, signatures: list[Signature]) -> Answer:
        """HVE, HVS and SPR by a signature alone: done with their first message."""
        if request.order_type == "SPR":
            pairs = signers_of(signatures, user, self._subscribers.find)
            check_signatures(pairs, order_digest((_SPR_DATA,)))
            if not any(signer.id == user.id for _, signer in pairs):
                raise Fault("091304", "the order is not signed by its user")
            user.state = State.LOCKED
            self._subscribers.keep(user)
        elif request.order_type == "HVE":
            self._eds.sign(request, user, signatures)
        else:
            self._eds.cancel(request, user, signatures)
        order = self._new_order(request, user, request.order_type, None)
        order.state = "done"
        self._archive.keep_order(order)
        self._archive.note(order, "ES_UPLOAD", "TS01")
        self._archive.note(order, "ORDER_HAC_FINAL_POS")
        return Answer(version=request.version, transaction_id=new_id(), order_id=order.order_id)

    def _new_order(self, request: Request, user: User, label: str, declared: bytes | None) -> Order:
        return self._archive.new_order(
            user.partner_id,
            user.id,
            version=request.version.name,
            order_type=request.order_type,
            label=label,
            digest=declared,
        )

    # downloads -------------------------------------------------------------------------------------------------------------

    def _download(self, request: Request, user: User, kind: tuple[str, bool] | None) -> tuple[Download | None, Answer]:
        if request.upload is not None or request.num_segments is not None:
            raise Fault("061002", "a download brings no data")
        days = date_range(request.params)
        if kind is not None:
            found = downloads.offer(self._bank, user, kind[0], zipped=kind[1], days=days)
        else:
            found = self._report(request, user, days)
        if found is None:
            raise Fault("090005", "there is nothing to fetch")
        return downloads.begin(request, user, found, new_id(), segment_chars=self._settings.segment_chars)

    def _report(self, request: Request, user: User, days: tuple[str, str] | None) -> Offer | None:
        version, order_type = request.version, request.order_type
        if order_type in {"HAC", "PTK"}:
            return self._protocol(request, user, days)
        if order_type in {"HTD", "HKD"}:
            mine = [each for each in self._subscribers.all() if each.partner_id == user.partner_id]
            accounts = user.customer.settings.accounts
            users = [user] if order_type == "HTD" else mine
            data: bytes | None = reports.customer_data(version, order_type, users, accounts, self._settings.host_id)
        elif order_type == "HAA":
            data = reports.available(version, downloads.kinds_on_offer(user.customer))
        elif order_type == "HPD":
            data = reports.bank_data(version, self.url, self._settings)
        elif order_type in {"HVU", "HVZ"}:
            data = self._eds.overview(user, version, order_type)
        else:
            data = self._eds.state(request, user) if order_type == "HVD" else self._eds.details(request, user)
        return None if data is None else Offer(data=data, received=_nothing)

    def _protocol(self, request: Request, user: User, days: tuple[str, str] | None) -> Offer | None:
        self.settle()
        name = request.order_type
        steps = self._archive.steps(user.partner_id, user.seen.get(name, 0), days)
        if not steps:
            return None
        created = datetime.now(UTC).isoformat(timespec="seconds")
        host = self._settings.host_id
        number = self._bank.records.next("ebics/protocol")
        data = reports.hac(host, number, created, steps, request.version) if name == "HAC" else reports.ptk(host, steps)

        def received() -> None:
            if days is None:
                user.seen[name] = max(user.seen.get(name, 0), steps[-1].number)
                self._subscribers.keep(user)

        return Offer(data=data, received=received)

    def settle(self) -> None:
        """Ends in the protocol what the ledger has decided since: handed over and worked on, or not readable at all."""
        for order in self._archive.orders(state="accepted"):
            user = self._subscribers.known(order.partner_id, order.user_id)
            known = self._bank.records.known(user.customer.id, order.file_name)
            if known is None or known["state"] == "received":
                continue
            good = known["state"] in {"executed", "rejected"}
            order.state = "final"
            self._archive.keep_order(order)
            action = "ORDER_HAC_FINAL_POS" if good else "ORDER_HAC_FINAL_NEG"
            self._archive.note(order, action, "", known["state"])


def new_id() -> str:
    """A TransactionID."""
    return random_bytes(16).hex().upper()


def _nothing() -> None:
    """A report is as good after its receipt as before."""
