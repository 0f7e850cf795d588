"""What a bank answers, read once it is known to be the bank's: an `ebicsResponse` is verified with the bank's X002 key before
anything in it is believed, errors too.

Two return codes stand in an answer, and both count: the technical one in the header, the business one in the body. Banks differ
in where they say 011000 (a download's receipt was taken); `Answer.says` looks at both.

Sources: schemas H004 and H005, ebics_response and ebics_keymgmt_response; H000 for HEV.
"""

from dataclasses import dataclass, field
from typing import Final

from channels.ebics.errors import BadAnswer, as_bad_answer
from channels.ebics.names import HEV, Element, Version
from channels.ebics.reading import (
    document,
    every,
    flag,
    malformed,
    maybe,
    number,
    octets,
    one,
    order_id,
    return_code,
    said,
    text,
    transaction_id,
)
from keys.ebics_auth import verify_message
from keys.ebics_encryption import SEGMENT_CHARS_MAX
from keys.ebics_keys import EbicsKey

SEGMENTS_MAX: Final = 4096  # of one download: 3 GiB
_HEADER_CHARS: Final = SEGMENT_CHARS_MAX * 2  # some banks break the base64 text into lines


@dataclass(frozen=True, slots=True, kw_only=True)
class HevAnswer:
    """Which versions the bank says it speaks: names (H004) and numbers (02.50)."""

    code: str
    text: str
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """How the data of an answer is encrypted: the wrapped key, and the hash of our E002 key that it is for."""

    wrapped_key: bytes = field(repr=False)
    key_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, read. `technical` and `business` are return codes; `order_data` is base64 text of one segment."""

    technical: str
    business: str
    report: str
    phase: str | None = None
    transaction_id: str | None = None
    order_id: str | None = None
    segments: int | None = None
    segment: int | None = None
    last: bool | None = None
    encryption: Encryption | None = None
    order_data: bytes | None = field(default=None, repr=False)

    def says(self, code: str) -> bool:
        """Whether one of the two return codes is this one."""
        return code in {self.technical, self.business}

    @property
    def fine(self) -> bool:
        """Whether neither code is an error: 00, 01 and 03 are none (EBICS, annex on return codes)."""
        return all(code[:2] in {"00", "01", "03"} for code in (self.technical, self.business))


def read_hev(message: bytes) -> HevAnswer:
    """The answer to HEV. Nobody authenticates it. Raises `BadAnswer`."""
    root = document(message, "ebicsHEVResponse", (HEV,))
    status = one(root, "SystemReturnCode")
    found = every(root, "VersionNumber")
    versions = tuple((element.get("ProtocolVersion") or "", text(element, chars_max=10) or "") for element in found[:20])
    return HevAnswer(code=return_code(status), text=text(maybe(status, "ReportText")) or "", versions=versions)


def read_key_answer(message: bytes, version: Version) -> Answer:
    """The answer to INI, HIA, H3K or HPB. It is not signed: whoever sits between us and the bank may have written it, which is
    why bank keys are compared by a person. Raises `BadAnswer`."""
    root = document(message, "ebicsKeyManagementResponse", (version.namespace,))
    return _answer(root, version)


def read_answer(message: bytes, version: Version, bank: EbicsKey) -> Answer:
    """The answer to anything else, verified with `bank`, the bank's X002 key. Raises `BadAnswer`."""
    root = document(message, "ebicsResponse", (version.namespace,))
    with as_bad_answer():
        verify_message(root, bank.public)
    return _answer(root, version)


def unproved_codes(message: bytes, version: Version) -> tuple[str, str]:
    """Both return codes of an answer that did not verify, for words to a person, and as a reason to fetch the bank's keys (HPB):
    a bank that changed its keys signs its 091008 with the new ones. Never a reason to believe anything about an order. Raises
    `BadAnswer`."""
    root = document(message, "ebicsResponse", (version.namespace,))
    return return_code(one(one(root, "header"), "mutable")), return_code(one(root, "body"))


def _answer(root: Element, version: Version) -> Answer:
    if root.get("Version") != version.name:
        raise BadAnswer("structure", f"the answer says version {str(root.get('Version'))[:8]!r}, and {version.name} was spoken")
    header, body = one(root, "header"), one(root, "body")
    static, mutable = one(header, "static"), one(header, "mutable")
    segment = maybe(mutable, "SegmentNumber")
    segments = number(text(maybe(static, "NumSegments")), "NumSegments")
    if segments is not None and segments > SEGMENTS_MAX:
        raise BadAnswer("content.too-large", f"the bank announces {segments} segments; at most {SEGMENTS_MAX} are taken")
    transfer = maybe(body, "DataTransfer")
    return Answer(
        technical=return_code(mutable),
        business=return_code(body),
        report=text(maybe(mutable, "ReportText")) or "",
        phase=text(maybe(mutable, "TransactionPhase")),
        transaction_id=transaction_id(text(maybe(static, "TransactionID"))),
        order_id=order_id(text(maybe(mutable, "OrderID"))),
        segments=segments,
        segment=number(text(segment), "SegmentNumber"),
        last=None if segment is None else flag(segment.get("lastSegment"), "lastSegment"),
        encryption=None if transfer is None else _encryption(transfer),
        order_data=None if transfer is None else _order_data(transfer),
    )


def _encryption(transfer: Element) -> Encryption | None:
    info = maybe(transfer, "DataEncryptionInfo")
    if info is None:
        return None
    digest = one(info, "EncryptionPubKeyDigest")
    if digest.get("Version") != "E002":
        raise BadAnswer("algorithm.refused", f"the answer is encrypted by {str(digest.get('Version'))[:8]!r}; E002 is taken")
    return Encryption(wrapped_key=octets(one(info, "TransactionKey")), key_digest=octets(digest))


def _order_data(transfer: Element) -> bytes:
    found = said(transfer, "OrderData", chars_max=_HEADER_CHARS)
    compact = "".join(found.split())
    if not compact.isascii() or len(compact) > SEGMENT_CHARS_MAX + 64:
        raise malformed("OrderData")
    return compact.encode("ascii")
