"""Requests as a bank reads them: strictly, by hand, each fault with its return code.

Names, order and number of elements are held by a small grammar (from the schemas H004, H005 and H000); values by their types.
What comes after that - signatures, keys, states - is judged elsewhere.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from keys.ebics_auth import parse_message
from keys.seal import BadSeal
from simulator.ebics.names import HEV, SHA256, VERSIONS, Fault, Version

Element = etree._Element

_STATIC: Final = {
    "ebicsUnsecuredRequest": "HostID PartnerID UserID( SystemID)?( Product)? OrderDetails SecurityMedium",
    "ebicsNoPubKeyDigestsRequest": ("HostID Nonce Timestamp PartnerID UserID( SystemID)?( Product)? OrderDetails SecurityMedium"),
    "Initialisation": (
        "HostID Nonce Timestamp PartnerID UserID( SystemID)?( Product)? OrderDetails BankPubKeyDigests SecurityMedium"
        "( NumSegments)?"
    ),
    "Transfer": "HostID TransactionID",
    "Receipt": "HostID TransactionID",
}
_BODY: Final = {
    "ebicsUnsecuredRequest": "DataTransfer",
    "ebicsNoPubKeyDigestsRequest": "",
    "Initialisation": "(PreValidation ?)?(DataTransfer)?",
    "Transfer": "(DataTransfer)?",
    "Receipt": "TransferReceipt",
}
_PARAMS: Final = (
    "StandardOrderParams|FULOrderParams|FDLOrderParams|BTUOrderParams|BTDOrderParams|HVUOrderParams|HVZOrderParams|HVDOrderParams"
    "|HVTOrderParams|HVEOrderParams|HVSOrderParams|GenericOrderParams"
)
_DETAILS: Final = {
    "H004": f"OrderType( OrderID)? OrderAttribute( ({_PARAMS}))?",
    "H005": f"AdminOrderType( OrderID)?( ({_PARAMS}))?",
}
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32}")
_ID: Final = re.compile(r"[a-zA-Z0-9,=]{1,35}")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?")
NUM_SEGMENTS_MAX: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDigests:
    """The hashes by which a request names the bank's keys."""

    authentication: bytes
    encryption: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStart:
    """What an upload brings at its beginning."""

    encryption_digest: bytes
    transaction_key: bytes
    signature_data: bytes  # base64 text
    data_digest: bytes | None  # H005
    digest_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, taken apart. `kind` is the root's name; `phase` one of ebicsRequest's three, or ""."""

    root: Element
    version: Version
    kind: str
    host_id: str
    phase: str = ""
    partner_id: str = ""
    user_id: str = ""
    nonce: str = ""
    timestamp: datetime | None = None
    order_type: str = ""
    attribute: str = ""
    order_id: str | None = None
    params: Element | None = None
    digests: KeyDigests | None = None
    num_segments: int | None = None
    upload: UploadStart | None = None
    transaction_id: str = ""  # upper case
    segment_number: int = 0
    last_segment: bool = False
    order_data: bytes | None = None  # base64 text
    receipt_code: int | None = None

    @property
    def step(self) -> str:
        """The step in a word, as moods name it: key, init, transfer, receipt."""
        return {"": "key", "Initialisation": "init", "Transfer": "transfer", "Receipt": "receipt"}[self.phase]


def read_root(message: bytes) -> Element:
    """The root of a message. Raises `Fault` (091010)."""
    try:
        return parse_message(message)
    except BadSeal as error:
        raise Fault("091010", error.detail) from error


def version_of(root: Element) -> Version | None:
    """The protocol version a message is in; None for HEV and for what the bank does not speak."""
    return VERSIONS.get(etree.QName(root).namespace or "")


def is_hev(root: Element) -> bool:
    return bool(root.tag == f"{{{HEV}}}ebicsHEVRequest")


def hev_host(root: Element) -> str:
    """The HostID of a HEV request. Raises `Fault`."""
    if [child.tag for child in root] != [f"{{{HEV}}}HostID"]:
        raise Fault("091010", "ebicsHEVRequest: holds HostID and nothing else")
    return (root[0].text or "").strip()


def read_request(root: Element, version: Version) -> Request:
    """Raises `Fault`."""
    kind = etree.QName(root).localname
    if kind not in {"ebicsUnsecuredRequest", "ebicsNoPubKeyDigestsRequest", "ebicsRequest"}:
        raise Fault("061002", f"a bank takes no {kind[:40]}")
    if root.get("Version") != version.name or not (root.get("Revision") or "1").isdigit():
        raise Fault("091010", f"{kind}: its attribute Version does not say {version.name}")
    _expect(root, "header body" if kind == "ebicsUnsecuredRequest" else "header AuthSignature body", signed=True)
    header, body = root[0], root[-1]
    if header.get("authenticate") != "true":
        raise Fault("091010", "header: its attribute authenticate is not true")
    _expect(header, "static mutable")
    static, mutable = header[0], header[1]
    phase = _phase(mutable) if kind == "ebicsRequest" else _no_phase(mutable)
    _expect(static, _STATIC[phase or kind])
    _expect(body, _BODY[phase or kind])
    fields = {
        "root": root,
        "version": version,
        "kind": kind,
        "phase": phase,
        "host_id": text_of(static, "HostID"),
    }
    if phase in {"Transfer", "Receipt"}:
        fields |= {"transaction_id": _matching(_HEX, text_of(static, "TransactionID"), "TransactionID").upper()}
        fields |= _segment(mutable, body) if phase == "Transfer" else _receipt(body)
    else:
        fields |= _identity(static) | _order(static, version)
    if phase == "Initialisation":
        fields |= _initialisation(static, body, version)
    if kind == "ebicsUnsecuredRequest":
        _expect(body[0], "OrderData")
        fields["order_data"] = _text(body[0][0])
    return Request(**fields)  # type: ignore[arg-type]  # the fields of the dataclass, by name


def names_of(element: Element) -> str:
    """The local names of the children, a blank between them; "?" for one of another namespace (but for ds:)."""
    namespace = etree.QName(element).namespace
    return " ".join(etree.QName(child).localname if etree.QName(child).namespace == namespace else "?" for child in element)


def text_of(parent: Element, name: str) -> str:
    """The text of a child that must be there. Raises `Fault`."""
    found = child_of(parent, name)
    if found is None:
        raise Fault("091010", f"{_local(parent)}: has no {name}")
    return (found.text or "").strip()


def child_of(parent: Element, name: str) -> Element | None:
    return parent.find(f"{{{etree.QName(parent).namespace}}}{name}")


def base64_of(text: bytes | str, what: str, code: str = "091010") -> bytes:
    """The octets of base64 text, blanks allowed. Raises `Fault`."""
    compact = "".join((text if isinstance(text, str) else text.decode("ascii", "replace")).split())
    try:
        return base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        raise Fault(code, f"{what}: is no base64") from None


# ------------------------------------------------------------------------------------------------------------------------------


def _local(element: Element) -> str:
    return etree.QName(element).localname


def _expect(element: Element, pattern: str, *, signed: bool = False) -> None:
    found = names_of(element)
    if not re.fullmatch(pattern, found):
        raise Fault("091010", f"{_local(element)}: its elements are {found[:120] or 'none'}, which the schema does not allow")
    if not signed and (element.text or "").strip() and len(element):
        raise Fault("091010", f"{_local(element)}: holds text beside its elements")


def _text(element: Element) -> bytes:
    if len(element):
        raise Fault("091010", f"{_local(element)}: holds elements where text is due")
    return (element.text or "").encode()


def _matching(pattern: "re.Pattern[str]", text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise Fault("091010", f"{what}: is not of its type")
    return text


def _no_phase(mutable: Element) -> str:
    _expect(mutable, "")
    return ""


def _phase(mutable: Element) -> str:
    _expect(mutable, "TransactionPhase( SegmentNumber)?")
    phase = (mutable[0].text or "").strip()
    if phase not in {"Initialisation", "Transfer", "Receipt"}:
        raise Fault("091010", "TransactionPhase: is none of Initialisation, Transfer, Receipt")
    if (phase == "Transfer") != (len(mutable) == 2):
        raise Fault("061002", "SegmentNumber: belongs to the phase Transfer and to no other")
    return phase


def _identity(static: Element) -> dict[str, object]:
    found: dict[str, object] = {
        "partner_id": _matching(_ID, text_of(static, "PartnerID"), "PartnerID"),
        "user_id": _matching(_ID, text_of(static, "UserID"), "UserID"),
    }
    _matching(re.compile(r"\d{4}"), text_of(static, "SecurityMedium"), "SecurityMedium")
    if child_of(static, "Nonce") is not None:
        found["nonce"] = _matching(_HEX, text_of(static, "Nonce"), "Nonce").upper()
        stamp = _matching(_MOMENT, text_of(static, "Timestamp"), "Timestamp")
        try:
            moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", stamp).replace("Z", "+00:00"))
        except ValueError:
            raise Fault("091010", "Timestamp: is no moment") from None
        found["timestamp"] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return found


def _order(static: Element, version: Version) -> dict[str, object]:
    details = child_of(static, "OrderDetails")
    assert details is not None  # noqa: S101 - the grammar has seen it
    _expect(details, _DETAILS[version.name])
    order_type = text_of(details, "AdminOrderType" if version.is_h005 else "OrderType")
    _matching(re.compile(r"[A-Z0-9]{3}"), order_type, "OrderType")
    identifier = child_of(details, "OrderID")
    if identifier is not None:
        _matching(re.compile(r"[A-Z][A-Z0-9]{3}"), (identifier.text or "").strip(), "OrderID")
    attribute = "" if version.is_h005 else text_of(details, "OrderAttribute")
    params = details[-1] if _local(details[-1]).endswith("OrderParams") else None
    order_id = None if identifier is None else (identifier.text or "").strip()
    return {"order_type": order_type, "attribute": attribute, "params": params, "order_id": order_id}


def _digest(element: Element, prefix: str) -> bytes:
    if not re.fullmatch(prefix + r"00\d", element.get("Version") or "") or element.get("Algorithm") != SHA256:
        raise Fault("091010", f"{_local(element)}: Version or Algorithm is not one the bank takes")
    return base64_of(_text(element), _local(element))


def _initialisation(static: Element, body: Element, version: Version) -> dict[str, object]:
    digests = child_of(static, "BankPubKeyDigests")
    assert digests is not None  # noqa: S101 - the grammar has seen it
    _expect(digests, "Authentication Encryption( Signature)?")
    found: dict[str, object] = {
        "digests": KeyDigests(authentication=_digest(digests[0], "X"), encryption=_digest(digests[1], "E")),
    }
    if child_of(static, "NumSegments") is not None:
        count = text_of(static, "NumSegments")
        if not re.fullmatch(r"\d{1,10}", count):
            raise Fault("091010", "NumSegments: is no number of segments")
        found["num_segments"] = int(count)
    transfer = child_of(body, "DataTransfer")
    if transfer is not None:
        found["upload"] = _upload(transfer, version)
    return found


def _upload(transfer: Element, version: Version) -> UploadStart:
    digest = " DataDigest( AdditionalOrderInfo)?" if version.is_h005 else ""
    _expect(transfer, f"DataEncryptionInfo SignatureData{digest}")
    info, signature = transfer[0], transfer[1]
    _expect(info, "EncryptionPubKeyDigest TransactionKey( HostID)?")
    for element in (info, signature):
        if element.get("authenticate") != "true":
            raise Fault("091010", f"{_local(element)}: its attribute authenticate is not true")
    given = transfer[2] if version.is_h005 else None
    return UploadStart(
        encryption_digest=_digest(info[0], "E"),
        transaction_key=base64_of(_text(info[1]), "TransactionKey"),
        signature_data=_text(signature),
        data_digest=None if given is None else base64_of(_text(given), "DataDigest"),
        digest_version=None if given is None else given.get("SignatureVersion"),
    )


def _segment(mutable: Element, body: Element) -> dict[str, object]:
    element = mutable[1]
    number = (element.text or "").strip()
    last = (element.get("lastSegment") or "").strip()
    if not re.fullmatch(r"\d{1,10}", number) or int(number) < 1 or last not in {"true", "false", "1", "0"}:
        raise Fault("091010", "SegmentNumber: a number from 1 with lastSegment true or false")
    data = None
    if len(body):
        _expect(body[0], "OrderData")
        data = _text(body[0][0])
    return {"segment_number": int(number), "last_segment": last in {"true", "1"}, "order_data": data}


def _receipt(body: Element) -> dict[str, object]:
    receipt = body[0]
    _expect(receipt, "ReceiptCode")
    code = (receipt[0].text or "").strip()
    if code not in {"0", "1"} or receipt.get("authenticate") != "true":
        raise Fault("091010", "TransferReceipt: an authenticated ReceiptCode of 0 or 1")
    return {"receipt_code": int(code)}
