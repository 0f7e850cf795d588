"""What an OpenPGP key file holds, read without gpg: fingerprints, and whether its private parts are encrypted.

gpg judges keys, signatures and dates. This file answers only what must be known before a key file is handed to it: whose keys are
in there, and whether private key material is protected by a passphrase, because what is not would come to rest in clear.

Sources: RFC 4880 (OpenPGP), sections 4.2 (packets), 5.5 (keys), 6.2 (armour), 12.2 (fingerprints); RFC 6637, section 9 (elliptic
curves); GnuPG's doc/DETAILS, "Format of the secret key" (private parts that are elsewhere: S2K 101).
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keys.seal import KeyUnavailable

_SECRET_KEY, _PUBLIC_KEY, _SECRET_SUBKEY, _PUBLIC_SUBKEY = 5, 6, 7, 14
_KEYS: Final = {_SECRET_KEY, _PUBLIC_KEY, _SECRET_SUBKEY, _PUBLIC_SUBKEY}
_SECRET: Final = {_SECRET_KEY, _SECRET_SUBKEY}

# How many numbers the public part has, by algorithm: RSA, Elgamal, DSA.
_NUMBERS: Final = {1: 2, 2: 2, 3: 2, 16: 3, 17: 4}
_ECDH: Final = 18
_CURVES: Final = {_ECDH, 19, 22}  # ECDH, ECDSA, EdDSA: a curve, then one number

_GNU_DIVERTED: Final = 101  # S2K of GnuPG's own: the private part is not in this file
_ARMOUR: Final = re.compile(rb"-----BEGIN PGP (?:PUBLIC|PRIVATE) KEY BLOCK-----\s*?\n(.*?)\n-----END PGP ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A primary key or a subkey in a key file. Fingerprints are 40 capital hexadecimal digits."""

    fingerprint: str
    primary: str
    secret: bool  # a private part is in the file
    protected: bool  # … and encrypted by a passphrase, or not really there (an offline primary key, a card)

    @property
    def key_id(self) -> str:
        """The 16 digits by which gpg names keys in its status lines (RFC 4880, 12.2)."""
        return self.fingerprint[-16:]


def keys_in(name: str, data: bytes) -> tuple[FoundKey, ...]:
    """Every key of a file, armoured or binary, in its order. Raises `KeyUnavailable`, which calls the file `name`."""
    found: list[FoundKey] = []
    primary = ""
    try:
        for tag, body in _packets(packets_of(data)):
            if tag not in _KEYS:
                continue
            public = _public_part(body)
            fingerprint = _fingerprint(public)
            if tag in {_SECRET_KEY, _PUBLIC_KEY}:
                primary = fingerprint
            elif not primary:
                raise ValueError("a subkey without its primary key")
            secret = tag in _SECRET
            found.append(FoundKey(fingerprint, primary, secret, secret and _is_protected(body, len(public))))
    except (ValueError, IndexError):
        raise KeyUnavailable(
            f"{name}: this is no OpenPGP key that can be used (version 4, RSA or elliptic curve), or it is damaged; "
            "write it anew: gpg --armor --export FINGERPRINT, or --export-secret-keys"
        ) from None
    if not found:
        raise KeyUnavailable(f"{name}: there is no OpenPGP key in it")
    return tuple(found)


def _fingerprint(public: bytes) -> str:
    """Of a version 4 key (RFC 4880, 12.2), which is SHA-1 by its definition."""
    return hashlib.sha1(b"\x99" + len(public).to_bytes(2, "big") + public, usedforsecurity=False).hexdigest().upper()


def own_keys_in(name: str, data: bytes) -> tuple[FoundKey, ...]:
    """As `keys_in`, for a file with private keys. Raises `KeyUnavailable` where there are none, or one of them in clear."""
    found = keys_in(name, data)
    if not any(key.secret for key in found):
        raise KeyUnavailable(f"{name}: no private key is in it; write it anew: gpg --armor --export-secret-keys FINGERPRINT")
    if clear := [key.fingerprint for key in found if key.secret and not key.protected]:
        raise KeyUnavailable(
            f"{name}: the private key {clear[0]} is not protected by a passphrase; give it one (gpg --change-passphrase "
            f"{clear[0]}), write it anew, and destroy this file"
        )
    return found


def packets_of(data: bytes) -> bytes:
    """The packets of all armoured blocks, or the data itself where it is binary. Raises `ValueError`."""
    if data[:1] and data[0] & 0x80:
        return data
    packets = b""
    for block in _ARMOUR.findall(data):
        lines = [line.strip() for line in block.split(b"\n")]
        start = next((at + 1 for at, line in enumerate(lines) if not line), 0)  # an empty line ends the headers
        text = b"".join(line for line in lines[start:] if line[:1] != b"=")  # the CRC-24 is gpg's to check
        packets += base64.b64decode(text, validate=True)
    return packets


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet. Raises `ValueError` or `IndexError` where they are cut short or of unknown length."""
    at = 0
    while at < len(data):
        first = data[at]
        if not first & 0x80:
            raise ValueError("no packet starts here")
        if first & 0x40:
            tag = first & 0x3F
            length, at = _new_length(data, at + 1)
        else:
            tag, octets = first >> 2 & 0x0F, 1 << (first & 3)
            if octets == 8:
                raise ValueError("a key packet states its length")
            length, at = int.from_bytes(data[at + 1 : at + 1 + octets], "big"), at + 1 + octets
        if at + length > len(data):
            raise ValueError("a packet is longer than the file")
        yield tag, data[at : at + length]
        at += length


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """Length and where the body starts (RFC 4880, 4.2.2)."""
    first = data[at]
    if first < 192:
        return first, at + 1
    if first < 224:
        return (first - 192 << 8) + data[at + 1] + 192, at + 2
    if first == 255:
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    raise ValueError("a key packet does not come in parts")


def _public_part(body: bytes) -> bytes:
    """What a key packet has before its private part (RFC 4880, 5.5.2). Raises `ValueError` for other versions and algorithms."""
    if body[0] != 4:
        raise ValueError("not version 4")
    algorithm, at = body[5], 6
    if algorithm in _CURVES:
        at += 1 + body[at]  # the curve
        at = _after_number(body, at)
        if algorithm == _ECDH:
            at += 1 + body[at]  # key derivation
    elif algorithm in _NUMBERS:
        for _ in range(_NUMBERS[algorithm]):
            at = _after_number(body, at)
    else:
        raise ValueError("unknown algorithm")
    if at > len(body):
        raise ValueError("a key packet is cut short")
    return body[:at]


def _after_number(body: bytes, at: int) -> int:
    return at + 2 + (int.from_bytes(body[at : at + 2], "big") + 7) // 8


def _is_protected(body: bytes, at: int) -> bool:
    """Whether the private part is encrypted, or elsewhere (RFC 4880, 5.5.3)."""
    usage = body[at]
    if usage in {254, 255}:
        return body[at + 2] != _GNU_DIVERTED or body[at + 7] in {1, 2}  # "GNU", then 1: not there, 2: on a card
    return usage != 0
