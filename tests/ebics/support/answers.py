"""The bank's side of a conversation, for tests: answers written by hand and signed with the bank's test key."""

import base64

from lxml import etree

from keys.ebics_auth import sign_message
from keys.ebics_encryption import encrypted_whole, wrapped_key
from keys.ebics_keys import EbicsKey
from tests.ebics.support.parties import TRANSACTION, key, own_keys

SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
TRANSACTION_KEY = bytes(range(16, 32))


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _optional(name: str, value: object, attributes: str = "") -> str:
    return "" if value is None else f"<{name}{attributes}>{value}</{name}>"


def data_transfer(
    data: bytes | None = None, *, order_data: str | None = None, info: bool = True, to: EbicsKey | None = None
) -> str:
    """DataTransfer with this data encrypted for the subscriber (`to`, else the tests' own), or with this text."""
    receiver = to or own_keys().encryption
    digest = b64(receiver.public_key_hash)
    wrapped = b64(wrapped_key(receiver.public, TRANSACTION_KEY))
    text = order_data if order_data is not None else encrypted_whole(data or b"", TRANSACTION_KEY).decode()
    head = (
        f'<DataEncryptionInfo authenticate="true"><EncryptionPubKeyDigest Version="E002" Algorithm="{SHA256}">{digest}'
        f"</EncryptionPubKeyDigest><TransactionKey>{wrapped}</TransactionKey></DataEncryptionInfo>"
    )
    return f"<DataTransfer>{head if info else ''}<OrderData>{text}</OrderData></DataTransfer>"


def unsigned(
    version: str = "H005",
    *,
    root: str = "ebicsResponse",
    phase: str | None = "Initialisation",
    technical: str = "000000",
    business: str = "000000",
    transaction: str | None = TRANSACTION,
    segments: int | None = None,
    segment: int | None = None,
    last: bool = False,
    order_id: str | None = None,
    transfer: str = "",
) -> bytes:
    number = _optional("SegmentNumber", segment, f' lastSegment="{str(last).lower()}"')
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="urn:org:ebics:{version}"'
        f' xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Version="{version}" Revision="1"><header authenticate="true"><static>'
        f"{_optional('TransactionID', transaction)}{_optional('NumSegments', segments)}</static><mutable>"
        f"{_optional('TransactionPhase', phase)}{number}{_optional('OrderID', order_id)}<ReturnCode>{technical}</ReturnCode>"
        f"<ReportText>[EBICS_X] text</ReportText></mutable></header><body>{transfer}"
        f'<ReturnCode authenticate="true">{business}</ReturnCode></body></{root}>'
    ).encode()


def signed(version: str = "H005", *, by: str = "BX", **parts: object) -> bytes:
    """An ebicsResponse with the bank's AuthSignature."""
    return sign_message(etree.fromstring(unsigned(version, **parts)), key(by))  # type: ignore[arg-type]
