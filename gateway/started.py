"""What a process runs with, in the audit log: told at every start, and which files are not as they were at the last one."""

import asyncio
import hashlib
import json
import socket
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from gateway.audit.lines import by_itself
from gateway.audit.record import AuditRecord
from gateway.store.audit import AuditFilter, AuditStore

_FILES: Final = ("*.toml", "connections/*.toml", "policies/*.toml")


async def tell_start(store: AuditStore, directory: Path, process: str) -> None:
    """`process`: "serve" or "worker". Each machine's is compared with its own last start. Raises `StoreUnavailable`."""
    name = f"{process}@{socket.gethostname()}"
    files = await asyncio.to_thread(_digests, directory)
    before, _ = await store.list_audit(AuditFilter(action="process.started", object_kind="process", object_id=name), limit=1)
    known = json.loads(before[0].detail or "{}").get("files") if before else None
    changed = [] if known is None else _changes(known, files)
    await store.audit([*changed, by_itself("process.started", "process", name, version=_version(), files=files)])


def _version() -> str:
    with suppress(PackageNotFoundError):
        return version("bankgate")
    return "from a source tree"


def _digests(directory: Path) -> dict[str, str]:
    found = sorted({path for pattern in _FILES for path in directory.glob(pattern) if not path.name.startswith(".")})
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def _changes(before: dict[str, str], now: dict[str, str]) -> list[AuditRecord]:
    return [
        by_itself("configuration.changed", "configuration", name, was=before.get(name), now=now.get(name))
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
