"""Answers as a bank writes them: by hand, signed with the bank's X002 key where the schema wants it."""

import base64
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from keys.ebics_auth import sign_message
from keys.keyring import PrivateKey
from simulator.ebics.names import DS, H004, H005, HEV, SHA256, Version, is_technical, report

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Encrypted:
    """What tells the receiver of order data how to decrypt it: the hash of the key it is for, and the wrapped transaction key."""

    digest: bytes
    transaction_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the bank says to one request. `code` decides by itself whether it stands in the header or in the body."""

    version: Version
    management: bool = False  # ebicsKeyManagementResponse instead of ebicsResponse
    phase: str = "Initialisation"
    code: str = "000000"
    text: str = ""
    header_code: str | None = None  # where the two codes are set by hand
    transaction_id: str | None = None
    num_segments: int | None = None
    segment: int | None = None
    last: bool = False
    order_id: str | None = None
    encrypted: Encrypted | None = None
    order_data: bytes | None = None  # base64 text of one segment

    @property
    def codes(self) -> tuple[str, str]:
        """Of the header and of the body."""
        if self.header_code is not None:
            return self.header_code, self.code
        return (self.code, "000000") if is_technical(self.code) else ("000000", self.code)


def write(answer: Answer, key: PrivateKey) -> bytes:
    """The message. `key` is the bank's X002 key."""
    name = "ebicsKeyManagementResponse" if answer.management else "ebicsResponse"
    version = answer.version
    text = (
        f'<{name} xmlns="{version.namespace}" xmlns:ds="{DS}" Version="{version.name}" Revision="1">'
        f'<header authenticate="true"><static>{_static(answer)}</static><mutable>{_mutable(answer)}</mutable></header>'
        f"<body>{_body(answer)}</body></{name}>"
    )
    if answer.management:
        return (_DECLARATION + text).encode()
    return sign_message(etree.fromstring(text.encode()), key)


def hev_answer(versions: tuple[str, ...], code: str = "000000") -> bytes:
    """The answer to HEV: the versions the bank speaks, or 091011."""
    known = {version.name: version for version in (H004, H005)}
    offered = "".join(
        f'<VersionNumber ProtocolVersion="{name}">{known[name].number}</VersionNumber>' for name in versions if code == "000000"
    )
    return (
        f'{_DECLARATION}<ebicsHEVResponse xmlns="{HEV}"><SystemReturnCode><ReturnCode>{code}</ReturnCode>'
        f"<ReportText>{escape(report(code))}</ReportText></SystemReturnCode>{offered}</ebicsHEVResponse>"
    ).encode()


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _static(answer: Answer) -> str:
    found = "" if answer.transaction_id is None else f"<TransactionID>{answer.transaction_id}</TransactionID>"
    return found + ("" if answer.num_segments is None else f"<NumSegments>{answer.num_segments}</NumSegments>")


def _mutable(answer: Answer) -> str:
    header, body = answer.codes
    said = header if header != "000000" else body
    parts = [] if answer.management else [f"<TransactionPhase>{answer.phase}</TransactionPhase>"]
    if answer.segment is not None and not answer.management:
        last = "true" if answer.last else "false"
        parts.append(f'<SegmentNumber lastSegment="{last}">{answer.segment}</SegmentNumber>')
    if answer.order_id is not None:
        parts.append(f"<OrderID>{answer.order_id}</OrderID>")
    parts.append(f"<ReturnCode>{header}</ReturnCode><ReportText>{escape(report(said, answer.text))}</ReportText>")
    return "".join(parts)


def _body(answer: Answer) -> str:
    transfer = ""
    if answer.order_data is not None:
        info = ""
        if answer.encrypted is not None:
            info = (
                f'<DataEncryptionInfo authenticate="true"><EncryptionPubKeyDigest Version="E002" Algorithm="{SHA256}">'
                f"{text64(answer.encrypted.digest)}</EncryptionPubKeyDigest>"
                f"<TransactionKey>{text64(answer.encrypted.transaction_key)}</TransactionKey></DataEncryptionInfo>"
            )
        transfer = f"<DataTransfer>{info}<OrderData>{answer.order_data.decode('ascii')}</OrderData></DataTransfer>"
    return f'{transfer}<ReturnCode authenticate="true">{answer.codes[1]}</ReturnCode>'
