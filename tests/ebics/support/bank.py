"""A bank that speaks EBICS over HTTP on loopback, strict and small: what it executed stands in its books.

It loses answers on command (`lose`), or messages (`drop`), by the name of the step; a name counts down, so that "twice" is two.
"""

import base64
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from keys.ebics_encryption import encrypted as encrypt
from keys.ebics_encryption import segments
from keys.ebics_keys import EbicsKey
from tests.channels.support.http_bank import HttpBank, reply
from tests.channels.support.http_bank import Request as HttpRequest
from tests.ebics.support import answers, requests
from tests.ebics.support.parties import bank_keys, certified, key
from tests.ebics.support.requests import BadSeal, Fault, Request
from tests.ebics.test_protocol import hac, step

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@dataclass
class Sending:
    """An upload on its way to the bank."""

    upload: requests.Upload
    order_type: str
    order_id: str
    announced: int
    recoveries: int = 0


@dataclass
class Offer:
    """A download on its way from the bank."""

    order_type: str
    content: bytes
    segments: list[bytes]


@dataclass
class EbicsBank:
    """`executed`: the books. `asked`: every message by the name of its step."""

    version: str = "H005"
    by: str = "B"  # whose keys the bank uses: B, or O for another
    recovers: bool = True
    forgets: bool = False  # knows no transaction any more
    keeps_no_protocol: bool = False
    segment_chars: int = 1_000_000
    clock: Callable[[], datetime] = lambda: NOW
    lose: Counter[str] = field(default_factory=Counter)
    drop: Counter[str] = field(default_factory=Counter)
    say: dict[str, tuple[str, str]] = field(default_factory=dict)  # both codes instead of doing the step
    keys: dict[str, EbicsKey] = field(default_factory=dict)
    active: bool = False
    executed: list[bytes] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    offers: dict[str, list[bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = HttpBank(answer=self._answer)
        self._nonces: set[str] = set()
        self._sending: dict[str, Sending] = {}
        self._offering: dict[str, Offer] = {}
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> "EbicsBank":
        await self.http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.http.__aexit__(*error)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}/ebics"

    def activate(self) -> None:
        self.active = True

    # -- one message ---------------------------------------------------------------------------------------------------

    def _answer(self, _: HttpBank, message: HttpRequest) -> bytes:
        try:
            request = requests.read(message.body)
            name = self._name(request)
            self.asked.append(name)
            if self._counts(self.drop, name):
                raise ConnectionResetError(name)
            answer = self._said(request, name) if name in self.say else self._served(request, name)
        except (Fault, BadSeal) as fault:
            self.faults.append(str(fault))
            raise ConnectionResetError(str(fault)) from fault
        if self._counts(self.lose, name):
            raise ConnectionResetError(name)
        return reply(200, answer)

    @staticmethod
    def _counts(losses: Counter[str], name: str) -> bool:
        if losses[name] <= 0:
            return False
        losses[name] -= 1
        return True

    def _name(self, request: Request) -> str:
        """INI, HIA, HPB, HEV; "CCT start", "CCT 1", "CCT last"; "C53 start", "C53 get 2", "C53 receipt"."""
        if request.kind == "ebicsHEVRequest":
            return "HEV"
        if request.kind != "ebicsRequest":
            return request.order_type or ""
        if request.phase == "Initialisation":
            return f"{request.order_type} start"
        transaction = request.static["TransactionID"]
        number = request.text("header/mutable/SegmentNumber")
        if transaction in self._offering:
            kind = self._offering[transaction].order_type
            return f"{kind} receipt" if request.phase == "Receipt" else f"{kind} get {number}"
        sending = self._sending.get(transaction)
        last = sending is not None and number == str(sending.announced)
        return f"{sending.order_type if sending else '?'} {'last' if last else number}"

    def _said(self, request: Request, name: str) -> bytes:
        technical, business = self.say[name]
        if request.kind == "ebicsRequest":
            return self._signed(request, technical=technical, business=business, transaction=request.static.get("TransactionID"))
        return self._plain(technical=technical, business=business)

    def _served(self, request: Request, name: str) -> bytes:
        if name == "HEV":
            return (
                b'<ebicsHEVResponse xmlns="http://www.ebics.org/H000"><SystemReturnCode><ReturnCode>000000</ReturnCode><ReportText>'
                b'[EBICS_OK] OK</ReportText></SystemReturnCode><VersionNumber ProtocolVersion="H004">02.50</VersionNumber>'
                b'<VersionNumber ProtocolVersion="H005">03.00</VersionNumber></ebicsHEVResponse>'
            )
        if request.kind == "ebicsUnsecuredRequest":
            new = requests.public_keys(request)
            if self.active or set(new) & set(self.keys):
                return self._plain(technical="091002")
            self.keys |= new
            return self._plain()
        if not self.active:
            return self._plain(technical="091002") if name == "HPB" else self._signed(request, technical="091002")
        requests.check_authentication(request, self.keys["X002"])
        nonce = request.static.get("Nonce")
        if nonce is not None:
            assert nonce not in self._nonces, "a nonce is used once"
            self._nonces.add(nonce)
        if name == "HPB":
            return self._plain(transfer=answers.data_transfer(self._key_data(), to=self.keys["E002"]))
        if request.phase == "Initialisation":
            return self._start(request)
        transaction = request.static["TransactionID"]
        if transaction in self._offering:
            return self._offer(request, transaction)
        return self._segment(request, transaction)

    # -- uploads -------------------------------------------------------------------------------------------------------

    def _start(self, request: Request) -> bytes:
        announced = request.text("header/static/NumSegments")
        if not self._named_well(request):
            return self._signed(request, technical="091008", transaction=None)
        if announced is None:
            return self._open_download(request)
        transaction, order_id = f"{next(self._numbers):032X}", f"A{len(self._sending):03d}"
        upload = requests.opened(request, key(f"{self.by}E" if self.by == "B" else "O"))
        self._sending[transaction] = Sending(upload, request.order_type or "", order_id, int(announced))
        return self._signed(request, transaction=transaction, order_id=order_id)

    def _named_well(self, request: Request) -> bool:
        """Whether the message names our two keys by one of their hashes."""
        for element in request.root.iter("{*}BankPubKeyDigests"):
            for digest, known in zip(element, (self._key("X002"), self._key("E002")), strict=True):
                if not known.is_named_by(base64.b64decode(digest.text)):
                    return False
        return True

    def _segment(self, request: Request, transaction: str) -> bytes:
        sending = self._sending.get(transaction)
        if sending is None or self.forgets:
            return self._signed(request, technical="091101", transaction=transaction)
        number = int(request.text("header/mutable/SegmentNumber") or "0")
        have = len(sending.upload.segments)
        if number != have + 1:
            technical = "061101" if self.recovers else "091101"
            return self._signed(request, technical=technical, transaction=transaction, segment=have)
        sending.upload.segments.append((request.text("body/DataTransfer/OrderData") or "").encode())
        facts: dict[str, Any] = {"transaction": transaction, "segment": number, "order_id": sending.order_id}
        if number < sending.announced:
            return self._signed(request, **facts)
        requests.check_order(sending.upload, self.keys[sending.upload.signature_version])
        self.executed.append(sending.upload.data())
        at = self.clock().isoformat().replace("+00:00", "Z")
        self.steps += [
            step(action, order=sending.order_id, kind=sending.order_type, at=at)
            for action in ("FILE_UPLOAD", "ORDER_HAC_FINAL_POS")
        ]
        return self._signed(request, last=True, **facts)

    # -- downloads -----------------------------------------------------------------------------------------------------

    def _open_download(self, request: Request) -> bytes:
        kind = request.order_type or ""
        if kind == "HAC":
            content = None if self.keeps_no_protocol or not self.steps else hac(*self.steps)
        else:
            content = next(iter(self.offers.get(kind, ())), None)
        if content is None:
            return self._signed(request, business="090005", transaction=None)
        text = list(segments(encrypt((content,), answers.TRANSACTION_KEY), self.segment_chars))
        transaction = f"{next(self._numbers):032X}"
        self._offering[transaction] = Offer(kind, content, text)
        return self._give(request, transaction, 1)

    def _give(self, request: Request, transaction: str, number: int) -> bytes:
        offer = self._offering[transaction]
        count = len(offer.segments)
        text = offer.segments[number - 1].decode()
        return self._signed(
            request,
            transaction=transaction,
            segments=count,
            segment=number,
            last=number == count,
            transfer=answers.data_transfer(order_data=text, info=number == 1, to=self.keys["E002"]),
        )

    def _offer(self, request: Request, transaction: str) -> bytes:
        offer = self._offering[transaction]
        if request.phase != "Receipt":
            return self._give(request, transaction, int(request.text("header/mutable/SegmentNumber") or "0"))
        code = request.text("body/TransferReceipt/ReceiptCode") or ""
        self.receipts.append(f"{offer.order_type} {code}")
        if code == "0" and offer.content in self.offers.get(offer.order_type, ()):
            self.offers[offer.order_type].remove(offer.content)
        return self._signed(request, technical="011000" if code == "0" else "011001", transaction=transaction)

    # -- answers -------------------------------------------------------------------------------------------------------

    def _signed(self, request: Request, **parts: Any) -> bytes:
        return answers.signed(self.version, by=f"{self.by}X" if self.by == "B" else "O", phase=request.phase, **parts)

    def _plain(self, **parts: Any) -> bytes:
        return answers.unsigned(self.version, root="ebicsKeyManagementResponse", phase=None, transaction=None, **parts)

    def _key(self, version: str) -> EbicsKey:
        name = {"X002": f"{self.by}X", "E002": f"{self.by}E"}[version] if self.by == "B" else "O"
        if self.version == "H005":
            return certified(version, name)
        return (
            getattr(bank_keys(), {"X002": "authentication", "E002": "encryption"}[version]) if self.by == "B" else _other(version)
        )

    def fingerprints(self, kind: str = "public-key") -> tuple[str, str]:
        """As the bank prints them: of X002 and of E002."""
        found = (self._key("X002"), self._key("E002"))
        x002, e002 = ((one.public_key_hash if kind == "public-key" else one.certificate_hash) or b"" for one in found)
        return x002.hex(":").upper(), e002.hex(" ")

    def _key_data(self) -> bytes:
        parts = "".join(
            f"<{purpose}PubKeyInfo>{_material(self._key(version))}<{purpose}Version>{version}</{purpose}Version></{purpose}PubKeyInfo>"
            for purpose, version in (("Authentication", "X002"), ("Encryption", "E002"))
        )
        return (
            f'<HPBResponseOrderData xmlns="urn:org:ebics:{self.version}" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">{parts}'
            "<HostID>TESTHOST</HostID></HPBResponseOrderData>"
        ).encode()


def _other(version: Any) -> EbicsKey:
    return EbicsKey(version=version, public=key("O").public_key)  # type: ignore[arg-type]


def _material(found: EbicsKey) -> str:
    if found.certificate is not None:
        text = answers.b64(found.certificate)
        return f"<ds:X509Data><ds:X509Certificate>{text}</ds:X509Certificate></ds:X509Data>"
    numbers = found.public.public_numbers()
    parts = (("Modulus", numbers.n), ("Exponent", numbers.e))
    inside = "".join(
        f"<ds:{name}>{answers.b64(value.to_bytes((value.bit_length() + 7) // 8, 'big'))}</ds:{name}>" for name, value in parts
    )
    return f"<PubKeyValue><ds:RSAKeyValue>{inside}</ds:RSAKeyValue></PubKeyValue>"
