"""ZIP archives, as EBICS delivers statements and reports (order types C52 to C54, Z52 to Z54): their members, one after another.

Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end); that
the orders above are delivered as a ZIP of single messages: Deutsche Kreditwirtschaft, Anlage 3 of the DFÜ agreement.

Nothing is unpacked to disk and nothing is held whole: a member is read as a stream, and read again from its start when its reader
goes back. Refused by name, always as `Unparsable`: the whole archive for more than `MEMBERS_MAX` members, a directory that is
damaged or larger than `DIRECTORY_BYTES_MAX`, members that unpack to more than `BYTES_MAX` together or to more than `RATIO_MAX`
times their size, several discs, two members of one name, and names that could mean a place outside the archive; one member alone
for encryption, any method but stored and deflated, and damage. What an archive holds may not be an archive (`NESTED`).
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from typing import BinaryIO, Final, cast

from formats.errors import Unparsable

MEMBERS_MAX: Final = 10_000
DIRECTORY_BYTES_MAX: Final = 8 * 1024 * 1024
BYTES_MAX: Final = 4 * 1024**3
RATIO_MAX: Final = 250  # repetitive XML deflates some 30 to 100 times; deflate itself ends near 1,030
_SMALL_BYTES: Final = 1024 * 1024  # a member that unpacks to less is no bomb, whatever its ratio
_NAME_MAX: Final = 255
_CHUNK: Final = 64 * 1024
_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06")
_END: Final = struct.Struct(
    "<4s4H2LH"
)  # 4.3.16: signature, this disc, directory's disc, entries here, in all, size, offset, comment
_END_64: Final = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_LOCATOR_64: Final = struct.Struct("<4sLQL")  # 4.3.15
_COMMENT_MAX: Final = 65_535
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000  # 4.4.4: traditional, strong, masked directory
_DAMAGES: Final = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OverflowError, ValueError, struct.error)
NESTED: Final = "a ZIP archive inside another; bankgate reads one level"
_HARMFUL_NAME: Final = re.compile(r"^[/\\]|^[A-Za-z]:|\\|(?:^|/)\.\.(?:/|$)|[\x00-\x1f\x7f]")


def is_container(source: BinaryIO) -> bool:
    """Whether the file begins as a ZIP archive does."""
    source.seek(0)
    return source.read(4) in _STARTS


def members(source: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    """The name and the content of each member, in the archive's order; a content is good until the next is asked for.

    Raises `Unparsable`, for the archive before the first member, for a member that cannot be unpacked when it is reached.
    """
    for name, content in unpacked(source):
        if isinstance(content, Unparsable):
            raise Unparsable(f"{name}: {content.problem}")
        yield name, content


def unpacked(source: BinaryIO) -> Generator[tuple[str, BinaryIO | Unparsable], None, None]:
    """Like `members`, but a member that cannot be unpacked is its problem, and the next one comes all the same.

    A content was unpacked once to its end, and length and checksum are right, before it is given. Raises `Unparsable` for the
    archive, before the first member.
    """
    _check_directory(source)
    try:
        with zipfile.ZipFile(source) as archive:
            for file in _judged(archive):
                yield from _unpacked(archive, file)
    except _DAMAGES as error:
        raise Unparsable(f"a ZIP archive that is damaged or cut short ({type(error).__name__})") from None


def _unpacked(archive: zipfile.ZipFile, file: zipfile.ZipInfo) -> Iterator[tuple[str, BinaryIO | Unparsable]]:
    name = file.filename
    if file.flag_bits & _ENCRYPTED:
        yield name, Unparsable("encrypted; ask the bank for the archive without a password")
        return
    if file.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield name, Unparsable("packed by a method that is not read; stored and deflated are")
        return
    try:
        content = archive.open(file)
    except _DAMAGES as error:
        yield name, _damaged(error)
        return
    with content:
        member = _Member(cast("BinaryIO", content))
        try:
            member.check()
        except Unparsable as problem:
            yield name, problem
            return
        yield name, cast("BinaryIO", member)


def _damaged(error: Exception) -> Unparsable:
    return Unparsable(f"damaged or cut short inside the archive ({type(error).__name__})")


def _check_directory(source: BinaryIO) -> None:
    """Refuses a directory that is too large to be read whole, as the library does; by the record at the archive's end."""
    size = source.seek(0, 2)
    start = max(0, size - _END.size - _COMMENT_MAX)
    source.seek(start)
    tail = source.read(size - start)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise Unparsable("a ZIP archive without its directory; the file is cut short")
    _, disc, first_disc, _, entries, directory, _, _ = _END.unpack_from(tail, place)
    if disc not in (0, 0xFFFF) or first_disc not in (0, 0xFFFF):
        raise Unparsable("a ZIP archive in several parts, which is not read")
    locator = start + place - _LOCATOR_64.size
    if locator >= 0:
        source.seek(locator)
        signature, _, offset, _ = _LOCATOR_64.unpack(source.read(_LOCATOR_64.size))
        if signature == b"PK\x06\x07":
            source.seek(min(offset, size))
            record = source.read(_END_64.size)
            if len(record) < _END_64.size or record[:4] != b"PK\x06\x06":
                raise Unparsable("a ZIP archive whose directory is damaged")
            entries, directory = _END_64.unpack(record)[7:9]
    if entries > MEMBERS_MAX:
        raise Unparsable(f"a ZIP archive of more than {MEMBERS_MAX} members")
    if directory > DIRECTORY_BYTES_MAX:
        raise Unparsable(f"a ZIP archive whose directory is larger than {DIRECTORY_BYTES_MAX // 2**20} MiB")


def _judged(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members that are files, when the archive keeps to the bounds."""
    files = [info for info in archive.infolist() if not info.filename.endswith("/")]
    if not files:
        raise Unparsable("a ZIP archive without a file in it")
    if any(info.header_offset < 0 for info in files):
        raise Unparsable("a ZIP archive whose directory is damaged")
    seen: set[str] = set()
    total = 0
    for info in files:
        name = info.orig_filename if _HARMFUL_NAME.search(info.orig_filename) else info.filename
        if _HARMFUL_NAME.search(name) or not 0 < len(name) <= _NAME_MAX:
            raise Unparsable(f"a ZIP archive with a member of a harmful name, {name[:60]!r}")
        if name in seen:
            raise Unparsable(f"a ZIP archive with two members of one name, {name[:60]!r}")
        seen.add(name)
        total += info.file_size
        if info.file_size > max(_SMALL_BYTES, RATIO_MAX * info.compress_size):
            raise Unparsable(f"{name}: unpacks to more than {RATIO_MAX} times its size, as a ZIP bomb does")
        if total > BYTES_MAX:
            raise Unparsable(f"a ZIP archive that unpacks to more than {BYTES_MAX // 2**30} GiB")
    return files


class _Member:
    """A member's content, seekable; a damage of it is `Unparsable` wherever it shows."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content

    def check(self) -> None:
        """Reads it once to its end, where length and checksum are compared, and goes back to its start."""
        while self.read(_CHUNK):
            pass
        self.seek(0)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        try:
            return self._content.read(size)
        except _DAMAGES as error:
            raise _damaged(error) from None

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a place; backwards by reading again from the start."""
        try:
            return self._content.seek(offset, whence)
        except _DAMAGES as error:
            raise _damaged(error) from None

    def tell(self) -> int:
        """The place reached."""
        return self._content.tell()

    def seekable(self) -> bool:
        """Always."""
        return True

    def readable(self) -> bool:
        """Always."""
        return True
