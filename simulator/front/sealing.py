"""A sign service as the NC products of ICBC and SPDB have one: INFOSEC_SIGN/1.0 and INFOSEC_VERIFY_SIGN/1.0.

The real products make PKCS#7; what they sign is opaque to us, so this one wraps the text with a MAC, reversibly. Signed content
of anybody else is refused. The customer's signatures and the bank's are told apart.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final, Literal

from simulator.front.bank import Incoming, Outgoing

Signer = Literal["customer", "bank"]

SIGN: Final = "INFOSEC_SIGN/1.0"
SIGN_RESULT: Final = "INFOSEC_SIGN_RESULT/1.0"
VERIFY: Final = "INFOSEC_VERIFY_SIGN/1.0"
VERIFY_RESULT: Final = "INFOSEC_VERIFY_SIGN_RESULT/1.0"
_MAC: Final = 32


class NotSigned(ValueError):
    """The content was not signed by whom it should be, or was altered."""


def wrap(text: bytes, secret: str, signer: Signer) -> str:
    """Signed content, Base64 in one line."""
    return base64.b64encode(_mac(text, secret, signer) + text).decode()


def unwrap(content: str, secret: str, signer: Signer) -> bytes:
    """The text in it. Line breaks do not count. Raises `NotSigned`."""
    try:
        raw = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotSigned("signed content is Base64") from error
    if not hmac.compare_digest(raw[:_MAC], _mac(raw[_MAC:], secret, signer)):
        raise NotSigned("not signed by this key, or altered")
    return raw[_MAC:]


def _mac(text: bytes, secret: str, signer: Signer) -> bytes:
    return hmac.digest(secret.encode(), signer.encode() + b"\0" + text, hashlib.sha256)


def serve(incoming: Incoming, secret: str) -> Outgoing:
    """One exchange with the sign service: its signature is the customer's, what it verifies is the bank's."""
    kind = incoming.content_type.strip()
    if kind == SIGN:
        return _page("签名结果", 0, "sign", wrap(incoming.body, secret, "customer").encode(), SIGN_RESULT)
    if kind == VERIFY:
        try:
            clear = unwrap(incoming.body.decode("ascii"), secret, "bank")
        except (NotSigned, UnicodeDecodeError):
            return _page("验签结果", -10026, "sic", b"", VERIFY_RESULT)
        return _page("验签结果", 0, "sic", clear, VERIFY_RESULT)
    return Outgoing(body="不支持的请求类型".encode("gbk"), content_type="text/plain; charset=GBK", status=400)


def _page(title: str, result: int, tag: str, content: bytes, kind: str) -> Outgoing:
    head = f"<html>\n<head>\n<title>{title}</title>\n<result>{result}</result>\n</head>\n<body>\n<{tag}>".encode("gbk")
    return Outgoing(body=head + content + f"</{tag}>\n</body>\n</html>\n".encode(), content_type=kind)
