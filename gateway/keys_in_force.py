"""Which keys and whose certificates count: the fingerprints of everything that a configuration names, for the audit log.

A key that is exchanged by hand leaves no name and no history. What is written down of it is a fingerprint of what is public:
SHA-256 of a certificate, of a public key, of a private key as it rests encrypted in its file. Of a passphrase, a PIN, a token's
content or any other secret nothing is written down, not even a digest: short secrets can be found by trying.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gateway import clock
from gateway.config import Configuration
from gateway.in_force import View
from keys.keystore import KeyStore, store_at
from keys.seal import KeyUnavailable
from keys.secrets import file_path, resolve
from keys.store import STORE_DIRECTORY, StoreReference, store_reference

MISSING: Final = "missing"
_BYTES_MAX: Final = 1024 * 1024
_NOT_KEYS: Final = frozenset({"screening", "habits", "directory", "store", "bank_directory"})
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,60})-----(.*?)-----END \1-----", re.DOTALL)
_NOT_TRUST: Final = frozenset({"X509 CRL"})  # made anew every few days by their authority
_SSH: Final = re.compile(r"(@cert-authority |[\w.*,\[\]:-]+ )?(ssh-|ecdsa-sha2-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]{20,}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}|([0-9A-Fa-f]{2}:){19,31}[0-9A-Fa-f]{2}")
_FINGERPRINTS: Final = ("fingerprint", "sha256", "host_key", "host_authorities")
_NAMES: Final = ("name", "id", "issuer")
_DER: Final = (b"\x30\x82", b"\x30\x81")


def keys_view(configuration: Configuration) -> View:
    """What every reference to a key or certificate leads to now, by its place in the configuration; and the versions of the key
    stores. What this process may not read is left as it was known before. Reads files; opens no private key."""
    base = configuration.directory
    parts: dict[str, str] = {}
    unseen: list[str] = []
    for place, texts in _texts(configuration.model_dump(exclude=set(_NOT_KEYS))):
        try:
            told = [found for text in texts if (found := _told(place, text, base))]
        except PermissionError:
            unseen.append(place)
            continue
        if told:
            parts[place] = ", ".join(told)
    for directory, called in key_stores(configuration).items():
        name = f"store:{called}"
        try:
            parts |= {f"{name}{version}": known for version, known in _versions(store_at(directory))}
        except (KeyUnavailable, OSError):
            unseen.append(name)
    return View(kind="keys", parts=parts, unseen=tuple(unseen))


def key_stores(configuration: Configuration) -> dict[Path, str]:
    """The directories of the key stores that a configuration may lead to, with what references call them: "" for its own."""
    base = configuration.directory
    stores = {base / STORE_DIRECTORY: ""}
    for _, texts in _texts(configuration.model_dump(exclude=set(_NOT_KEYS))):
        for text in texts:
            if (reference := _stored(text, base)) is not None and "#" in text:
                stores.setdefault(reference.store.directory, text.partition("#")[0].removeprefix("store:") + "#")
    return stores


def _texts(tree: Any, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """The texts of a tree of settings with their places; those of a list together, tables of a list by their names."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _texts(value, f"{place}.{key}" if place else str(key))
    elif isinstance(tree, list | tuple):
        texts = [one for one in tree if isinstance(one, str)]
        if texts:
            yield place, texts
        for number, one in enumerate(tree):
            if isinstance(one, Mapping):
                called = next((one[key] for key in _NAMES if one.get(key)), number)
                yield from _texts(one, f"{place}.{called}")
    elif isinstance(tree, str):
        yield place, [tree]


def _stored(text: str, base: Path) -> StoreReference | None:
    try:
        return store_reference(text, base)
    except KeyUnavailable:  # not of that form: whoever uses it says so
        return None


def _told(place: str, text: str, base: Path) -> str:
    """What a text leads to, "" for what is no key; raises `PermissionError` where this process may not look."""
    if (reference := _stored(text, base)) is not None:
        try:
            version = reference.chosen(reference.public(), clock.now())
        except KeyUnavailable:
            if reference.store.exists():
                return f"{text} {MISSING}"
            raise PermissionError from None
        return f"{text} version {version.number}"
    path = file_path(text, base)
    if path is not None:
        return _of_file(text, path)
    if text.startswith(("env:", "credential:")):
        try:
            content = resolve(text, base)
        except KeyUnavailable:
            raise PermissionError from None  # of another process: it has its own
        return " ".join((text, *found)) if (found := fingerprints(content)) else ""
    if any(word in place.rpartition(".")[2] for word in _FINGERPRINTS):
        return _pinned(text)
    return ""


def _of_file(text: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return f"{text} {MISSING}"
    except IsADirectoryError:
        return ""
    except OSError:
        raise PermissionError from None
    if len(content) > _BYTES_MAX:
        return ""  # whoever uses it refuses it
    found = fingerprints(content)
    return " ".join((text, *found)) if found else ""


def _pinned(text: str) -> str:
    """A fingerprint or public key that stands in the configuration itself."""
    if _HEX.fullmatch(text):
        return text.replace(":", "").lower()
    if text.startswith("SHA256:"):
        return text
    return f"ssh key sha256:{sha256(text.encode()).hexdigest()}" if _SSH.match(text) else ""


def fingerprints(content: bytes) -> list[str]:
    """What the keys and certificates in a file are known by; nothing of a file that holds anything else, such as a passphrase."""
    found = []
    for block in _BLOCK.finditer(content):
        label = block[1].decode()
        if label not in _NOT_TRUST:
            found.append(f"{label.lower()} sha256:{sha256(_bare(block[2]) or block[0]).hexdigest()}")
    if found:
        return found
    whole = f"sha256:{sha256(content).hexdigest()}"
    if content[:2] in _DER and len(content) > 128:
        return [f"DER {whole}"]
    text = content[:4096].decode("utf-8", "replace").strip()
    if _SSH.match(text):
        return [f"ssh keys {whole}"]
    return [f"key set {whole}"] if text.startswith("{") and '"keys"' in text else []


def _bare(body: bytes) -> bytes:
    """What is between the lines of a PEM block; empty if there are headers among it."""
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except ValueError:
        return b""


def _versions(store: KeyStore) -> Iterator[tuple[str, str]]:
    if not store.exists():
        if store.directory.exists():
            raise KeyUnavailable("not to be seen by this process")
        return
    for manifest in store.public_manifests():
        for version in manifest.versions:
            known = version.certificates[0] if version.certificates else version.public_key
            what = "certificate" if version.certificates else "public key"
            yield f"{manifest.name}@{version.number}", f"{version.state}, {what} sha256:{sha256(known).hexdigest()}"
