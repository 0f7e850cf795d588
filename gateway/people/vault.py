"""What stands between the database and the second factors in it: one key, from outside the database.

From it two keys are derived (HKDF-SHA256, RFC 5869): one encrypts TOTP secrets (AES-256-GCM; the associated data name the
person, the factor and the purpose, so that a row copied to another person opens nothing), one makes recovery codes unguessable
to whoever has the database alone (HMAC-SHA256 over 80 random bits).
"""

import base64
import binascii
import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.seal import KeyUnavailable
from keys.secrets import resolve

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10  # 16 characters in base 32


def key_of(reference: str, base: Path) -> bytes:
    """The key that [people] key names: 32 bytes, as they are, in hex or in base64. Raises `KeyUnavailable`."""
    found = resolve(reference, base, private=True)
    if len(found) == KEY_BYTES:
        return found
    text = found.strip()
    for read in (binascii.unhexlify, lambda value: base64.b64decode(value, validate=True)):
        try:
            key = bytes(read(text))
        except (binascii.Error, ValueError):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise KeyUnavailable(
        f"{reference}: the key of people is {KEY_BYTES} random bytes, as `openssl rand -hex {KEY_BYTES}` gives them"
    )


class Vault:
    """Encrypts, decrypts and recognises. Raises `KeyUnavailable` for what another key made."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(_derived(key, b"bankgate people: secrets of factors"))
        self._codes = _derived(key, b"bankgate people: recovery codes")

    def locked(self, secret: bytes, *, name: str, factor_id: str) -> str:
        """A secret of a person's factor as it is stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret, _about(name, factor_id))).decode()

    def opened(self, stored: str, *, name: str, factor_id: str) -> bytes:
        """The secret again."""
        content = base64.b64decode(stored)
        try:
            return self._cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], _about(name, factor_id))
        except InvalidTag:
            raise KeyUnavailable(
                "a stored second factor does not open: [people] key is another one, or the row was changed"
            ) from None

    def recovery_digest(self, code: str, *, name: str) -> str:
        """How a recovery code is stored and found again. Case, blanks and hyphens do not count."""
        plain = "".join(character for character in code.upper() if character.isalnum())
        return hmac.digest(self._codes, f"{name}\x00{plain}".encode(), sha256).hex()


def new_recovery_codes() -> list[str]:
    """Ten codes of 80 random bits, as people write them down: ABCD-EFGH-IJKL-MNOP."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode()) for _ in range(RECOVERY_CODES)]


def new_token() -> str:
    """256 random bits for a session or a code of one use; only its SHA-256 is stored."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """The SHA-256 of a token, in hex. Tokens are random: nothing slower is needed."""
    return sha256(token.encode()).hexdigest()


def _grouped(text: str) -> str:
    return "-".join(text[place : place + 4] for place in range(0, len(text), 4))


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key)


def _about(name: str, factor_id: str) -> bytes:
    return f"bankgate people 1\x00{name}\x00{factor_id}\x00totp".encode()
