"""Signed requests of payment interfaces that are no files: Alipay's RSA2 and WeChat Pay's WECHATPAY2-SHA256-RSA2048.

No seals: a request has its signature in a parameter or a header, and an answer in another. Pure; keys come from pinned
certificates or public keys, and private keys are asked to sign. For channels to come.

Sources: Alipay OpenAPI, 自行实现签名 and 异步通知验签 (sign_type RSA2); WeChat Pay APIv3, 签名生成, 签名验证 and
证书和回调报文解密.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.algorithms import SignatureScheme
from keys.keyring import Certificate, OwnKey, PublicKey
from keys.seal import BadSeal, KeyUnavailable
from keys.wire import check_validity, signer_on

SCHEME: Final = SignatureScheme("rsa-pkcs1", "sha256")
_SKEW: Final = timedelta(minutes=5)


def _sign(key: OwnKey, on: datetime, text: bytes) -> str:
    if not isinstance(key.certificate.public_key, rsa.RSAPublicKey):
        raise KeyUnavailable(f"{key.certificate.name}: this interface is signed with RSA keys only")
    return base64.b64encode(signer_on(key, on).open().sign(SCHEME, text)).decode("ascii")


def _verify(key: PublicKey, text: bytes, signature: str) -> None:
    try:
        value = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise BadSeal("structure", "the signature is no base64") from None
    if not SCHEME.verifies(key, value, text):
        raise BadSeal("signature.invalid", "the signature was not made over this by the pinned key")


# ---- Alipay -----------------------------------------------------------------------------------------------------------


def alipay_text(parameters: Mapping[str, str], *without: str) -> bytes:
    """What is signed: parameters that are not empty and not in `without`, sorted by name, as `k=v` joined by `&`, and not
    URL-encoded."""
    kept = sorted((name, value) for name, value in parameters.items() if value and name not in without)
    return "&".join(f"{name}={value}" for name, value in kept).encode("utf-8")


def alipay_certificate_number(certificate: Certificate) -> str:
    """`app_cert_sn` and `alipay_cert_sn`: MD5 in hexadecimal of the issuer (RFC 2253, most specific first) and the decimal serial
    number. A name for a certificate, and no proof of anything."""
    named = certificate.parsed.issuer.rfc4514_string() + str(certificate.parsed.serial_number)
    return hashlib.md5(named.encode("utf-8"), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alipay:
    """RSA2: requests signed, answers and notices verified. `pinned`: Alipay's certificates; in a rotation several."""

    own: OwnKey
    pinned: tuple[Certificate, ...]

    def sign(self, parameters: Mapping[str, str], on: datetime) -> dict[str, str]:
        """The parameters of a request with `sign_type` and `sign`. Raises `KeyUnavailable`."""
        said = {name: value for name, value in parameters.items() if value and name != "sign"} | {"sign_type": "RSA2"}
        return said | {"sign": _sign(self.own, on, alipay_text(said, "sign"))}

    def answer(self, body: bytes, method: str, on: datetime) -> dict[str, Any]:
        """What an answer says, of which every byte was signed: the node is cut out of the body as it is written, and verified
        before it is read. `method`: of the request. Raises `BadSeal`.

        An answer without a signature, as Alipay sends for some faults of the request, says nothing that can be believed.
        """
        node_name = f"{method.replace('.', '_')}_response"
        nodes = _raw_members(body)
        if "sign" not in nodes:
            raise BadSeal("signature.missing", "the answer is not signed")
        if node_name not in nodes or set(nodes) - {node_name, "sign", "alipay_cert_sn"}:
            raise BadSeal(
                "structure", "the answer does not consist of the one node that belongs to the request, and its signature"
            )
        node, signature = nodes[node_name], _string(nodes["sign"])
        number = _string(nodes["alipay_cert_sn"]) if "alipay_cert_sn" in nodes else None
        self._verify(node.encode("utf-8"), signature, number, on)
        content = json.loads(node, object_pairs_hook=_no_name_twice)
        if not isinstance(content, dict):
            raise BadSeal("structure", "the node of the answer is no object")
        return content

    def notice(self, form: Mapping[str, str], on: datetime) -> dict[str, str]:
        """What an asynchronous notice says: its form fields, URL-decoded, without the signature. Raises `BadSeal`."""
        if form.get("sign_type") != "RSA2":
            raise BadSeal("algorithm.refused", "the notice is not signed by RSA2; RSA with SHA-1 is not accepted")
        if "sign" not in form:
            raise BadSeal("signature.missing", "the notice is not signed")
        self._verify(alipay_text(form, "sign", "sign_type"), form["sign"], form.get("alipay_cert_sn"), on)
        return {name: value for name, value in form.items() if name not in {"sign", "sign_type"}}

    def _verify(self, text: bytes, signature: str, number: str | None, on: datetime) -> None:
        found = tuple(known for known in self.pinned if number in (None, alipay_certificate_number(known)))
        if not found:
            raise BadSeal("signer.unknown", "it names a certificate of Alipay that is not pinned")
        for at, known in enumerate(found):
            try:
                _verify(known.public_key, text, signature)
            except BadSeal:
                if at == len(found) - 1:
                    raise
            else:
                check_validity((known,), on)
                return


def _raw_members(body: bytes) -> dict[str, str]:
    """The members of a JSON object with their values as they are written. Raises `BadSeal`."""
    try:
        text = body.decode("utf-8")
        decoder = json.JSONDecoder(object_pairs_hook=_no_name_twice)
        members: dict[str, str] = {}
        at = _expect(text, _blanks(text, 0), "{")
        while True:
            name, at = decoder.raw_decode(text, _blanks(text, at))
            start = _blanks(text, _expect(text, _blanks(text, at), ":"))
            _, at = decoder.raw_decode(text, start)
            if not isinstance(name, str) or name in members:
                raise ValueError("a name stands twice")
            members[name] = text[start:at]
            at = _blanks(text, at)
            if text[at : at + 1] != ",":
                break
            at += 1
        if text[_expect(text, at, "}") :].strip(" \t\r\n"):
            raise ValueError("something stands behind the object")
    except (ValueError, RecursionError):
        raise BadSeal("structure", "the answer is no JSON object, or says a name twice") from None
    return members


def _blanks(text: str, at: int) -> int:
    while text[at : at + 1] in {" ", "\t", "\r", "\n"}:
        at += 1
    return at


def _expect(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark} is missing")
    return at + 1


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _string(raw: str) -> str:
    found = json.loads(raw)
    if not isinstance(found, str):
        raise BadSeal("structure", "the signature and the number of the certificate are strings")
    return found


# ---- WeChat Pay -------------------------------------------------------------------------------------------------------

WECHATPAY_SCHEMA: Final = "WECHATPAY2-SHA256-RSA2048"


def wechatpay_request_text(method: str, path_and_query: str, timestamp: int, nonce: str, body: bytes) -> bytes:
    """What is signed of a request: five lines, each with its line feed, also after an empty body."""
    return f"{method}\n{path_and_query}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def wechatpay_answer_text(timestamp: str, nonce: str, body: bytes) -> bytes:
    """What is signed of an answer or a notice: three lines, each with its line feed."""
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class WechatPay:
    """APIv3: requests signed, answers and notices verified, notices decrypted.

    `pinned`: WeChat Pay's platform certificates and public keys (微信支付公钥), by the name that `Wechatpay-Serial` gives: the
    serial number in upper-case hexadecimal, or "PUB_KEY_ID_…". `api_key`: the 32 bytes of the APIv3 key.
    """

    merchant: str
    own: OwnKey
    pinned: Mapping[str, Certificate | PublicKey]
    api_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.api_key) != 32:
            raise KeyUnavailable("the APIv3 key has 32 bytes; this one has another length")

    def authorization(self, method: str, path_and_query: str, body: bytes, *, on: datetime, nonce: str) -> str:
        """The value of the header `Authorization` of a request. `nonce`: fresh, at most 32 letters and digits. Raises
        `KeyUnavailable`."""
        timestamp = int(on.timestamp())
        signature = _sign(self.own, on, wechatpay_request_text(method, path_and_query, timestamp, nonce, body))
        return (
            f'{WECHATPAY_SCHEMA} mchid="{self.merchant}",nonce_str="{nonce}",signature="{signature}",'
            f'timestamp="{timestamp}",serial_no="{self.own.certificate.parsed.serial_number:X}"'
        )

    def verify(self, headers: Mapping[str, str], body: bytes, on: datetime) -> None:
        """Raises `BadSeal` unless a pinned key signed this answer or notice within five minutes of now. Header names in any case.

        The signature is judged before the time: an old one is said to be old only if it is theirs ("message.stale").
        """
        found = {name.lower(): value for name, value in headers.items()}
        names = ("timestamp", "nonce", "signature", "serial")
        values = [found.get(f"wechatpay-{name}", "") for name in names]
        if not all(values):
            raise BadSeal("signature.missing", "the headers of the signature are not all there")
        timestamp, nonce, signature, serial = values
        if serial not in self.pinned:
            raise BadSeal("signer.unknown", "it names a key of WeChat Pay that is not pinned")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise BadSeal("structure", "the time of the signature is malformed")
        known = self.pinned[serial]
        key = known.public_key if isinstance(known, Certificate) else known
        _verify(key, wechatpay_answer_text(timestamp, nonce, body), signature)
        if isinstance(known, Certificate):
            check_validity((known,), on)
        if abs(on - datetime.fromtimestamp(int(timestamp), UTC)) > _SKEW:
            raise BadSeal("message.stale", "the signature holds, but was not made within five minutes of now: replayed, or late")

    def open_notice(self, body: bytes) -> bytes:
        """The content of a notice that `verify` has accepted: its `resource`, decrypted. Raises `BadSeal`."""
        try:
            resource = json.loads(body, object_pairs_hook=_no_name_twice)["resource"]
            algorithm = resource["algorithm"]
            nonce, associated = resource["nonce"].encode("utf-8"), (resource.get("associated_data") or "").encode("utf-8")
            content = base64.b64decode(resource["ciphertext"], validate=True)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadSeal("structure", "the notice has no resource, or a malformed one") from None
        if algorithm != "AEAD_AES_256_GCM":
            raise BadSeal("algorithm.refused", "the notice is not encrypted by AEAD_AES_256_GCM")
        if len(nonce) != 12 or len(content) < 16:
            raise BadSeal("structure", "the nonce or the content of the notice has the wrong length")
        try:
            return AESGCM(self.api_key).decrypt(nonce, content, associated)
        except InvalidTag:
            raise BadSeal("decryption.failed", "the notice is not for our APIv3 key, or was altered") from None
