"""Secrets by reference: where a key, a passphrase or a certificate is found, without ever writing it into the configuration.

    file:PATH          a file; a relative path starts at the directory of the configuration
    env:NAME           an environment variable
    credential:NAME    a systemd credential (LoadCredential=, LoadCredentialEncrypted=): only the service it was given to has it
    store:NAME         a key of the key store that was made for TLS or SSH, as PKCS#8 PEM in memory (`keys.store`)
    pkcs11:...         a key in a token: used where it is (`keys.hsm`), never resolved to bytes

Errors name the reference and never the value.
"""

import os
import re
import stat
from pathlib import Path

from keys.seal import KeyUnavailable

Directory = Path
"""Where relative references start, for files that hand it on and touch nothing themselves."""

_OTHERS = 0o077
_CREDENTIAL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_BYTES_MAX = 1024 * 1024


def resolve(reference: str, base: Path, *, private: bool = False) -> bytes:
    """What a reference stands for, byte for byte. Raises `KeyUnavailable`.

    `private`: refuse a file that group or others may reach; ask for it wherever a private key or a passphrase is read.
    """
    scheme, _, rest = reference.partition(":")
    match scheme:
        case "file" if rest:
            return _file(reference, base / rest, private=private)
        case "env" if rest:
            value = os.environb.get(os.fsencode(rest))
            if value is None:
                raise KeyUnavailable(f"{reference}: the environment variable is not set for this process")
            return value
        case "credential" if _CREDENTIAL.fullmatch(rest):
            return _credential(reference, rest)
        case "store" if rest:
            return _stored(reference, base)
        case "pkcs11":
            raise KeyUnavailable(f"{reference}: a key in a token never leaves it; what is wanted here is its content")
        case _:
            raise KeyUnavailable(f"{_shown(reference)}: a secret is given as file:PATH or env:NAME, or as credential:NAME")


def certificate_pem(reference: str, base: Path) -> bytes:
    """Certificates in PEM form, our own first: of a key in the key store those of the version in force, which needs no master
    key; of any other reference, what it stands for. Raises `KeyUnavailable`."""
    if not reference.startswith("store:"):
        return resolve(reference, base)
    from keys import store  # which knows references by this file

    return store.stored_certificates(reference, base)


def named_master() -> str | None:
    """The reference of the master key as this process was told it (BANKGATE_MASTER_KEY), instead of where a key store says."""
    return os.environ.get("BANKGATE_MASTER_KEY") or None


def passphrase(reference: str, base: Path) -> bytes:
    """A passphrase: as `resolve` with `private`, without the line end that editors append. An empty one is refused, and so is
    a private key in its place: a passphrase may be told to a program or a token."""
    if reference.startswith("store:"):
        raise KeyUnavailable(f"{reference}: a key of the key store is no passphrase and no PIN; name one: env:NAME or file:PATH")
    value = resolve(reference, base, private=True).rstrip(b"\r\n")
    if not value:
        raise KeyUnavailable(f"{reference}: the passphrase is empty")
    return value


def file_path(reference: str, base: Path) -> Path | None:
    """The path a `file:` reference names, for libraries that open files themselves; None for other references."""
    scheme, _, rest = reference.partition(":")
    return base / rest if scheme == "file" and rest else None


def _shown(reference: str) -> str:
    """A malformed reference may be the secret itself, written where its reference belongs: only its scheme is shown."""
    scheme, colon, _ = reference.partition(":")
    return f"{scheme}:…" if colon and scheme.isascii() and scheme.isalnum() and len(scheme) <= 10 else "this reference"


def _credential(reference: str, name: str) -> bytes:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        raise KeyUnavailable(f"{reference}: this process was given no systemd credentials (CREDENTIALS_DIRECTORY is not set)")
    return _file(reference, Path(directory) / name, private=False)  # systemd keeps others away by the directory


def _stored(reference: str, base: Path) -> bytes:
    from keys import store  # which knows references by this file

    place = store.store_reference(reference, base)
    if place is None:
        raise KeyUnavailable(f"{reference}: this is no key of a key store")
    return place.store.clear_pem(place.name, place.chosen(place.public(), store.system_clock()).number, "tls-client", "ssh")


def _file(reference: str, path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeyUnavailable(f"{reference}: {path} is not a regular file")
            if private and status.st_mode & _OTHERS:
                raise KeyUnavailable(f"{reference}: group or others may reach {path}; run: chmod 600 {path}")
            content = file.read(_BYTES_MAX + 1)
    except OSError as problem:
        raise KeyUnavailable(f"{reference}: {path} cannot be read: {problem.strerror}") from None
    if len(content) > _BYTES_MAX:
        raise KeyUnavailable(f"{reference}: {path} is too large to be a key, a certificate or a passphrase")
    return content
