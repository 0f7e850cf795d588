"""SM2, SM3 and SM4, the algorithms of Chinese banks: what seals and the dialects of banks are made of.

SM2 is done by GmSSL (package gmssl-pyx), SM3 and SM4 by OpenSSL (package cryptography). Forms vary from bank to bank, so each is
a word of its own here.

Sources: GB/T 32918.2 (SM2 signatures), .4 (encryption), .5 (curve, example), GB/T 35276 and GM/T 0009 (forms, default user id),
GB/T 32905 (SM3), GB/T 32907 (SM4), GB/T 17964 (modes).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Final, Literal, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from keys import der, sm_curve
from keys.seal import BadSeal, KeyUnavailable

DEFAULT_USER_ID: Final = b"1234567812345678"
"""The user id where bank and customer have agreed none (GM/T 0009, 10)."""

PLAIN_BYTES_MAX: Final = 255
"""How much GmSSL encrypts by SM2 at once. What is larger is encrypted by SM4, and its key by SM2."""

SignatureForm = Literal["der", "raw"]
"""SEQUENCE{r, s} as OpenSSL and Bouncy Castle write it; or r‖s, 64 bytes."""

CipherForm = Literal["der", "c1c3c2", "c1c2c3"]
"""SM2Cipher of GM/T 0009, 7.2, as OpenSSL writes it; or bare bytes in the order of the standard of 2012 and later, or before."""

_USER_ID_BYTES_MAX: Final = 8191  # its length in bits stands in two bytes
_COORDINATE: Final = 32
_DIGEST: Final = 32
_PREFIX: Final = b"\x04"


def library() -> ModuleType:
    """gmssl-pyx. Raises `KeyUnavailable` where it is not installed."""
    try:
        return import_module("gmssl_pyx")
    except ImportError:
        raise KeyUnavailable("SM2 needs the package gmssl-pyx: pip install bankgate[sm]") from None


@dataclass(frozen=True, slots=True)
class SmPublicKey:
    """A point on the curve: X‖Y, 64 bytes."""

    point: bytes

    @classmethod
    def of(cls, name: str, encoded: bytes) -> "SmPublicKey":
        """From 64 bytes X‖Y, 65 with the prefix 04, or 33 compressed. Raises `KeyUnavailable`, which calls the key `name`.

        The length decides, not the prefix: an X may begin with 04 too.
        """
        x = int.from_bytes(encoded[-2 * _COORDINATE : -_COORDINATE], "big")
        y: int | None = int.from_bytes(encoded[-_COORDINATE:], "big")
        if len(encoded) == 1 + _COORDINATE and encoded[0] in (2, 3):
            x = int.from_bytes(encoded[1:], "big")
            y = sm_curve.unpacked(x, odd=encoded[0] == 3)
        elif len(encoded) != 2 * _COORDINATE and not (len(encoded) == 1 + 2 * _COORDINATE and encoded[:1] == _PREFIX):
            y = None
        if y is None or not sm_curve.is_point(x, y):
            raise KeyUnavailable(f"{name}: this is no public key of SM2: no point on its curve")
        return cls(sm_curve.packed(x, y))


class SmPrivateKey:
    """A private key of SM2 in memory. Shows nothing of itself and is not copied out of its process."""

    __slots__ = ("_number", "public")

    def __init__(self, name: str, number: bytes, random_bytes: Callable[[int], bytes]) -> None:
        """From its 32 bytes. `random_bytes` blinds the computation of the public key. Raises `KeyUnavailable`."""
        value = int.from_bytes(number, "big")
        if len(number) != _COORDINATE or not 1 <= value <= sm_curve.N - 2:  # GB/T 32918.1, 6.1
            raise KeyUnavailable(f"{name}: this is no private key of SM2")
        self._number = number
        self.public = SmPublicKey(sm_curve.packed(*sm_curve.public_of(value, int.from_bytes(random_bytes(40), "big"))))

    def __repr__(self) -> str:
        return "<SM2 private key>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied out of its process")

    def sign_digest(self, digest: bytes) -> bytes:
        """The signature (DER) over e, the digest of user id, public key and message; see `Message`."""
        signature: bytes = library().sm2_sign_sm3_digest(self._number, digest)
        return signature

    def decrypt_der(self, encrypted: bytes) -> bytes:
        """What an SM2Cipher (DER) holds. Raises `BadSeal` ("decryption.failed")."""
        gmssl = library()
        try:
            plain: bytes = gmssl.sm2_decrypt(self._number, encrypted)
        except gmssl.GmsslInnerError:
            raise _not_decrypted() from None
        return plain

    def number(self) -> bytes:
        """The key itself, 32 bytes, for the file that writes it encrypted."""
        return self._number


def new_private_key(random_bytes: Callable[[int], bytes]) -> SmPrivateKey:
    """A fresh key pair. `random_bytes(n)` gives n unpredictable bytes."""
    value = int.from_bytes(random_bytes(_COORDINATE + 16), "big") % (sm_curve.N - 2) + 1  # 128 bits more: no bias that counts
    return SmPrivateKey("a new key", value.to_bytes(_COORDINATE, "big"), random_bytes)


# ---- SM3 --------------------------------------------------------------------------------------------------------------


def sm3(data: bytes) -> bytes:
    """The digest, 32 bytes."""
    hashing = hashes.Hash(hashes.SM3())
    hashing.update(data)
    return hashing.finalize()


def identity_digest(public: SmPublicKey, user_id: bytes = DEFAULT_USER_ID) -> bytes:
    """Z: the digest of user id, curve and public key (GB/T 32918.2, 5.5). Raises `ValueError` for a user id that is too long."""
    if len(user_id) > _USER_ID_BYTES_MAX:
        raise ValueError("the user id of SM2 is too long")
    curve = sm_curve.packed(sm_curve.A, sm_curve.B) + sm_curve.packed(sm_curve.GX, sm_curve.GY)
    return sm3((len(user_id) * 8).to_bytes(2, "big") + user_id + curve + public.point)


class Message:
    """A message being hashed for a signature: e = SM3(Z‖M) (GB/T 32918.2, 6.1). Streams."""

    def __init__(self, public: SmPublicKey, user_id: bytes = DEFAULT_USER_ID) -> None:
        self._hashing = hashes.Hash(hashes.SM3())
        self._hashing.update(identity_digest(public, user_id))

    def update(self, data: bytes) -> None:
        """The next piece."""
        self._hashing.update(data)

    def digest(self) -> bytes:
        """e. Ends the message."""
        return self._hashing.finalize()


# ---- SM2 signatures ---------------------------------------------------------------------------------------------------


def sign(data: bytes, key: SmPrivateKey, user_id: bytes = DEFAULT_USER_ID, form: SignatureForm = "der") -> bytes:
    """The signature SM3withSM2 over `data`. Raises `KeyUnavailable` without the library."""
    message = Message(key.public, user_id)
    message.update(data)
    signature = key.sign_digest(message.digest())
    return signature if form == "der" else raw_signature(signature)


def verify(
    signature: bytes, data: bytes, public: SmPublicKey, user_id: bytes = DEFAULT_USER_ID, form: SignatureForm = "der"
) -> bool:
    """Whether `signature` over `data` is by this key, in exactly this form."""
    message = Message(public, user_id)
    message.update(data)
    return verify_digest(signature, message.digest(), public, form)


def verify_digest(signature: bytes, digest: bytes, public: SmPublicKey, form: SignatureForm = "der") -> bool:
    """As `verify`, for a message hashed by `Message`."""
    try:
        r, s = _numbers(signature) if form == "der" else _halves(signature)
    except ValueError:
        return False
    if not (1 <= r < sm_curve.N and 1 <= s < sm_curve.N):
        return False
    holds: bool = library().sm2_verify_sm3_digest(public.point, digest, _signature(r, s))
    return holds


def raw_signature(signature: bytes) -> bytes:
    """r‖s from DER, each filled up to 32 bytes on the left. Raises `ValueError`."""
    return sm_curve.packed(*_numbers(signature))


def der_signature(signature: bytes) -> bytes:
    """DER from r‖s. Raises `ValueError`."""
    return _signature(*_halves(signature))


def _signature(r: int, s: int) -> bytes:
    return der.sequence(der.integer(r), der.integer(s))


def _numbers(signature: bytes) -> tuple[int, int]:
    """r and s of a signature that is DER and nothing but."""
    try:
        r, s = (node.as_integer() for node in der.parse(signature).expect(der.SEQUENCE, "a signature").children())
    except BadSeal as problem:
        raise ValueError("no signature in DER") from problem
    if not (0 <= r < 1 << 256 and 0 <= s < 1 << 256) or _signature(r, s) != signature:
        raise ValueError("no signature in DER")
    return r, s


def _halves(signature: bytes) -> tuple[int, int]:
    if len(signature) != 2 * _COORDINATE:
        raise ValueError("a raw signature of SM2 has 64 bytes")
    return int.from_bytes(signature[:_COORDINATE], "big"), int.from_bytes(signature[_COORDINATE:], "big")


# ---- SM2 encryption ---------------------------------------------------------------------------------------------------


def encrypt(data: bytes, public: SmPublicKey, form: CipherForm = "der", *, prefix: bool = True) -> bytes:
    """`data` (1 to 255 bytes) for the holder of a key. `prefix`: bare forms begin with 04.

    Raises `ValueError` for other sizes, `KeyUnavailable` without the library.
    """
    if not 1 <= len(data) <= PLAIN_BYTES_MAX:
        raise ValueError(f"SM2 encrypts 1 to {PLAIN_BYTES_MAX} bytes; encrypt more by SM4, and its key by SM2")
    encrypted: bytes = library().sm2_encrypt(public.point, data)
    if form == "der":
        return encrypted
    x, y, check, hidden = der.parse(encrypted).children()
    point = (_PREFIX if prefix else b"") + sm_curve.packed(x.as_integer(), y.as_integer())
    parts = (check.as_octets(), hidden.as_octets())
    return point + b"".join(parts if form == "c1c3c2" else reversed(parts))


def decrypt(encrypted: bytes, key: SmPrivateKey, form: CipherForm = "der") -> bytes:
    """What was encrypted for `key`; bare forms with or without 04. Raises `BadSeal` ("decryption.failed")."""
    return key.decrypt_der(encrypted if form == "der" else _cipher(encrypted, form))


def _cipher(encrypted: bytes, form: CipherForm) -> bytes:
    """SM2Cipher from bare bytes. Whether they begin with 04 is told by the point, which lies on the curve in one reading only."""
    for start in (1, 0) if encrypted[:1] == _PREFIX else (0,):
        x, y = (int.from_bytes(encrypted[at : at + _COORDINATE], "big") for at in (start, start + _COORDINATE))
        rest = encrypted[start + 2 * _COORDINATE :]
        if sm_curve.is_point(x, y) and len(rest) > _DIGEST:
            at = _DIGEST if form == "c1c3c2" else len(rest) - _DIGEST
            check, hidden = (rest[:at], rest[at:]) if form == "c1c3c2" else (rest[at:], rest[:at])
            numbers = der.integer(x), der.integer(y)
            return der.sequence(*numbers, der.tlv(der.OCTET_STRING, check), der.tlv(der.OCTET_STRING, hidden))
    raise _not_decrypted()


def _not_decrypted() -> BadSeal:
    return BadSeal("decryption.failed", "SM2 does not decrypt this: it was altered, is for another key, or in another form")


# ---- SM4 --------------------------------------------------------------------------------------------------------------

SM4_BYTES: Final = 16
"""Of a key, of a block, and of the initialisation vector of CBC."""

GCM_NONCE_BYTES: Final = 12
GCM_TAG_BYTES: Final = 16

Sm4Mode = Literal["cbc", "ecb"]


@dataclass(frozen=True, slots=True)
class Sm4Key:
    """A key of SM4, 16 bytes. Raises `ValueError` for another size."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SM4_BYTES:
            raise ValueError("a key of SM4 has 16 bytes")

    def cbc(self, vector: bytes) -> Cipher[modes.CBC]:
        """For streaming, without padding. Raises `ValueError` where the vector has not 16 bytes."""
        return Cipher(algorithms.SM4(self.secret), modes.CBC(vector))

    def gcm(self, nonce: bytes) -> Cipher[modes.GCM]:
        """For streaming."""
        return Cipher(algorithms.SM4(self.secret), modes.GCM(nonce))

    def cipher(self, mode: Sm4Mode, vector: bytes | None) -> Cipher[modes.CBC] | Cipher[modes.ECB]:
        """Without padding. Raises `ValueError` for a missing, surplus or malformed vector."""
        if mode == "ecb" and vector is None:
            return Cipher(algorithms.SM4(self.secret), modes.ECB())  # noqa: S305  # some banks ask for it, see `sm4_encrypt`
        if mode == "cbc" and vector is not None:
            return self.cbc(vector)
        raise ValueError("SM4-CBC needs an initialisation vector, SM4-ECB takes none")


def sm4_encrypt(data: bytes, key: Sm4Key, mode: Sm4Mode, vector: bytes | None = None) -> bytes:
    """By CBC or ECB with PKCS #7 padding. CBC needs the `vector`, 16 bytes. ECB shows which blocks are equal: only where a bank
    asks for it."""
    padder = PKCS7(8 * SM4_BYTES).padder()
    encryptor = key.cipher(mode, vector).encryptor()
    return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


def sm4_decrypt(encrypted: bytes, key: Sm4Key, mode: Sm4Mode, vector: bytes | None = None) -> bytes:
    """Undoes `sm4_encrypt`. Raises `BadSeal` ("decryption.failed"). Without a signature this proves nothing, and its failures
    must not be told to the sender (padding oracle)."""
    decryptor = key.cipher(mode, vector).decryptor()
    unpadder = PKCS7(8 * SM4_BYTES).unpadder()
    try:
        return unpadder.update(decryptor.update(encrypted) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise _wrong_sm4() from None


def sm4_gcm_encrypt(data: bytes, key: Sm4Key, nonce: bytes, associated: bytes = b"") -> bytes:
    """Encrypted content and its tag of 16 bytes (RFC 8998). A `nonce` (12 bytes) serves once under a key."""
    encryptor = key.gcm(nonce).encryptor()
    encryptor.authenticate_additional_data(associated)
    return encryptor.update(data) + encryptor.finalize() + encryptor.tag


def sm4_gcm_decrypt(encrypted: bytes, key: Sm4Key, nonce: bytes, associated: bytes = b"") -> bytes:
    """Undoes `sm4_gcm_encrypt`. Raises `BadSeal` ("decryption.failed")."""
    if len(encrypted) < GCM_TAG_BYTES:
        raise _wrong_sm4()
    content, tag = encrypted[:-GCM_TAG_BYTES], encrypted[-GCM_TAG_BYTES:]
    decryptor = key.gcm(nonce).decryptor()
    decryptor.authenticate_additional_data(associated)
    try:
        return decryptor.update(content) + decryptor.finalize_with_tag(tag)
    except InvalidTag:
        raise _wrong_sm4() from None


def _wrong_sm4() -> BadSeal:
    return BadSeal("decryption.failed", "SM4 does not decrypt this: it or its key was altered")
