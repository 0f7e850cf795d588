"""Requests made by hand, right and wrong: the client's side for tests of the EBICS door, written apart from any client of ours.

A request is text with places to change; it is signed last, so that a test may spoil anything before or after.
"""

import base64
import hashlib
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from lxml import etree

from keys.ebics_auth import sign_message, verify_message
from keys.ebics_encryption import decrypted, encrypted, encrypted_whole, segments, wrapped_key
from keys.ebics_keys import EbicsKey, ebics_certificate, own_key
from keys.ebics_signature import order_digest, sign_order
from keys.keymaterial import SoftwareKey, Subject
from tests.simulator.ebics_support.xml import find, local_texts

DS = "http://www.w3.org/2000/09/xmldsig#"
NAMESPACE = {"H004": "urn:org:ebics:H004", "H005": "urn:org:ebics:H005"}
SIGNATURE_NAMESPACE = {"H004": "http://www.ebics.org/S001", "H005": "http://www.ebics.org/S002"}
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
TRANSACTION_KEY = b"0123456789abcdef"


@cache
def soft_key(name: str) -> SoftwareKey:
    """One of several different keys, by name; made once a run."""
    return SoftwareKey(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Client:
    """A user's software. `bank` is filled by HPB: X002, E002."""

    version: str = "H005"
    partner: str = "PARTNER1"
    user: str = "USER1"
    host: str = "TESTHOST"
    process: str = "A006"
    bank: dict[str, EbicsKey] = field(default_factory=dict)
    nonces: int = 0
    names: dict[str, str] = field(default_factory=dict)  # of the keys used instead of the user's own: {"X": "other"}

    def key(self, use: str) -> SoftwareKey:
        return soft_key(self.names.get(use, f"{self.user}-{use}"))

    def own(self, use: str) -> EbicsKey:
        version: Any = {"A": self.process, "X": "X002", "E": "E002"}[use]
        if self.version == "H004":
            return own_key(version, self.key(use))
        return own_key(version, self.key(use), _certificate(version, self.names.get(use, f"{self.user}-{use}")))

    @property
    def digest_kind(self) -> Any:
        return "certificate" if self.version == "H005" else "public-key"

    # pieces ----------------------------------------------------------------------------------------------------------------

    def nonce(self) -> str:
        self.nonces += 1
        return hashlib.sha256(f"{self.user}/{self.nonces}/{id(self)}".encode()).hexdigest()[:32]

    def root(self, name: str, static: str, mutable: str, body: str) -> str:
        return (
            f'<{name} xmlns="{NAMESPACE[self.version]}" xmlns:ds="{DS}" Version="{self.version}" Revision="1">'
            f'<header authenticate="true"><static>{static}</static><mutable>{mutable}</mutable></header>'
            f"<body>{body}</body></{name}>"
        )

    def who(self) -> str:
        return f"<PartnerID>{self.partner}</PartnerID><UserID>{self.user}</UserID>"

    def details(self, order_type: str, attribute: str, params: str) -> str:
        if self.version == "H005":
            return f"<OrderDetails><AdminOrderType>{order_type}</AdminOrderType>{params}</OrderDetails>"
        inside = f"<OrderType>{order_type}</OrderType><OrderAttribute>{attribute}</OrderAttribute>{params}"
        return f"<OrderDetails>{inside}</OrderDetails>"

    def signed(self, text: str) -> bytes:
        return sign_message(etree.fromstring(text.encode()), self.key("X"))

    # key management --------------------------------------------------------------------------------------------------------

    def key_value(self, use: str) -> str:
        key = self.own(use)
        if key.certificate is not None:
            return f"<ds:X509Data><ds:X509Certificate>{b64(key.certificate)}</ds:X509Certificate></ds:X509Data>"
        n = b"\x00" + key.public.public_numbers().n.to_bytes(256, "big")
        return (
            f"<PubKeyValue><ds:RSAKeyValue><ds:Modulus>{b64(n)}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue>"
            "</PubKeyValue>"
        )

    def key_data(self, order_type: str) -> str:
        """The order data of INI, HIA, H3K, PUB, HCA, HCS."""
        infix = "Certificate" if order_type == "H3K" else "PubKey"
        info = {
            use: f"<{name}{infix}Info>{self.key_value(use)}"
            f"<{name}Version>{self.own(use).version}</{name}Version></{name}{infix}Info>"
            for use, name in (("A", "Signature"), ("X", "Authentication"), ("E", "Encryption"))
        }
        namespace = NAMESPACE[self.version]
        if order_type in {"INI", "PUB"}:
            name, parts, namespace = "SignaturePubKeyOrderData", info["A"], SIGNATURE_NAMESPACE[self.version]
        elif order_type == "H3K":
            name, parts = "H3KRequestOrderData", info["A"] + info["X"] + info["E"]
        elif order_type == "HCS":
            signature = info["A"].replace(
                "<SignaturePubKeyInfo>", f'<SignaturePubKeyInfo xmlns="{SIGNATURE_NAMESPACE[self.version]}">'
            )
            name, parts = "HCSRequestOrderData", info["X"] + info["E"] + signature
        else:
            name, parts = f"{order_type}RequestOrderData", info["X"] + info["E"]
        return f'<{name} xmlns="{namespace}" xmlns:ds="{DS}">{parts}{self.who()}</{name}>'

    def unsecured(self, order_type: str, data: str | None = None, attribute: str = "DZNNN") -> bytes:
        text = self.key_data(order_type) if data is None else data
        static = f"<HostID>{self.host}</HostID>{self.who()}{self.details(order_type, attribute, '')}"
        order_data = b64(zlib.compress(text.encode()))
        body = f"<DataTransfer><OrderData>{order_data}</OrderData></DataTransfer>"
        return self.root("ebicsUnsecuredRequest", f"{static}<SecurityMedium>0000</SecurityMedium>", "", body).encode()

    def hpb(self) -> bytes:
        static = (
            f"<HostID>{self.host}</HostID><Nonce>{self.nonce()}</Nonce><Timestamp>{now()}</Timestamp>{self.who()}"
            f"{self.details('HPB', 'DZHNN', '')}<SecurityMedium>0000</SecurityMedium>"
        )
        return self.signed(self.root("ebicsNoPubKeyDigestsRequest", static, "", ""))

    # transactions ----------------------------------------------------------------------------------------------------------

    def digests(self) -> str:
        one, two = (b64(self.bank[name].digest(self.digest_kind)) for name in ("X002", "E002"))
        return (
            f'<BankPubKeyDigests><Authentication Version="X002" Algorithm="{SHA256}">{one}</Authentication>'
            f'<Encryption Version="E002" Algorithm="{SHA256}">{two}</Encryption></BankPubKeyDigests>'
        )

    def init_text(
        self,
        order_type: str,
        params: str,
        *,
        attribute: str = "DZHNN",
        segments: int | None = None,
        body: str = "",
        stamp: str = "",
    ) -> str:
        count = "" if segments is None else f"<NumSegments>{segments}</NumSegments>"
        static = (
            f"<HostID>{self.host}</HostID><Nonce>{self.nonce()}</Nonce><Timestamp>{stamp or now()}</Timestamp>{self.who()}"
            f"{self.details(order_type, attribute, params)}{self.digests()}<SecurityMedium>0000</SecurityMedium>{count}"
        )
        return self.root("ebicsRequest", static, "<TransactionPhase>Initialisation</TransactionPhase>", body)

    def download(self, order_type: str, params: str = "<StandardOrderParams/>") -> bytes:
        return self.signed(self.init_text(order_type, params))

    def signature_data(self, digest: bytes, signers: "list[Client] | None" = None) -> str:
        entries = "".join(
            f"<OrderSignatureData><SignatureVersion>{signer.process}</SignatureVersion><SignatureValue>"
            f"{b64(sign_order(signer.process, signer.key('A'), digest))}</SignatureValue>{signer.who()}</OrderSignatureData>"  # type: ignore[arg-type]
            for signer in signers or [self]
        )
        return f'<UserSignatureData xmlns="{SIGNATURE_NAMESPACE[self.version]}">{entries}</UserSignatureData>'

    def transfer_head(self, digest: bytes, signatures: str | None = None, declared: bytes | None = None) -> str:
        """The body of an upload's beginning."""
        name = b64(self.bank["E002"].digest(self.digest_kind))
        wrapped = b64(wrapped_key(self.bank["E002"].public, TRANSACTION_KEY))
        text = self.signature_data(digest) if signatures is None else signatures
        data_digest = ""
        if self.version == "H005":
            shown = digest if declared is None else declared
            data_digest = f'<DataDigest SignatureVersion="{self.process}">{b64(shown)}</DataDigest>'
        return (
            f'<DataTransfer><DataEncryptionInfo authenticate="true"><EncryptionPubKeyDigest Version="E002" Algorithm="{SHA256}">'
            f"{name}</EncryptionPubKeyDigest><TransactionKey>{wrapped}</TransactionKey></DataEncryptionInfo>"
            f'<SignatureData authenticate="true">{encrypted_whole(text.encode(), TRANSACTION_KEY).decode()}</SignatureData>'
            f"{data_digest}</DataTransfer>"
        )

    def step(self, phase: str, transaction: str, more: str = "", body: str = "") -> bytes:
        static = f"<HostID>{self.host}</HostID><TransactionID>{transaction}</TransactionID>"
        return self.signed(self.root("ebicsRequest", static, f"<TransactionPhase>{phase}</TransactionPhase>{more}", body))

    def segment(self, transaction: str, number: int, *, last: bool, data: bytes | None = None) -> bytes:
        more = f'<SegmentNumber lastSegment="{str(last).lower()}">{number}</SegmentNumber>'
        body = "" if data is None else f"<DataTransfer><OrderData>{data.decode()}</OrderData></DataTransfer>"
        return self.step("Transfer", transaction, more, body)

    def receipt(self, transaction: str, code: int = 0) -> bytes:
        body = f'<TransferReceipt authenticate="true"><ReceiptCode>{code}</ReceiptCode></TransferReceipt>'
        return self.step("Receipt", transaction, body=body)

    # answers ---------------------------------------------------------------------------------------------------------------

    def unwrap(self, answer: bytes) -> bytes:
        """The transaction key of an answer with order data, by our E002 key."""
        wrapped = base64.b64decode(find(answer, "TransactionKey"))
        return self.key("E")._key.decrypt(wrapped, PKCS1v15())  # type: ignore[union-attr,no-any-return,call-arg]

    def opened(self, *answers: bytes) -> bytes:
        """The order data of a download, from all its answers."""
        texts = [text.encode() for answer in answers for text in local_texts(answer, "OrderData")]
        return b"".join(decrypted(texts, self.unwrap(answers[0])))

    def proves(self, answer: bytes) -> None:
        """The answer is the bank's own. Raises `BadSeal`."""
        verify_message(etree.fromstring(answer), self.bank["X002"].public)


@cache
def _certificate(version: Any, name: str) -> x509.Certificate:
    return ebics_certificate(version, soft_key(name), Subject(common_name="Tester"), on=datetime.now(UTC), days=10)


def thumbprint(certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).fingerprint(hashes.SHA256())


def cut(data: bytes, chars: int = 1_000_000) -> list[bytes]:
    """The segments of order data under the writer's transaction key."""
    return list(segments(encrypted((data,), TRANSACTION_KEY), chars))


def digest_of(data: bytes) -> bytes:
    return order_digest((data,))
