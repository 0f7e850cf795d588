"""The files that commands read: by name, or standard input, seekable whatever they are."""

import os
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, Final, cast

_MEMORY_BYTES_MAX: Final = 8 * 1024 * 1024
_CHUNK: Final = 1024 * 1024


def opened(name: str) -> BinaryIO:
    """The file, or standard input for "-". Raises `OSError`.

    Reading looks at the bytes twice, so what cannot be read twice (a pipe, `<(…)`) goes through a temporary file.
    """
    if name == "-":
        return _spooled(sys.stdin.buffer)
    source = Path(name).open("rb")  # noqa: SIM115 - the caller closes it
    if source.seekable():
        return source
    with source:
        return _spooled(source)


def shown(name: str) -> str:
    """A file's name as text that any JSON reader takes: bytes that are not UTF-8 are written as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def why(error: OSError) -> str:
    """Why a file could not be read or written, in words."""
    return error.strerror or str(error)


def _spooled(source: BinaryIO) -> BinaryIO:
    spool = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES_MAX)  # noqa: SIM115 - the caller closes it
    while chunk := source.read(_CHUNK):
        spool.write(chunk)
    spool.seek(0)
    return cast("BinaryIO", spool)
