"""The master key of a key store, by reference.

    file:PATH                a file of mode 0600 with 32 random bytes, as they are, or as base64 or hexadecimal text
    env:NAME                 the same in an environment variable
    credential:NAME          the same as a systemd credential (LoadCredentialEncrypted=)
    pkcs11:token=…;object=…  an AES key in a token that never leaves it: data keys are wrapped and unwrapped inside (RFC 3394)

It is never derived from a passphrase: 32 random bytes cannot be guessed, however long somebody holds a stolen copy.
"""

import base64
import binascii
import re

from keys import secrets
from keys.keystore_crypto import KEY_BYTES, Master, RandomBytes, SoftwareMaster
from keys.seal import KeyUnavailable
from keys.secrets import Directory

_HEX = re.compile(rb"[0-9A-Fa-f]{64}")
SCHEMES = ("file", "env", "credential", "pkcs11")


def master_named(reference: str, base: Directory, random_bytes: RandomBytes) -> Master:
    """The master key a reference names. Raises `KeyUnavailable`; no error shows what was found there."""
    scheme = reference.partition(":")[0]
    if scheme not in SCHEMES:
        raise KeyUnavailable("a master key is given as file:PATH, env:NAME, credential:NAME or pkcs11:token=…;object=…")
    if scheme == "pkcs11":
        from keys.hsm import token_master

        # the index is read before anything proves it: it may name a key, never a library to load into this process
        if "module-path" in reference:
            raise KeyUnavailable("pkcs11: the module of a master key is named by BANKGATE_PKCS11_MODULE, not by its reference")
        return token_master(reference, base)
    return SoftwareMaster(_secret(reference, secrets.resolve(reference, base, private=True)), random_bytes)


def new_master_text(random_bytes: RandomBytes) -> bytes:
    """A fresh master key in the form of its file."""
    return base64.b64encode(random_bytes(KEY_BYTES)) + b"\n"


def _secret(reference: str, found: bytes) -> bytes:
    if len(found) == KEY_BYTES:
        return found
    text = found.strip()
    if _HEX.fullmatch(text):
        return binascii.unhexlify(text)
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != KEY_BYTES:
        raise KeyUnavailable(
            f"{reference}: a master key is {KEY_BYTES} random bytes, as they are or as base64 or hexadecimal; "
            "to make one, run: bankgate keys master new FILE"
        )
    return decoded
