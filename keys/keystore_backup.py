"""A key store in one file, and back again.

A backup holds what the store holds: encrypted keys and public manifests. It is worth nothing without the master key, which is
never in it and is kept elsewhere. One JSON document: `files` maps each name to its base64.
"""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from keys.keystore import KeyStore
from keys.keystore_files import Files
from keys.keystore_model import digest_of
from keys.seal import KeyUnavailable
from keys.store import write_new

_FORMAT: Final = "bankgate key store backup 1"
_NAME = re.compile(r"index\.json|manifests/[A-Za-z0-9_-]+\.[0-9]+\.json|material/[A-Za-z0-9_-]+\.[0-9]+\.key")


def backup(store: KeyStore, target: Path, *, at: datetime) -> int:
    """Writes a backup, which must not exist yet, after the master key has opened every row. The number of keys in it. Raises
    `KeyUnavailable` with every problem of the store."""
    _refuse_if(store.check_all(), f"{store.directory} is not backed up")
    files = {name: base64.b64encode(content).decode() for name, content in store.snapshot().items()}
    document = {"format": _FORMAT, "made_at": at.astimezone(UTC).isoformat(), "files": files}
    document["sha256"] = digest_of(json.dumps(files, sort_keys=True).encode())
    write_new(target, json.dumps(document, indent=1).encode() + b"\n", private=True)
    return len(store.public_index().entries)


def restore(source: Path, target: Path, *, master: str | None = None, who: str, at: datetime) -> KeyStore:
    """Makes a key store from a backup, in a directory that is not there yet or empty. It appears only if the master key opens
    every row of it. `master`: where the master key is on this machine, if not where it was. Raises `KeyUnavailable`."""
    files = _read(source)
    beside = Files(target.absolute().with_name(f".{target.name}.restoring"))
    beside.remove()  # what an earlier try left behind
    beside.create()
    try:
        for name, content in files.items():
            beside.write(name, content)
        found = KeyStore(beside.directory, master)
        _refuse_if(found.check_all(), f"{source} is not restored")
        if master is not None:
            found.master_moved(who=who, at=at)
        beside.move_to(target)
    except BaseException:
        beside.remove()
        raise
    return KeyStore(target)


def _read(source: Path) -> dict[str, bytes]:
    try:
        document = json.loads(source.read_bytes())
    except OSError as problem:
        raise KeyUnavailable(f"{source} cannot be read: {problem.strerror}") from None
    except ValueError:
        raise KeyUnavailable(f"{source}: this is no backup of a key store, or it is cut short") from None
    try:
        files = document["files"]
        known = document["format"] == _FORMAT and document["sha256"] == digest_of(json.dumps(files, sort_keys=True).encode())
        if not known or not all(_NAME.fullmatch(name) for name in files):
            raise ValueError("not as it was written")
        return {name: base64.b64decode(content, validate=True) for name, content in files.items()}
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise KeyUnavailable(f"{source}: this backup was altered or damaged, or is of an unknown format") from None


def _refuse_if(problems: tuple[str, ...], what: str) -> None:
    if problems:
        raise KeyUnavailable(f"{what}: " + "; ".join(problems))
