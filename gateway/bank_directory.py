"""The directory of branches (联行号) that an operator may bring: hints for payments whose bank code it does not have."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from formats.dialects.cnaps import has_shape
from formats.dialects.directory import BYTES_MAX, Directory, read_directory
from formats.errors import Unparsable, Violation
from formats.model import CreditTransfer

_OFFERED: Final = 3


@lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int) -> Directory:
    with path.open("rb") as file:
        return read_directory(file.read(BYTES_MAX + 1))


def load_directory(path: Path) -> Directory:
    """The directory in a file; read once until the file changes. Raises `Unparsable`, `OSError`."""
    return _loaded(path, path.stat().st_mtime_ns)


def directory_problem(path: Path) -> str | None:
    """What is wrong with the file, in words."""
    try:
        load_directory(path)
    except Unparsable as problem:
        return str(problem)
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    return None


def unknown_branch(directory: Directory, transfer: CreditTransfer) -> tuple[Violation, ...]:
    """A warning for a bank code that the directory does not have, with branches whose names fit what the payment says."""
    agent = transfer.creditor_agent
    code = agent.clearing_system_member_id if agent else None
    if not code or not has_shape(code) or directory.get(code) is not None:
        return ()
    alike = directory.search((agent.name if agent else None) or "", _OFFERED)
    offered = ", ".join(f"{branch.code} {branch.name}" for branch in alike)
    return (
        Violation(
            field="creditor_agent.clearing_system_member_id",
            rule="cn.bank-code-unknown",
            source="the directory of branches in the configuration (bank_directory)",
            message_en="The directory has no such bank code." + (f" Of that name it has: {offered}." if offered else ""),
            message_zh="联行号目录中无此行号。" + (f"名称相近的有：{offered}。" if offered else ""),
            severity="warning",
        ),
    )
