"""The journal of key commands: a small file beside the key store, written where no database may be at hand.

A command that changes or reveals a key appends what it is about to do, does it, and appends how it ended. Each entry is hashed
together with the one before it, and the file is only ever appended to. Whoever has the database next (the command itself,
`serve`, `worker`) brings the entries into the audit log, each command as one line, and in the same transaction writes down how
far it came: so every command is there exactly once, whatever is killed in between. A command that never said how it ended was
killed; its line says that this is not known.

    {"at": …, "hash": …, "kind": "begun" or "ended", "number": 1, "previous": …, …}

The hash is SHA-256 over the entry as JSON without its hash (sorted keys, no blanks, ASCII); before entry 1 stand 64 zeros. The
hash of entry 1, which holds random digits, is the name of the journal.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any, Final

from gateway.audit.chain import moment_text

NOTHING_BEFORE: Final = "0" * 64
NAME: Final = "keys.journal"
BYTES_MAX: Final = 64 * 1024 * 1024
_BEGUN, _ENDED = "begun", "ended"


class JournalBusy(Exception):
    """A command is at work: it says itself how it ended, soon."""


class JournalUnusable(Exception):
    """It cannot be read, or was altered. Names the file and why."""


class JournalUnwritable(JournalUnusable):
    """This process may not write there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What somebody did with a key. `outcome`: "done"; "failed", the command ended with an error, and what it did until then
    counts; "unknown", it was killed. `number` and `hash` are of the last entry about it."""

    action: str
    object_id: str
    user: str
    host: str
    at: str
    outcome: str
    detail: dict[str, Any]
    number: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a journal holds. `problem`: from where on it is not as it was written, in words; `deeds` are those before."""

    name: str
    deeds: tuple[Deed, ...]
    hashes: tuple[str, ...]  # of its entries, in order
    problem: str = ""


class OpenJournal:
    """A journal that this process alone writes to, until it is closed."""

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file = file
        self._path = path
        self.number, self._last = self._end()

    def _end(self) -> tuple[int, str]:
        """Of the last entry. What a crash left half written is cut off: what it was to tell had not begun, or stays unknown."""
        content = self._file.read()
        *lines, torn = content.split(b"\n")
        found = parsed(lines)
        if found.problem:
            raise JournalUnusable(
                f"{self._path}: {found.problem}. Nothing was done. Find out who changed it, and move it away: a new one begins"
            )
        if torn:
            self._file.truncate(len(content) - len(torn))
        return len(found.hashes), found.hashes[-1] if found.hashes else NOTHING_BEFORE

    def append(self, kind: str, at: datetime, **told: Any) -> int:
        """Writes an entry, on the disk before this returns; its number."""
        entry = {"number": self.number + 1, "kind": kind, "at": moment_text(at), "previous": self._last, **told}
        if not self.number:
            entry["nonce"] = secrets.token_hex(16)
        entry["hash"] = digest(entry)
        self._file.seek(0, os.SEEK_END)
        self._file.write(_canonical(entry) + b"\n")
        os.fsync(self._file.fileno())
        self.number, self._last = entry["number"], entry["hash"]
        return self.number


@contextmanager
def opened(path: Path) -> Iterator[OpenJournal]:
    """The journal at a path, made if it is absent. Waits for others that write. Raises `JournalUnusable`,
    `JournalUnwritable`."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise JournalUnwritable(
            f"{path} cannot be written: {error.strerror}. What is done with keys is noted there: give this user the right to"
        ) from None
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        _hand_over(file.fileno(), path.parent)
        yield OpenJournal(file, path)


def _hand_over(descriptor: int, directory: Path) -> None:
    """What root makes belongs to whoever has the directory: the service has to read it."""
    owner = directory.stat()
    if os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)  # that the file is there is durable too
    finally:
        os.close(folder)


@contextmanager
def noted(
    path: Path,
    clock: Callable[[], datetime],
    *,
    action: str,
    object_id: str,
    user: str,
    host: str,
    detail: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Notes what is done within, before it is done and how it ended. What is put into the dictionary belongs to it: fingerprints,
    versions, never a secret."""
    with opened(path) as journal:
        number = journal.append(_BEGUN, clock(), action=action, object_id=object_id, user=user, host=host, detail=detail)
        found: dict[str, Any] = {}
        try:
            yield found
        except BaseException:
            journal.append(_ENDED, clock(), of=number, outcome="failed", detail=found)
            raise
        journal.append(_ENDED, clock(), of=number, outcome="done", detail=found)


def read(path: Path) -> Journal | None:
    """What a journal holds; None if there is none. Raises `JournalBusy` while a command writes, `JournalUnusable`."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
            content = file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        raise JournalBusy(path) from None
    except OSError as error:
        raise JournalUnusable(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > BYTES_MAX:
        raise JournalUnusable(f"{path} is too large to be a journal of keys")
    return parsed(content.split(b"\n")[:-1])  # after the last line end stands nothing, or what a crash left


def parsed(lines: Sequence[bytes]) -> Journal:
    """The journal of these lines."""
    entries: list[dict[str, Any]] = []
    problem, last = "", NOTHING_BEFORE
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            fits = (entry["number"], entry["previous"], entry["hash"]) == (number, last, digest(entry)) and bool(
                _deed(entry, None)
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            fits = False
        if not fits:
            problem = f"entry {number} is not as it was written, or entries before it were taken out"
            break
        entries.append(entry)
        last = entry["hash"]
    ends = {entry["of"]: entry for entry in entries if entry["kind"] == _ENDED}
    deeds = (_deed(entry, ends.get(entry["number"])) for entry in entries if entry["kind"] == _BEGUN)
    hashes = tuple(str(entry["hash"]) for entry in entries)
    return Journal(name=hashes[0] if hashes else "", deeds=tuple(deeds), hashes=hashes, problem=problem)


def _deed(begun: dict[str, Any], ended: dict[str, Any] | None) -> Deed:
    """Raises KeyError, TypeError for what is no entry."""
    if begun["kind"] == _ENDED:
        begun = begun | {"action": "", "object_id": "", "user": "", "host": "", "of": int(begun["of"])}
    last = begun if ended is None else ended
    return Deed(
        action=str(begun["action"]),
        object_id=str(begun["object_id"]),
        user=str(begun["user"]),
        host=str(begun["host"]),
        at=str(begun["at"]),
        outcome="unknown" if ended is None else str(ended["outcome"]),
        detail={**begun["detail"], **last["detail"]},
        number=int(last["number"]),
        hash=str(last["hash"]),
    )


def digest(entry: dict[str, Any]) -> str:
    """See the module."""
    return sha256(_canonical({key: value for key, value in entry.items() if key != "hash"})).hexdigest()


def _canonical(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode("ascii")
