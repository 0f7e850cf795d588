"""Key stores for tests: with a master key beside them, and keys whose making costs nothing."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from keys import store
from keys.keymaterial import material_of
from keys.keystore import KeyStore
from keys.keystore_master import new_master_text
from tests.keys.workshop import NOW

BY: dict[str, Any] = {"who": "ada", "at": NOW}


def master_file(directory: Path, name: str = "master") -> str:
    """A fresh master key in a file beside the store; its reference as the store resolves it."""
    path = directory / name
    path.write_bytes(new_master_text(store.random_bytes))
    path.chmod(0o600)
    return f"file:{name}"


def made(directory: Path) -> KeyStore:
    """An empty store in DIRECTORY/keys."""
    return KeyStore.create(directory / "keys", master_file(directory), **BY)


def certificate_for(key: store.SoftwareKey, name: str, *, days: int = 365) -> x509.Certificate:
    return store.self_signed(key, store.Subject(common_name=name), on=NOW, days=days)


def with_key(
    keystore: KeyStore, name: str, *purposes: Any, kind: store.KeyKind = "ec-p256", active: bool = True
) -> store.SoftwareKey:
    """A new key in the store, in use since a day."""
    key = store.new_key(kind)
    keystore.add(name, key, purposes or ("sign",), certificates=[certificate_for(key, name)], **BY)
    if active:
        keystore.activate(name, 1, active_from=NOW - timedelta(days=1), **BY)
    return key


def files_of(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def private_octets(key: store.SoftwareKey) -> tuple[bytes, ...]:
    """What must never be seen: the encoded key, and its number in the forms somebody might print."""
    number = key._key.private_numbers().private_value  # type: ignore[union-attr]
    return material_of(key)[-40:], number.to_bytes(32, "big"), str(number).encode(), f"{number:x}".encode()
