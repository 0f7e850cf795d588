"""Envelope encryption of the key store: every private key under a data key of its own, every data key under the master key.

Pure but for the token behind a `pkcs11:` master. AES-256-GCM (NIST SP 800-38D) with a fresh random nonce; what belongs to it (the
id of the key and its version) is authenticated with it, so that one key's file in the place of another's does not open.
"""

from collections.abc import Callable
from typing import Final, NoReturn, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.seal import KeyUnavailable

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_MARK: Final = b"BGK1"  # what a file with key material starts with

RandomBytes = Callable[[int], bytes]


class Master(Protocol):
    """The key above all others, wherever it lives."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """A data key, wrapped. `context` says what it belongs to."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The data key. Raises `ValueError` where it was not wrapped by this master key, or was altered."""


class SoftwareMaster:
    """A master key in the memory of this process: AES-256-GCM."""

    __slots__ = ("_random_bytes", "_secret")

    def __init__(self, secret: bytes, random_bytes: RandomBytes) -> None:
        self._secret = AESGCM(secret)
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        return "<master key>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a master key is not copied out of its process")

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See `Master`."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._secret.encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """See `Master`."""
        try:
            return self._secret.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except InvalidTag:
            raise ValueError("not wrapped by this master key") from None


def context_of(key_id: str, version: int) -> bytes:
    """What data key and material of one version are bound to."""
    return f"bankgate key {key_id} version {version}".encode()


def mac_context(store_id: str) -> bytes:
    """What the MAC key of a store is bound to."""
    return f"bankgate key store {store_id} mac".encode()


def seal_material(material: bytes, data_key: bytes, context: bytes, random_bytes: RandomBytes) -> bytes:
    """The file of a private key."""
    nonce = random_bytes(_NONCE_BYTES)
    return _MARK + nonce + AESGCM(data_key).encrypt(nonce, material, context)


def open_material(sealed: bytes, data_key: bytes, context: bytes, called: str) -> bytes:
    """The private key of such a file. Raises `KeyUnavailable` naming it as `called`."""
    body = sealed[len(_MARK) :]
    try:
        if not sealed.startswith(_MARK):
            raise ValueError("no file of ours")
        return AESGCM(data_key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise KeyUnavailable(
            f"{called} was altered or damaged: its private key does not open. Restore the key store from a backup"
        ) from None
