"""The way of order data through EBICS (E002): compressed, padded, encrypted, in base64, cut into segments; and back.

    order data ─ zlib (RFC 1950) ─ padding ─ AES-128-CBC, zero initialisation vector ─ base64 ─ segments of at most 1 MiB
    transaction key (16 octets, fresh for every transaction) ─ RSAES-PKCS1-v1_5 (RFC 8017, 7.2) with the receiver's E002 key

A zero initialisation vector is safe because no key is used twice. Padding is written as ANSI X9.23 has it (zeros, and the number
of padding octets last) and not looked at when reading: compressed data says where it ends, and senders pad in three ways. Nothing
here proves who sent what: that do the signatures.

All of it streams. Sources: EBICS 2.5 and 3.0, E002 and segmentation of order data; ANSI X9.23.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from keys.keymaterial import random_bytes
from keys.keyring import PrivateKey
from keys.seal import BadSeal

TRANSACTION_KEY_BYTES: Final = 16
SEGMENT_CHARS_MAX: Final = 1024 * 1024
"""The base64 text of one OrderData element has at most so many characters."""
SEGMENT_CHARS: Final = 1_000_000
"""Of segments we write: whole groups of base64, and room below the bound for banks that count otherwise."""
PIECE_BYTES: Final = 1024 * 1024
INFLATED_BYTES_MAX: Final = 4 * 1024**3
RATIO_MAX: Final = 1100  # deflate itself ends near 1,030
_BLOCK: Final = 16
_ZERO_VECTOR: Final = bytes(_BLOCK)
_BLANKS: Final = re.compile(rb"[ \t\r\n]+")


def new_transaction_key() -> bytes:
    """A fresh key for one transaction."""
    return random_bytes(TRANSACTION_KEY_BYTES)


def wrapped_key(receiver: rsa.RSAPublicKey, transaction_key: bytes) -> bytes:
    """The TransactionKey element's octets."""
    return receiver.encrypt(transaction_key, padding.PKCS1v15())


def unwrapped_key(own: PrivateKey, wrapped: bytes) -> bytes:
    """The transaction key. What is not wrapped for this key gives a random one, and the decryption after it fails as it does for
    any wrong key: whoever sends us wrapped keys cannot learn from us which of them were well formed (RFC 8017, 7.2.2)."""
    otherwise = random_bytes(TRANSACTION_KEY_BYTES)
    try:
        found = own.unwrap("rsa-pkcs1", wrapped)
    except ValueError:
        return otherwise
    return found if len(found) == TRANSACTION_KEY_BYTES else otherwise


# ---- out ----------------------------------------------------------------------------------------------------------------


def encrypted(pieces: Iterable[bytes], transaction_key: bytes) -> Iterator[bytes]:
    """Order data on its way out, compressed and encrypted. The same data and key give the same bytes, as long as the zlib of the
    machine stays the same: what may have to be sent again is stored."""
    compressor = zlib.compressobj()
    encryptor = Cipher(algorithms.AES128(transaction_key), modes.CBC(_ZERO_VECTOR)).encryptor()
    length = 0
    for piece in pieces:
        if compressed := compressor.compress(piece):
            length += len(compressed)
            yield encryptor.update(compressed)
    rest = compressor.flush()
    missing = _BLOCK - (length + len(rest)) % _BLOCK
    yield encryptor.update(rest + bytes(missing - 1) + bytes((missing,))) + encryptor.finalize()


def segments(ciphertext: Iterable[bytes], chars: int = SEGMENT_CHARS) -> Iterator[bytes]:
    """The base64 text of the whole ciphertext, cut into segments of `chars` (a multiple of 4): one an OrderData element. There is
    at least one."""
    if not 0 < chars <= SEGMENT_CHARS_MAX or chars % 4:
        raise ValueError("a segment is cut after whole groups of base64, below 1 MiB")
    octets = chars // 4 * 3
    held = bytearray()
    given = False
    for piece in ciphertext:
        held += piece
        while len(held) > octets:
            yield base64.b64encode(held[:octets])
            del held[:octets]
            given = True
    if held or not given:
        yield base64.b64encode(held)


def encrypted_whole(data: bytes, transaction_key: bytes) -> bytes:
    """Something small as the base64 text of one element: SignatureData."""
    return base64.b64encode(b"".join(encrypted((data,), transaction_key)))


# ---- back ---------------------------------------------------------------------------------------------------------------


def decoded(texts: Iterable[bytes]) -> Iterator[bytes]:
    """The octets of base64 text that comes in segments, which need not end with a group. Raises `BadSeal` ("structure")."""
    held = b""
    ended = False
    for text in texts:
        held += _BLANKS.sub(b"", text)
        whole = len(held) // 4 * 4
        piece, held = held[:whole], held[whole:]
        if not piece:
            continue
        if ended:
            raise BadSeal("structure", "order data goes on after the end of its base64 text")
        try:
            yield base64.b64decode(piece, validate=True)
        except binascii.Error:
            raise BadSeal("structure", "the order data is no base64") from None
        ended = piece.endswith(b"=")
    if held:
        raise BadSeal("structure", "the base64 text of the order data is cut short")


def decrypted(
    texts: Iterable[bytes], transaction_key: bytes, *, bytes_max: int = INFLATED_BYTES_MAX, piece_bytes: int = PIECE_BYTES
) -> Iterator[bytes]:
    """The order data in these segments, in pieces of at most `piece_bytes`.

    Raises `BadSeal`: "structure" for what is no base64, "decryption.failed" for everything that a wrong key or changed data may
    lead to, "content.too-large". What was given before that must be thrown away.
    """
    decryptor = Cipher(algorithms.AES128(transaction_key), modes.CBC(_ZERO_VECTOR)).decryptor()
    return _Inflater(bytes_max, piece_bytes).inflated(decryptor.update(octets) for octets in _in_blocks(decoded(texts)))


def decrypted_whole(text: bytes, transaction_key: bytes, *, bytes_max: int) -> bytes:
    """As `decrypted`, of something small: SignatureData, key management data."""
    return b"".join(decrypted((text,), transaction_key, bytes_max=bytes_max))


def compressed_whole(data: bytes) -> bytes:
    """Compressed and in base64 only: the order data of INI, HIA and H3K."""
    return base64.b64encode(zlib.compress(data))


def inflated_whole(text: bytes, *, bytes_max: int) -> bytes:
    """The data of `compressed_whole`. Raises `BadSeal`."""
    return b"".join(_Inflater(bytes_max, PIECE_BYTES).inflated(decoded((text,))))


def _in_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    length = 0
    for piece in pieces:
        length += len(piece)
        yield piece
    if not length or length % _BLOCK:
        raise _failed()


def _failed() -> BadSeal:
    """One error for all that goes wrong behind the key: it says nothing about where."""
    return BadSeal("decryption.failed", "the order data cannot be decrypted: it is for another key, or was changed or cut short")


class _Inflater:
    """Inflates in bounds. A tail of up to one block after the end is padding."""

    def __init__(self, bytes_max: int, piece_bytes: int) -> None:
        self._bytes_max = bytes_max
        self._piece_bytes = piece_bytes
        self._inflater = zlib.decompressobj()
        self._given = 0
        self._taken = 0

    def inflated(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        tail = 0
        for piece in pieces:
            self._taken += len(piece)
            if self._inflater.eof:
                tail += len(piece)
            else:
                yield from self._of(piece)
                tail += len(self._inflater.unused_data)
            if tail > _BLOCK:
                raise _failed()
        if not self._inflater.eof:
            raise _failed()

    def _of(self, piece: bytes) -> Iterator[bytes]:
        while True:
            try:
                found = self._inflater.decompress(piece, self._piece_bytes)
            except zlib.error:
                raise _failed() from None
            piece = self._inflater.unconsumed_tail
            self._given += len(found)
            if self._given > min(self._bytes_max, max(PIECE_BYTES, self._taken * RATIO_MAX)):
                raise BadSeal("content.too-large", f"the order data inflates beyond the {self._bytes_max} bytes that are taken")
            if found:
                yield found
            if self._inflater.eof or (not piece and len(found) < self._piece_bytes):
                return
