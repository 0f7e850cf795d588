"""A small, strict reader of requests: the bank's side, written apart from the client's writing. It says every fault by a word.

It holds what a strict bank would: names and order of elements by a table of its own, the AuthSignature, the electronic signature,
the digest. It is not the simulator's.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from keys.ebics_auth import parse_message, verify_message
from keys.ebics_encryption import decrypted, decrypted_whole, inflated_whole, unwrapped_key
from keys.ebics_keys import EbicsKey, key_of_certificate, key_of_numbers
from keys.ebics_signature import order_digest, verify_order
from keys.keyring import PrivateKey
from keys.seal import BadSeal

NAMESPACES = {"H004": "urn:org:ebics:H004", "H005": "urn:org:ebics:H005"}
DS = "{http://www.w3.org/2000/09/xmldsig#}"
STATIC_START = ["HostID", "Nonce", "Timestamp", "PartnerID", "UserID", "SystemID", "Product", "OrderDetails"]
STATIC_END = ["BankPubKeyDigests", "SecurityMedium", "NumSegments"]
STATIC = {
    "ebicsUnsecuredRequest": ["HostID", "PartnerID", "UserID", "SystemID", "Product", "OrderDetails", "SecurityMedium"],
    "ebicsNoPubKeyDigestsRequest": [*STATIC_START, "SecurityMedium"],
    "ebicsRequest": [*STATIC_START, *STATIC_END],
}
BODIES = {
    "ebicsUnsecuredRequest": [["DataTransfer"]],
    "ebicsNoPubKeyDigestsRequest": [[]],
    "ebicsRequest": [["DataTransfer"], ["TransferReceipt"], []],
}


class Fault(Exception):
    """What is wrong with a request, in a word first."""


def local(element: Any) -> str:
    return etree.QName(element).localname


def names(element: Any) -> list[str]:
    return [local(child) for child in element]


def in_order(found: list[str], allowed: list[str]) -> bool:
    """Each at most once, in the order of the table."""
    places = [allowed.index(name) if name in allowed else -1 for name in found]
    return -1 not in places and places == sorted(set(places))


@dataclass
class Request:
    """A request, taken apart."""

    root: Any
    version: str
    kind: str
    order_type: str | None
    attribute: str | None
    phase: str | None
    static: dict[str, str] = field(default_factory=dict)

    def text(self, path: str) -> str | None:
        return self.root.findtext("/".join(f"{{*}}{name}" for name in path.split("/")))


def read(message: bytes) -> Request:
    """Raises `Fault`, or `BadSeal` for what is no message."""
    root = parse_message(message)
    kind, namespace = local(root), etree.QName(root).namespace
    if kind == "ebicsHEVRequest":
        return Request(root, "H000", kind, None, None, None)
    version = root.get("Version") or ""
    if NAMESPACES.get(version) != namespace:
        raise Fault(f"namespace: {namespace} is not that of version {version}")
    if kind not in STATIC:
        raise Fault(f"root: {kind}")
    parts = names(root)
    if parts != (["header", "body"] if kind == "ebicsUnsecuredRequest" else ["header", "AuthSignature", "body"]):
        raise Fault(f"parts: {parts}")
    header, body = root[0], root[-1]
    if header.get("authenticate") != "true" or names(header) != ["static", "mutable"]:
        raise Fault("header: not authenticated, or not static and mutable")
    static, mutable = header
    phase = mutable.findtext("{*}TransactionPhase")
    allowed = ["HostID", "TransactionID"] if phase in {"Transfer", "Receipt"} else STATIC[kind]
    if not in_order(names(static), allowed):
        raise Fault(f"static: {names(static)}")
    if names(body) not in BODIES[kind]:
        raise Fault(f"body: {names(body)}")
    details = static.find("{*}OrderDetails")
    order_type = attribute = None
    if details is not None:
        order_type, attribute = _details(details, version, kind)
    flags = root.findall(".//{*}SignatureFlag")
    if any(flag.text or len(flag) for flag in flags):
        raise Fault("SignatureFlag: an empty element, and it has content")
    _digest(root)
    found = {local(child): (child.text or "") for child in static}
    return Request(root, version, kind, order_type, attribute, phase, found)


def _details(details: Any, version: str, kind: str) -> tuple[str | None, str | None]:
    name = "OrderType" if version == "H004" else "AdminOrderType"
    inside = names(details)
    expected = [name, "OrderAttribute"] if version == "H004" else [name]
    if inside[: len(expected)] != expected:
        raise Fault(f"OrderDetails: {inside}")
    if kind == "ebicsRequest" and (len(inside) != len(expected) + 1 or not inside[-1].endswith("OrderParams")):
        raise Fault(f"OrderParams: {inside}")
    return details[0].text, details.findtext("{*}OrderAttribute")


def _digest(root: Any) -> None:
    for element in root.iter("{*}DataDigest"):
        if len(base64.b64decode(element.text or "")) != 32:
            raise Fault("DataDigest: not the 32 bytes of a SHA-256")


# ---- what is inside -----------------------------------------------------------------------------------------------------


def public_keys(request: Request) -> dict[str, EbicsKey]:
    """The keys of INI or HIA, by version."""
    data = parse_message(inflated_whole((request.text("body/DataTransfer/OrderData") or "").encode(), bytes_max=1_000_000))
    found = {}
    for info in data.iter("{*}SignaturePubKeyInfo", "{*}AuthenticationPubKeyInfo", "{*}EncryptionPubKeyInfo"):
        version: Any = next(child.text for child in info if local(child).endswith("Version"))
        certificate = info.find(f"{DS}X509Data/{DS}X509Certificate")
        value = info.find(f"{{*}}PubKeyValue/{DS}RSAKeyValue")
        if certificate is not None:
            found[version] = key_of_certificate(version, base64.b64decode(certificate.text), version)
        else:
            modulus, exponent = (base64.b64decode(value.findtext(f"{DS}{name}")) for name in ("Modulus", "Exponent"))
            found[version] = key_of_numbers(version, modulus, exponent, version)
    return found


def check_authentication(request: Request, key: EbicsKey) -> None:
    verify_message(request.root, key.public)


@dataclass
class Upload:
    """An upload on its way: its transaction key, its signature, the segments so far."""

    transaction_key: bytes
    signature_version: str
    signature: bytes
    data_digest: bytes | None
    segments: list[bytes] = field(default_factory=list)

    def data(self) -> bytes:
        return b"".join(decrypted(self.segments, self.transaction_key))


def opened(request: Request, bank: PrivateKey) -> Upload:
    """The first message of an upload, decrypted by the bank's E002. Raises `Fault`."""
    wrapped = base64.b64decode(request.text("body/DataTransfer/DataEncryptionInfo/TransactionKey") or "")
    key = unwrapped_key(bank, wrapped)
    text = (request.text("body/DataTransfer/SignatureData") or "").encode()
    data = parse_message(decrypted_whole(text, key, bytes_max=1_000_000))
    inside = data.find("{*}OrderSignatureData")
    if local(data) != "UserSignatureData" or inside is None or names(inside)[:4] != SIGNATURE:
        raise Fault("UserSignatureData: malformed")
    digest = request.text("body/DataTransfer/DataDigest")
    return Upload(
        transaction_key=key,
        signature_version=inside.findtext("{*}SignatureVersion"),
        signature=base64.b64decode(inside.findtext("{*}SignatureValue")),
        data_digest=None if digest is None else base64.b64decode(digest),
    )


SIGNATURE = ["SignatureVersion", "SignatureValue", "PartnerID", "UserID"]


def check_order(upload: Upload, key: EbicsKey) -> None:
    """The electronic signature and the digest over the whole order. Raises `Fault` for a digest, `BadSeal` for a signature."""
    data = upload.data()
    digest = order_digest((data,))
    if upload.data_digest is not None and upload.data_digest != digest:
        raise Fault("DataDigest: not that of the order data")
    verify_order(upload.signature_version, key.public, digest, upload.signature)


__all__ = ["BadSeal", "Fault", "Request", "Upload", "check_authentication", "check_order", "opened", "public_keys", "read"]
