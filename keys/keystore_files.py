"""The directory of a key store: what lies where, and how it changes without ever being half of one thing and half of another.

    index.json                which manifests are in force; replacing it is what commits a change
    manifests/NAME.N.json     the Nth revision of a manifest
    material/NAME.V.key       the private key of version V, encrypted
    lock                      held shared by readers and exclusively by a writer

A change writes new files beside the old ones, then replaces the index, then shreds what is not in force any more. A crash at any
point leaves the old state or the new one, and files that nobody reads, which the next writer shreds.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from keys.seal import KeyUnavailable

INDEX: Final = "index.json"
_LOCK: Final = "lock"
_FOLDERS: Final = ("manifests", "material")
_OURS = re.compile(r"(manifests/[A-Za-z0-9_-]+\.[0-9]+\.json|material/[A-Za-z0-9_-]+\.[0-9]+\.key|index\.json|.*\.part)")
_BYTES_MAX: Final = 16 * 1024 * 1024
_OTHERS: Final = 0o077


def manifest_file(name: str, revision: int) -> str:
    return f"manifests/{name}.{revision}.json"


def material_file(name: str, version: int) -> str:
    return f"material/{name}.{version}.key"


class Files:
    """One directory. Names of files are relative to it. Every failure is a `KeyUnavailable` that names the file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def create(self) -> None:
        """Makes the directory, private to its owner. Raises where there is something in it already."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.directory.chmod(0o700)
            if any(self.directory.iterdir()):
                raise KeyUnavailable(f"{self.directory} is not empty; a key store starts in a directory of its own")
            for folder in _FOLDERS:
                (self.directory / folder).mkdir(mode=0o700)
            os.close(os.open(self.directory / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as problem:
            raise self._failed("", problem, "cannot be made") from None

    def exists(self) -> bool:
        """Whether a key store is here (that this process may see)."""
        return (self.directory / INDEX).is_file()

    @contextmanager
    def locked(self, *, exclusively: bool) -> Iterator[None]:
        """Holds the lock: readers see one whole state, writers come one after the other."""
        try:
            descriptor = os.open(self.directory / _LOCK, os.O_RDONLY)
        except FileNotFoundError:
            raise KeyUnavailable(f"{self.directory} is no key store; to make one, run: bankgate keys master init") from None
        except OSError as problem:
            raise self._failed(_LOCK, problem, "cannot be opened") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)  # lets go of the lock too

    def read(self, name: str) -> bytes:
        """The content of a file."""
        try:
            with (self.directory / name).open("rb") as file:
                content = file.read(_BYTES_MAX + 1)
        except OSError as problem:
            raise self._failed(name, problem, "cannot be read") from None
        if len(content) > _BYTES_MAX:
            raise KeyUnavailable(f"{self.directory / name} is too large to be a file of the key store")
        return content

    def write(self, name: str, content: bytes) -> None:
        """A file, whole or not at all, mode 0600; replaces what has that name."""
        path = self.directory / name
        temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.part")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            self._settle(path.parent)
        except OSError as problem:
            raise self._failed(name, problem, "cannot be written") from None

    def shred(self, name: str) -> None:
        """Overwrites a file and removes it. On flash memory and copying file systems the overwriting reaches new blocks: what
        makes the old ones worthless is that the data key is gone with the manifest."""
        path = self.directory / name
        try:
            with path.open("r+b") as file:
                file.write(os.urandom(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            self._settle(path.parent)
        except FileNotFoundError:
            return
        except OSError as problem:
            raise self._failed(name, problem, "cannot be destroyed") from None

    def shred_all_but(self, wanted: Iterable[str]) -> None:
        """Shreds files of ours that are not in force. Anything else in the directory is left alone."""
        kept = {INDEX, *wanted}
        for name in self.listed():
            if name not in kept and _OURS.fullmatch(name):
                self.shred(name)

    def listed(self) -> list[str]:
        """Every file below the directory."""
        try:
            paths = [path for path in self.directory.rglob("*") if path.is_file() or path.is_symlink()]
        except OSError as problem:
            raise self._failed("", problem, "cannot be read") from None
        return sorted(path.relative_to(self.directory).as_posix() for path in paths)

    def reachable_by_others(self) -> list[str]:
        """Files and directories that group or others may reach."""
        found = []
        for path in (self.directory, *self.directory.rglob("*")):
            with suppress(FileNotFoundError):
                if path.lstat().st_mode & _OTHERS:
                    found.append(str(path))
        return sorted(found)

    def holds(self, path: Path) -> bool:
        """Whether a path lies inside the store."""
        return path.resolve().is_relative_to(self.directory.resolve())

    def move_to(self, target: Path) -> None:
        """Gives a finished store its name. Raises where something is there."""
        try:
            if target.exists() and any(target.iterdir()):
                raise KeyUnavailable(f"{target} is not empty; a key store is never overwritten: move the old one away first")
            self.directory.replace(target)
            self._settle(target.parent)
        except OSError as problem:
            raise self._failed("", problem, f"cannot be moved to {target}") from None
        self.directory = target

    def remove(self) -> None:
        """Shreds everything and removes the directory; for what was begun and failed."""
        for name in self.listed():
            self.shred(name)
        for folder in _FOLDERS:
            with suppress(FileNotFoundError):
                (self.directory / folder).rmdir()
        with suppress(FileNotFoundError):
            self.directory.rmdir()

    def _settle(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _failed(self, name: str, problem: OSError, what: str) -> KeyUnavailable:
        return KeyUnavailable(f"{self.directory / name} {what}: {problem.strerror}")
