"""What a process runs with, in the audit log: told at every start; and the configuration in force, by the names of its parts."""

import asyncio
import hashlib
import json
import socket
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from gateway.audit.lines import by_itself
from gateway.config import Configuration
from gateway.in_force import InForce, View
from gateway.store.audit import AuditStore

_FILES: Final = ("*.toml", "connections/*.toml", "policies/*.toml")
_NAMES: Final = ("name", "id", "issuer")  # what tables of a list are called by
_DIGITS: Final = 8  # of a part's digest, on purpose so few: nobody can find an account number by trying which one fits


async def tell_start(store: AuditStore, configuration: Configuration, process: str, in_force: InForce) -> None:
    """`process`: "serve" or "worker". What it reads is compared with what was in force before. Raises `StoreUnavailable`."""
    name = f"{process}@{socket.gethostname()}"
    files = await asyncio.to_thread(_digests, configuration.directory)
    await in_force.tell(configuration_view(configuration))
    await store.audit([by_itself("process.started", "process", name, version=_version(), files=files)])


def configuration_view(configuration: Configuration) -> View:
    """The configuration as it counts, whatever file a setting stands in: only names of parts and digests, never a value.

    A part is a setting or a table of the main file, a caller, an issuer of tokens, or a setting or table of a connection.
    Settings as they are by default are left out.
    """
    found = configuration.model_dump(mode="json", exclude={"directory"}, exclude_defaults=True)
    connections: dict[str, Any] = found.pop("connections", {})
    parts: dict[str, str] = {}
    for key, value in found.items():
        if isinstance(value, dict):
            parts |= {f"{key}.{inner}": _short(told) for inner, told in value.items()}
        elif isinstance(value, list) and all(_called(one) for one in value):
            parts |= {f"{key}.{_called(one)}": _short(one) for one in value}
        else:
            parts[key] = _short(value)
    for connection, settings in connections.items():
        parts |= {f"connections.{connection}.{key}": _short(value) for key, value in settings.items()}
    return View(kind="configuration", parts=parts, whole=_digest([found, connections]))


def _called(table: Any) -> str | None:
    names = [table[key] for key in _NAMES if key in table] if isinstance(table, dict) else []
    return str(names[0]) if names else None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _short(value: Any) -> str:
    return _digest(value)[:_DIGITS]


def _version() -> str:
    with suppress(PackageNotFoundError):
        return version("bankgate")
    return "from a source tree"


def _digests(directory: Path) -> dict[str, str]:
    found = sorted({path for pattern in _FILES for path in directory.glob(pattern) if not path.name.startswith(".")})
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
