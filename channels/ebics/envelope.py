"""Every message that a client sends, as bytes. What is random or of the moment is passed in.

Sources: schemas H004 and H005, ebics_request and ebics_keymgmt_request; H000 for HEV. The order of children is that of the
schemas.
"""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from channels.ebics.names import HEV, SHA256, Element, Subscriber, Version, child, root
from channels.ebics.orders import Order, write_order
from keys.ebics_auth import serialised, sign_message
from keys.ebics_encryption import compressed_whole
from keys.ebics_keys import DigestKind, EbicsKey, SignatureVersion
from keys.keyring import PrivateKey

UnsecuredOrder = Literal["INI", "HIA", "H3K"]
NONCE_BYTES: Final = 16
_SECURITY_MEDIUM: Final = "0000"  # not said on what medium our keys rest


@dataclass(frozen=True, slots=True, kw_only=True)
class BankKeys:
    """The bank's two public keys, and by which of their hashes messages name them (a setting of the bank)."""

    authentication: EbicsKey
    encryption: EbicsKey
    digest_kind: DigestKind = "public-key"

    def digest(self, key: EbicsKey) -> str:
        return _base64(key.digest(self.digest_kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What makes a message new: sixteen random bytes that are never used twice, and the time. The bank refuses a message whose
    nonce it knows, and one whose time is far from its own (091103)."""

    nonce: bytes
    time: datetime

    def __post_init__(self) -> None:
        if len(self.nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes")

    @property
    def timestamp(self) -> str:
        return self.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStart:
    """What the first message of an upload carries beside its header.

    `wrapped_key`: the transaction key for the bank; `signature_data`: the encrypted UserSignatureData, base64; `digest`: of the
    order data (`keys.ebics_signature.order_digest`), with the process it was made for; `segments`: of the order data to come, 0
    for a signature alone.
    """

    wrapped_key: bytes
    signature_data: bytes
    signature_version: SignatureVersion
    digest: bytes
    segments: int


def hev_request(host_id: str) -> bytes:
    """HEV: which versions the bank speaks. Not authenticated, neither way: good for diagnosis, never for choosing a version."""
    message = root(HEV, "ebicsHEVRequest", signed=False)
    child(message, "HostID", host_id)
    return serialised(message)


def unsecured_request(version: Version, subscriber: Subscriber, order_type: UnsecuredOrder, order_data: bytes) -> bytes:
    """INI, HIA or H3K: our public keys in clear, not signed. The letter proves them, or (H3K) the authority of the
    certificates."""
    message = _message(version, "ebicsUnsecuredRequest", signed=False)
    static = _static(message, subscriber)
    details = child(static, "OrderDetails")
    child(details, version.order_type_element, order_type)
    if version.order_attributes:
        child(details, "OrderAttribute", "DZNNN")
    child(static, "SecurityMedium", _SECURITY_MEDIUM)
    child(message[0], "mutable")
    transfer = child(child(message, "body"), "DataTransfer")
    child(transfer, "OrderData", compressed_whole(order_data).decode("ascii"))
    return serialised(message)


def hpb_request(version: Version, subscriber: Subscriber, moment: Moment, key: PrivateKey) -> bytes:
    """HPB: the bank's public keys. `key`: our X002."""
    message = _message(version, "ebicsNoPubKeyDigestsRequest")
    static = _static(message, subscriber, moment)
    details = child(static, "OrderDetails")
    child(details, version.order_type_element, "HPB")
    if version.order_attributes:
        child(details, "OrderAttribute", "DZHNN")
    child(static, "SecurityMedium", _SECURITY_MEDIUM)
    child(message[0], "mutable")
    child(message, "body")
    return sign_message(message, key)


def start_request(
    version: Version,
    subscriber: Subscriber,
    order: Order,
    *,
    moment: Moment,
    bank: BankKeys,
    key: PrivateKey,
    upload: UploadStart | None = None,
) -> bytes:
    """The first message of a transaction. `upload`: for every order that is no download. Raises `ValueError` where it does not
    fit the order, `KeyUnavailable`."""
    if (upload is None) != (order.direction == "download"):
        raise ValueError(f"{order.type}: an upload brings what it signs and encrypts, a download does not")
    message = _message(version, "ebicsRequest")
    static = _static(message, subscriber, moment)
    write_order(static, version, order)
    digests = child(static, "BankPubKeyDigests")
    for name, known in (("Authentication", bank.authentication), ("Encryption", bank.encryption)):
        child(digests, name, bank.digest(known), Version=known.version, Algorithm=SHA256)
    child(static, "SecurityMedium", _SECURITY_MEDIUM)
    if upload is not None:
        child(static, "NumSegments", str(upload.segments))
    child(child(message[0], "mutable"), "TransactionPhase", "Initialisation")
    body = child(message, "body")
    if upload is not None:
        _write_upload(child(body, "DataTransfer"), version, bank, upload)
    return sign_message(message, key)


def transfer_request(
    version: Version,
    host_id: str,
    transaction_id: str,
    *,
    number: int,
    last: bool,
    key: PrivateKey,
    segment: bytes | None = None,
) -> bytes:
    """A further message of a transaction: brings a segment (base64) of an upload, or asks for one of a download."""
    message = _message(version, "ebicsRequest")
    mutable = _within(message, host_id, transaction_id, "Transfer")
    child(mutable, "SegmentNumber", str(number), lastSegment=str(last).lower())
    body = child(message, "body")
    if segment is not None:
        child(child(body, "DataTransfer"), "OrderData", segment.decode("ascii"))
    return sign_message(message, key)


def receipt_request(version: Version, host_id: str, transaction_id: str, *, stored: bool, key: PrivateKey) -> bytes:
    """The end of a download. `stored`: what was fetched is on our disk; otherwise the bank offers it again."""
    message = _message(version, "ebicsRequest")
    _within(message, host_id, transaction_id, "Receipt")
    receipt = child(child(message, "body"), "TransferReceipt", authenticate="true")
    child(receipt, "ReceiptCode", "0" if stored else "1")
    return sign_message(message, key)


# ---- parts --------------------------------------------------------------------------------------------------------------


def _message(version: Version, name: str, *, signed: bool = True) -> Element:
    """The root with an empty header."""
    message = root(version.namespace, name, signed=signed, Version=version.name, Revision="1")
    child(message, "header", authenticate="true")
    return message


def _static(message: Element, subscriber: Subscriber, moment: Moment | None = None) -> Element:
    static = child(message[0], "static")
    child(static, "HostID", subscriber.host_id)
    if moment is not None:
        child(static, "Nonce", moment.nonce.hex().upper())
        child(static, "Timestamp", moment.timestamp)
    child(static, "PartnerID", subscriber.partner_id)
    child(static, "UserID", subscriber.user_id)
    if subscriber.system_id is not None:
        child(static, "SystemID", subscriber.system_id)
    if subscriber.product is not None:
        child(static, "Product", subscriber.product, Language=subscriber.language)
    return static


def _within(message: Element, host_id: str, transaction_id: str, phase: str) -> Element:
    """The header of a message inside a transaction; gives its mutable part."""
    static = child(message[0], "static")
    child(static, "HostID", host_id)
    child(static, "TransactionID", transaction_id)
    mutable = child(message[0], "mutable")
    child(mutable, "TransactionPhase", phase)
    return mutable


def _write_upload(transfer: Element, version: Version, bank: BankKeys, upload: UploadStart) -> None:
    info = child(transfer, "DataEncryptionInfo", authenticate="true")
    digest = bank.digest(bank.encryption)
    child(info, "EncryptionPubKeyDigest", digest, Version=bank.encryption.version, Algorithm=SHA256)
    child(info, "TransactionKey", _base64(upload.wrapped_key))
    child(transfer, "SignatureData", upload.signature_data.decode("ascii"), authenticate="true")
    if version.data_digest:
        child(transfer, "DataDigest", _base64(upload.digest), SignatureVersion=upload.signature_version)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
