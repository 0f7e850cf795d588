"""Distributed electronic signatures: orders that wait for more, told (HVU, HVZ, HVD, HVT), signed (HVE), cancelled (HVS).

The signature of HVE is over the digest that HVD and HVZ tell, not over anything hashed again. Sources: schemas H004 and H005,
ebics_orders (HVU to HVT); EBICS 2.5 and 3.0, chapter on the distributed electronic signature.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from keys.ebics_auth import parse_message
from keys.seal import BadSeal
from simulator.ebics.answers import text64
from simulator.ebics.archive import Archive, Order
from simulator.ebics.catalogue import UPLOAD_SERVICES, service_of
from simulator.ebics.names import Fault, Version
from simulator.ebics.requests import Element, Request, base64_of, child_of, text_of
from simulator.ebics.signatures import Signature, as_signers, check_signatures, signers_of
from simulator.ebics.subscribers import Subscribers, User, suffices
from simulator.ebics.uploads import Upload, Uploads
from simulator.fast_reader import Block, Transfer, Unreadable, read

DETAILS_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is in a parked file, as far as it can be read."""

    transfers: list[tuple[str, Transfer]]  # with the debtor's account
    total: Decimal


class Eds:
    """The part of the desk for orders that several sign."""

    def __init__(self, archive: Archive, subscribers: Subscribers, uploads: Uploads) -> None:
        self._archive = archive
        self._subscribers = subscribers
        self._uploads = uploads
        uploads.cancel_by_data = self._cancel_by_data

    # told --------------------------------------------------------------------------------------------------------------------

    def overview(self, user: User, version: Version, order_type: str) -> bytes | None:
        """HVU or HVZ: every parked order of the customer that came in this protocol version; None where there is none."""
        parked = [order for order in self._archive.orders(user.partner_id, "parked") if order.version == version.name]
        if not parked:
            return None
        details = "".join(self._details(order, user, version, order_type) for order in parked)
        return _document(version, f"{order_type}ResponseOrderData", details)

    def state(self, request: Request, user: User) -> bytes:
        """HVD. Raises `Fault`."""
        order = self._parked(request, user)
        content = _content(self._uploads.file_of(order))
        note = f"{len(content.transfers)} payments, {content.total} in all" if content else "a file that is not shown"
        inside = (
            f"{self._digest(order)}<DisplayFile>{text64(note.encode())}</DisplayFile><OrderDataAvailable>true</OrderDataAvailable>"
            f"<OrderDataSize>{max(order.size, 1)}</OrderDataSize>"
            f"<OrderDetailsAvailable>{'true' if content else 'false'}</OrderDetailsAvailable>{self._signers(order)}"
        )
        return _document(request.version, "HVDResponseOrderData", inside)

    def details(self, request: Request, user: User) -> bytes:
        """HVT: the payments, or the file itself. Raises `Fault`."""
        order = self._parked(request, user)
        assert request.params is not None  # noqa: S101 - the order was named by them
        flags = child_of(request.params, "OrderFlags")
        if flags is None:
            raise Fault("091112", "HVT: has no OrderFlags")
        file = self._uploads.file_of(order)
        if flags.get("completeOrderData") in {"true", "1"}:
            return file.read_bytes()
        content = _content(file)
        if content is None:
            raise Fault("090006", "the details of this order are not available; ask for the complete order data")
        numbers = [flags.get(name) or "0" for name in ("fetchOffset", "fetchLimit")]
        if not all(re.fullmatch(r"[0-9]{1,10}", number) for number in numbers):
            raise Fault("091010", "OrderFlags: fetchOffset and fetchLimit are numbers")
        offset, limit = map(int, numbers)
        wanted = content.transfers[offset : offset + (limit or DETAILS_MAX)]
        if not wanted:
            raise Fault("091112", "HVT: fetchOffset is behind the last payment")
        infos = "".join(_order_info(account, transfer, request.version) for account, transfer in wanted)
        return _document(
            request.version, "HVTResponseOrderData", f"<NumOrderInfos>{len(content.transfers)}</NumOrderInfos>{infos}"
        )

    # done --------------------------------------------------------------------------------------------------------------------

    def sign(self, request: Request, user: User, signatures: list[Signature]) -> Order:
        """HVE: one more signature; with enough of them the order is executed. Raises `Fault`."""
        order = self._parked(request, user)
        pairs = signers_of(signatures, user, self._subscribers.find, order.signers)
        if any(signer.settings.level == "T" for _, signer in pairs):
            raise Fault("091007", "a signature of class T authorises nothing")
        assert order.digest is not None  # noqa: S101 - it was computed before the order was parked
        check_signatures(pairs, order.digest)
        order.signers += as_signers(pairs)
        self._archive.keep_order(order)
        for _, signer in pairs:
            self._archive.note(order, "ES_UPLOAD", "TS01", user_id=signer.id, order_type="HVE")
        if suffices(order.signers):
            self._archive.note(order, "VEU_VERIFICATION_END", "DS01")
            self._uploads.accept(order, self._subscribers.known(order.partner_id, order.user_id))
        return order

    def cancel(self, request: Request, user: User, signatures: list[Signature]) -> Order:
        """HVS by a signature alone, over the digest of the order. Raises `Fault`."""
        order = self._parked(request, user)
        assert order.digest is not None  # noqa: S101 - it was computed before the order was parked
        check_signatures(signers_of(signatures, user, self._subscribers.find), order.digest)
        self._cancelled(order, user)
        return order

    def named(self, request: Request, user: User) -> Order:
        """The parked order that a request is about. Raises `Fault`."""
        return self._parked(request, user)

    def _cancel_by_data(self, upload: Upload, data: bytes) -> None:
        """HVS with order data: CancelledDataDigest. Raises `Fault`."""
        try:
            root = parse_message(data)
        except BadSeal as error:
            raise Fault("090004", f"HVS: {error.detail}") from error
        if etree.QName(root).localname != "HVSRequestOrderData":
            raise Fault("090004", "HVS: its order data is HVSRequestOrderData")
        digest = base64_of(text_of(root, "CancelledDataDigest"), "CancelledDataDigest", "090004")
        wanted = upload.order.label.removeprefix("HVS ")
        for order in self._archive.orders(upload.user.partner_id, "parked"):
            if str(order.number) == wanted and order.digest == digest:
                self._cancelled(order, upload.user)
                return
        raise Fault("091114", "HVS: no parked order has this digest")

    def _cancelled(self, order: Order, user: User) -> None:
        order.state = "cancelled"
        self._archive.keep_order(order)
        self._uploads.file_of(order).unlink(missing_ok=True)
        self._archive.note(order, "VEU_CANCEL_ORDER", "DS02", user_id=user.id)
        self._archive.note(order, "ORDER_HAC_FINAL_NEG", "", "cancelled")

    def _parked(self, request: Request, user: User) -> Order:
        params = request.params
        if params is None or etree.QName(params).localname != f"{request.order_type}OrderParams":
            raise Fault("091112", f"{request.order_type}: its parameters are {request.order_type}OrderParams")
        if text_of(params, "PartnerID") != user.partner_id:
            raise Fault("091007", "the order is another customer's")
        order_id = text_of(params, "OrderID")
        label = f"BTU {service_of(params).label}" if request.version.is_h005 else _h004_label(params)
        found = [order for order in self._archive.orders(user.partner_id) if order.order_id == order_id]
        for order in reversed(found):
            if order.label == label and order.state == "parked":
                return order
        if any(order.state in {"accepted", "final", "cancelled"} for order in found):
            raise Fault("091115", "the order is final already")
        raise Fault("091114", "no parked order has this OrderID and type")

    # xml ---------------------------------------------------------------------------------------------------------------------

    def _details(self, order: Order, user: User, version: Version, order_type: str) -> str:
        done = len(order.signers)
        ready = all((signer.partner_id, signer.user_id) != (user.partner_id, user.id) for signer in order.signers)
        digest = ""
        if order_type == "HVZ":
            digest = self._digest(order) + "<OrderDataAvailable>true</OrderDataAvailable>"
        available = ""
        if order_type == "HVZ":
            available = (
                f"<OrderDetailsAvailable>{_flag(_content(self._uploads.file_of(order)) is not None)}</OrderDetailsAvailable>"
            )
        originator = (
            f"<OriginatorInfo><PartnerID>{order.partner_id}</PartnerID><UserID>{order.user_id}</UserID>"
            f"<Timestamp>{order.at}</Timestamp></OriginatorInfo>"
        )
        signing = f'<SigningInfo readyToBeSigned="{_flag(ready)}" NumSigRequired="2" NumSigDone="{done}"/>'
        return (
            f"<OrderDetails>{_named(order, version)}<OrderID>{order.order_id}</OrderID>{digest}"
            f"<OrderDataSize>{max(order.size, 1)}</OrderDataSize>{available}{signing}"
            f"{self._signers(order)}{originator}</OrderDetails>"
        )

    def _digest(self, order: Order) -> str:
        user = self._subscribers.known(order.partner_id, order.user_id)
        return f'<DataDigest SignatureVersion="{user.keys["Signature"].version}">{text64(order.digest or b"")}</DataDigest>'

    def _signers(self, order: Order) -> str:
        return "".join(
            f"<SignerInfo><PartnerID>{signer.partner_id}</PartnerID><UserID>{signer.user_id}</UserID>"
            f'<Timestamp>{signer.at}</Timestamp><Permission AuthorisationLevel="{signer.level}"/></SignerInfo>'
            for signer in order.signers
        )


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _document(version: Version, name: str, inside: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{version.namespace}">{inside}</{name}>'.encode()


def _named(order: Order, version: Version) -> str:
    """How the order is named: a Service in H005, an order type (and the format of FUL) in H004."""
    if version.is_h005:
        service = next(service for service in UPLOAD_SERVICES if f"BTU {service.label}" == order.label)
        return f"<Service>{service.xml()}</Service>"
    order_type, _, file_format = order.label.partition(" ")
    return f"<OrderType>{order_type}</OrderType>" + (f"<FileFormat>{escape(file_format)}</FileFormat>" if file_format else "")


def _h004_label(params: Element) -> str:
    file_format = child_of(params, "FileFormat")
    order_type = text_of(params, "OrderType")
    return order_type if file_format is None else f"{order_type} {(file_format.text or '').strip()}"


def _content(file: Path) -> Content | None:
    """None for a file the bank cannot show."""
    transfers: list[tuple[str, Transfer]] = []
    account = ""
    try:
        for record in read(file):
            if isinstance(record, Block):
                account = record.account
            elif isinstance(record, Transfer):
                transfers.append((account, record))
    except Unreadable:
        return None
    return Content(transfers=transfers, total=sum((Decimal(transfer.amount) for _, transfer in transfers), Decimal(0)))


def _order_info(account: str, transfer: Transfer, version: Version) -> str:
    accounts = "".join(
        f'<AccountInfo Currency="{transfer.currency}"><AccountNumber Role="{role}" international="true">{escape(number)}'
        "</AccountNumber></AccountInfo>"
        for role, number in (("Originator", account), ("Recipient", transfer.creditor_account or "NOTPROVIDED"))
    )
    kind = "<MsgName>pain.001</MsgName>" if version.is_h005 else "<OrderFormat>pain.001</OrderFormat>"
    remittance = f'<Description Type="Purpose">{escape(transfer.remittance)}</Description>' if transfer.remittance else ""
    return (
        f'<OrderInfo>{kind}{accounts}<Amount isCredit="true" Currency="{transfer.currency}">{transfer.amount}</Amount>'
        f"{remittance}</OrderInfo>"
    )
