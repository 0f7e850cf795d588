"""The seal of CMB 云直联: JSON signed by SM2 in a place of its own, then encrypted by SM4.

A request goes in with a placeholder where its signature belongs; what comes out is the Base64 text of the form field DATA.
The other way the signature of the bank is cut out, the placeholder put back, and what was signed verified: the text as it came,
or the same content with sorted keys, because the two programs that are known do one each.

Source: two independent programs against this interface, and a vector computed from them (the notes of this project on CMB 云直联,
sections 1 and 2). The vector proves that this reading is consistent, and only the bank can prove that it is right.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final

from keys import sm
from keys.seal import BadSeal, KeyUnavailable
from keys.sm import Sm4Key, SmPrivateKey
from keys.sm_keys import SmIdentity

PLACEHOLDER: Final = "__signature_sigdat__"
CONTENT_BYTES_MAX: Final = 64 * 1024 * 1024
_SIGDAT: Final = re.compile(r'"sigdat"\s*:\s*"((?:[^"\\]|\\.){0,1000})"')
_UNSIGNED: Final = f'"sigdat":"{PLACEHOLDER}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class CmbCloudKeys:
    """What both directions need. `user_id`: the login user filled up to 16 bytes; the vector of SM4 too."""

    user_id: bytes
    bank_user_id: bytes  # under which the bank signs
    signing: SmPrivateKey
    bank: tuple[SmIdentity, ...]  # pinned; several around a change
    secret: Sm4Key = field(repr=False)


class CmbCloudSeal:
    """A `keys.seal.Seal`. `keys` is asked at each use, and opens keys when it is first asked; `clock` says when
    a certificate of the bank is judged."""

    def __init__(self, keys: Callable[[], CmbCloudKeys], clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._clock = clock

    @property
    def kind(self) -> str:
        return "cmb_cloud"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """A JSON object with the placeholder as its `sigdat` → Base64. Raises `KeyUnavailable`; `ValueError` for another text."""
        keys = self._keys()
        text = canonical(parsed(source.read().decode("utf-8")))
        if text.count(_UNSIGNED) != 1:
            raise ValueError("the request has no place for its signature, or more than one")
        signature = base64.b64encode(sm.sign(text.encode(), keys.signing, keys.user_id, "raw")).decode("ascii")
        signed = text.replace(_UNSIGNED, f'"sigdat":"{signature}"')
        out.write(base64.b64encode(sm.sm4_encrypt(signed.encode(), keys.secret, "cbc", keys.user_id)))

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """Base64 → the JSON text as it was encrypted, once it is verified. Raises `BadSeal`, `KeyUnavailable`."""
        keys = self._keys()
        sealed = source.read(CONTENT_BYTES_MAX * 2)
        if len(sealed) >= CONTENT_BYTES_MAX * 2:
            raise BadSeal("content.too-large", f"more than {CONTENT_BYTES_MAX} bytes")
        try:
            encrypted = base64.b64decode(b"".join(sealed.split()), validate=True)
        except (binascii.Error, ValueError):
            raise BadSeal("structure", "the reply is no Base64") from None
        content = sm.sm4_decrypt(encrypted, keys.secret, "cbc", keys.user_id)
        _verify(content, keys, self._clock())
        out.write(content)


def _verify(content: bytes, keys: CmbCloudKeys, on: datetime) -> None:
    """Raises `BadSeal` unless one of the bank's keys signed this text, or its content with sorted keys."""
    try:
        text = content.decode("utf-8")
        value = parsed(text)
        signature = base64.b64decode(value["signature"]["sigdat"], validate=True)
        value["signature"]["sigdat"] = PLACEHOLDER
        by_itself = canonical(value).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadSeal("structure", "what was decrypted is no JSON object with a signature, or says a name twice") from None
    places = list(_SIGDAT.finditer(text))
    if len(places) != 1:
        raise BadSeal("structure", "the reply has more than one place for a signature")
    start, end = places[0].span(1)
    as_it_came = (text[:start] + PLACEHOLDER + text[end:]).encode()
    for key in keys.bank:
        if any(sm.verify(signature, signed, key.public, keys.bank_user_id, "raw") for signed in (as_it_came, by_itself)):
            if reason := key.problem(on):
                raise BadSeal("signer.expired", f"the signature holds, but {reason}")
            return
    raise BadSeal("signature.invalid", "the signature was not made over this by a pinned key of the bank")


class _Number(str):
    """A number as it is written: 1.10 stays 1.10."""

    __slots__ = ()


def parsed(text: str) -> dict[str, Any]:
    """A JSON object, its numbers kept as they are written. Raises `ValueError`, also where a name stands twice in an object."""
    value = json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_refuse, object_pairs_hook=_once)
    if isinstance(value, dict):
        return value
    raise ValueError("no JSON object")


def canonical(value: object) -> str:
    """The text that is signed: keys sorted by their characters at every level, no blanks, nothing escaped that need not be
    (writers that make `\\u003c` of `<` break the signature)."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(name)}:{canonical(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, _Number):
        return str(value)
    return _quoted(value)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no number")


def padded(uid: str) -> bytes:
    """The login user as user id of SM2 and vector of SM4: filled up with "0" to 16 bytes. Raises `KeyUnavailable`."""
    user = uid.encode("ascii")
    if not 1 <= len(user) <= sm.SM4_BYTES:
        raise KeyUnavailable(f"uid: a login user of CMB 云直联 has 1 to {sm.SM4_BYTES} characters")
    return user.ljust(sm.SM4_BYTES, b"0")
