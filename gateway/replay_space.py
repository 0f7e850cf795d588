"""How much a service gives to replays: so many at once, so many bytes of temporary space, and never the last of the disk.

What is uploaded waits in memory while it is small, then in an unnamed temporary file, which the system removes with the process.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import BinaryIO, cast

from gateway.errors import TooMany

MEMORY_BYTES_MAX = 8 * 1024 * 1024  # of one file; what is larger waits on disk
FILE_BYTES_MAX = 2 * 1024 * 1024 * 1024
AT_ONCE_MAX = 2
SPACE_BYTES_MAX = 4 * 1024 * 1024 * 1024  # of all replays together: one largest file, sealed and opened
FREE_BYTES_LEFT = 512 * 1024 * 1024  # on the disk of the temporary files, which may be the store's
LOOK_EVERY = 16 * 1024 * 1024  # bytes between two looks at the free space


class ReplaySpace:
    """Shared by all replays of a process. Every refusal is `TooMany`, which says what to do."""

    def __init__(
        self,
        *,
        at_once_max: int = AT_ONCE_MAX,
        file_bytes_max: int = FILE_BYTES_MAX,
        space_bytes_max: int = SPACE_BYTES_MAX,
        free_bytes: Callable[[], int] = lambda: shutil.disk_usage(tempfile.gettempdir()).free,
    ) -> None:
        self.file_bytes_max = file_bytes_max
        self._at_once_max = at_once_max
        self._space_bytes_max = space_bytes_max
        self._free_bytes = free_bytes
        self._running = 0
        self._used = 0
        self._counting = Lock()  # files grow in threads

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for one replay, given back at the end. Raises `TooMany` if there is none."""
        if self._running >= self._at_once_max:
            raise TooMany(f"{self._running} replays are running here, and no more at once; try again when one has ended")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def spool(self, name: str) -> "Spool":
        """Room for a file that grows; its `close` gives the room back."""
        return Spool(self, name)

    def take(self, name: str, size: int, before: int) -> None:
        """`size` more bytes of the file `name`, which has `before` already. Raises `TooMany`."""
        if before + size > self.file_bytes_max:
            raise TooMany(f"{name}: larger than {self.file_bytes_max} bytes, the most that one file of a replay may have")
        if self._used + size > self._space_bytes_max:
            raise TooMany(f"{name}: the replays under way have used up their temporary space; try again when one has ended")
        after = before + size
        if after > MEMORY_BYTES_MAX and after // LOOK_EVERY != before // LOOK_EVERY and self._free_bytes() < FREE_BYTES_LEFT:
            raise TooMany(f"{name}: the service's disk has hardly any space left; replay on a copy of the store instead")
        with self._counting:
            self._used += size

    def give_back(self, size: int) -> None:
        """Bytes that are no longer held."""
        with self._counting:
            self._used -= size


class Spool:
    """A temporary file that asks for each byte it grows by. Reads, seeks and the rest are the file's own."""

    def __init__(self, space: ReplaySpace, name: str) -> None:
        self._space = space
        self._name = name
        self._size = 0
        self._file = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES_MAX))  # noqa: SIM115 - see `close`

    def write(self, data: bytes) -> int:
        """Appends. Raises `TooMany`."""
        self._space.take(self._name, len(data), self._size)
        self._size += len(data)
        return self._file.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def close(self) -> None:
        """Harmless to call twice."""
        self._space.give_back(self._size)
        self._size = 0
        self._file.close()
