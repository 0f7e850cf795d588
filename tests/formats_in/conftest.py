"""Fixtures of the reading side: the samples written for these tests, sources made to measure, and the corpus of real files."""

import io
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from formats.reader import parse
from formats.report import ReportRecord

SAMPLES = Path(__file__).parent / "samples"


def resident() -> int:
    """The memory this process holds now, in bytes; where only its peak can be told, that."""
    now = Path("/proc/self/statm")
    if now.exists():
        return int(now.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Repeated(io.RawIOBase):
    """A seekable file of `head`, `count` times `unit`, then `tail`, that is never held as a whole.

    `resident_peak` is the most memory the process held at any time it was read from.
    """

    def __init__(self, head: bytes, unit: bytes, count: int, tail: bytes) -> None:
        self._parts = ((head, 1), (unit, count), (tail, 1))
        self.size = len(head) + len(unit) * count + len(tail)
        self._position = 0
        self.resident_peak = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self.size - self._position if size < 0 else min(size, self.size - self._position)
        self.resident_peak = max(self.resident_peak, resident())
        start, pieces, base = self._position, [], 0
        for part, times in self._parts:
            length = len(part) * times
            if left and start < base + length:
                within = start - base
                take = min(left, length - within)
                first = within // len(part)
                last = (within + take - 1) // len(part) + 1
                pieces.append((part * (last - first))[within - first * len(part) :][:take])
                start, left = start + take, left - take
            base += length
        self._position = start
        return b"".join(pieces)


@pytest.fixture
def sample() -> Callable[[str], bytes]:
    """The bytes of a sample by name."""
    return lambda name: (SAMPLES / name).read_bytes()


@pytest.fixture
def records() -> Callable[[bytes], list[ReportRecord]]:
    """All records of a file given as bytes."""
    return lambda data: list(parse(io.BytesIO(data)))


@pytest.fixture
def repeated() -> type[Repeated]:
    """Makes large files without holding them."""
    return Repeated


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of bank files written by others."""
    named = os.environ.get("BANKGATE_CORPUS")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "samples"
    if not (folder / "INDEX.tsv").is_file():
        pytest.skip(f"no corpus of bank files: set BANKGATE_CORPUS to it (looked in {folder})")
    return folder
