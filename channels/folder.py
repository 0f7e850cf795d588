"""A directory on this machine, or mounted on it: the same rules as SFTP, with the file system's own words.

A parcel is whole and on the disk under `<name>.part` first; link(2) then gives it its fixed name, and fails if that name
exists. Data and directory are flushed before anything is promised.
"""

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from channels.channel import (
    ChannelError,
    Fate,
    FateReport,
    Guarantee,
    InDoubt,
    Keep,
    NotSent,
    Parcel,
    Receipt,
    Refused,
    Unreachable,
)
from channels.content import BadArrival, Fetch, Incoming, fit_to_send, on_offer, verified
from channels.settings import Bytes, Directory, FileRules, Suffix

_PIECE = 1 << 20
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})  # FAT, SMB and some FUSE systems
_CERTAIN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENOTDIR})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class FolderProfile(FileRules):
    """`[channel]` with kind = "folder". Directories are absolute or relative to the configuration directory."""

    kind: Literal["folder"]
    upload: Directory
    archive: tuple[Directory, ...] = ()  # where the other side moves what it took, under the same name
    partial_suffix: Suffix = ".part"  # the other side never takes a file whose name ends so
    compare_bytes_max: Bytes = 1 << 30  # a file that is there already is compared up to this size
    downloads: tuple[Directory, ...] = ()
    download_done: Literal["move", "delete"] = "move"
    done_directory: Directory | None = None  # for "move"; on the same file system as downloads
    file_mode: Annotated[str, Field(pattern=r"^0[0-7]{3}$")] = "0640"  # of what we write

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.download_done == "move" and self.downloads and self.done_directory is None:
            raise ValueError('download_done = "move" needs done_directory')
        if self.done_directory in self.downloads or self.upload in self.archive:
            raise ValueError("done_directory and archive are other directories than downloads and upload")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    path: Path
    size: int
    modified_ns: int


class FolderChannel:
    """A `Channel` over directories. Safe to use from one task at a time; nothing blocks the event loop."""

    def __init__(
        self,
        profile: FolderProfile,
        *,
        guarantee: Guarantee,
        absence_is_final: bool,
        base: Path,
        clock: Callable[[], datetime],
    ) -> None:
        self._profile = profile
        self._guarantee = guarantee
        self._troubles: list[str] = []
        self._absence_is_final = absence_is_final
        self._clock = clock
        self._upload = base / profile.upload
        self._archive = tuple(base / directory for directory in profile.archive)
        self._downloads = tuple(base / directory for directory in profile.downloads)
        self._done = base / profile.done_directory if profile.done_directory and profile.download_done == "move" else None

    @property
    def kind(self) -> str:
        return "folder"

    @property
    def guarantee(self) -> Guarantee:
        return self._guarantee

    @property
    def troubles(self) -> tuple[str, ...]:
        return tuple(self._troubles)

    # Sending

    async def send(self, parcel: Parcel) -> Receipt:
        """See `Channel.send`. Evidence: "folder.link", or "folder.exists" where the same file is there by that name."""
        fit_to_send(parcel, self._profile.file_bytes_max)
        try:
            receipt = await asyncio.to_thread(self._receipt_if_there, parcel)
            if receipt is None:
                await self._write(parcel)
        except Refused:
            raise
        except Exception as error:  # whatever it is: the file has not got its name
            text = str(error) if isinstance(error, ChannelError) else _code(error)
            raise NotSent(f"writing: {text}; the file has not got its name") from error
        if receipt is not None:
            return receipt
        return await asyncio.to_thread(self._place, parcel)

    async def _write(self, parcel: Parcel) -> None:
        """A new file, never an old one opened again: a leftover may be a second name of a file that was delivered."""
        part = self._partial(parcel)
        mode = int(self._profile.file_mode, 8)

        def create() -> int:
            part.unlink(missing_ok=True)
            return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)

        descriptor = await asyncio.to_thread(create)
        try:
            async with aclosing(verified(parcel)) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(_write_all, descriptor, chunk)
            await asyncio.to_thread(os.fsync, descriptor)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size != parcel.size:
            raise OSError(errno.EIO, "the file system shows another size than was written")

    def _place(self, parcel: Parcel) -> Receipt:
        """The one step that delivers."""
        part, final = self._partial(parcel), self._upload / parcel.name
        try:
            try:
                os.link(part, final, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _NO_LINKS or os.path.lexists(final):
                    raise
                part.rename(final)  # no links here: we looked, and nobody else writes this name
        except OSError as error:
            return self._after_failed_link(parcel, error)
        try:
            part.unlink(missing_ok=True)
            _sync(self._upload)
        except OSError as error:
            raise InDoubt(f"the file has its name, but it is not certain that this survives a crash: {_code(error)}") from error
        return self._receipt("folder.link", f"{parcel.name} is in {self._profile.upload}, {parcel.size} bytes")

    def _after_failed_link(self, parcel: Parcel, error: OSError) -> Receipt:
        """What the directory shows now decides; a mounted file system may fail and have done it."""
        try:
            receipt = self._receipt_if_there(parcel)
            if receipt is not None:
                return receipt
            part_is_whole = self._partial(parcel).lstat().st_size == parcel.size
        except OSError as second:
            raise InDoubt(f"giving the file its name failed ({_code(error)}), and so did looking: {_code(second)}") from second
        if error.errno not in _CERTAIN or not part_is_whole:
            raise InDoubt(f"giving the file its name failed, and whether it has it is not certain: {_code(error)}") from error
        if error.errno in _FORBIDDEN:
            raise Refused("folder.permission_denied", f"we may not give a file its name in {self._profile.upload}") from error
        raise NotSent(f"the file has not got its name: {_code(error)}") from error

    def _receipt_if_there(self, parcel: Parcel) -> Receipt | None:
        for directory in (self._upload, *self._archive):
            path = directory / parcel.name
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(found.st_mode) or found.st_size != parcel.size:
                raise Refused("name.taken", f"another file by this name is there: {found.st_size} bytes, not {parcel.size}")
            if parcel.size <= self._profile.compare_bytes_max and self._digest(path) not in (None, parcel.sha256.lower()):
                raise Refused("name.taken", "another file by this name is there, of the same length")
            if directory == self._upload:
                self._partial(parcel).unlink(missing_ok=True)  # left by a crash between the two names
                _sync(directory)
            return self._receipt("folder.exists", f"{parcel.name} is there, equal")
        return None

    def _digest(self, path: Path) -> str | None:
        """None if it may not be read, or was taken while we looked."""
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (PermissionError, FileNotFoundError):
            return None

    # Asking

    async def fate(self, parcel: Parcel) -> FateReport:
        """See `Channel.fate`. Evidence: "folder.listing"."""
        return await asyncio.to_thread(self._fate, parcel)

    def _fate(self, parcel: Parcel) -> FateReport:
        try:
            sizes = {
                directory: {entry.name: entry.stat(follow_symlinks=False).st_size for entry in _entries(directory, parcel.name)}
                for directory in (self._upload, *self._archive)
            }
        except OSError as error:
            return FateReport(fate=Fate.UNKNOWN, evidence="none", detail=f"asking failed: {_code(error)}")
        for directory, found in sizes.items():
            if parcel.name in found:
                same = found[parcel.name] == parcel.size
                where = "upload" if directory == self._upload else "archive"
                detail = f"{parcel.name} is there with {found[parcel.name]} bytes" + (
                    "" if same else f", but we sent {parcel.size}"
                )
                return FateReport(fate=Fate.ARRIVED if same else Fate.UNKNOWN, evidence=f"folder.listing {where}", detail=detail)
        final = self._absence_is_final
        return FateReport(
            fate=Fate.DID_NOT_ARRIVE if final else Fate.UNKNOWN,
            evidence="folder.listing",
            detail="absent, which the other side declares final" if final else "absent, which proves nothing",
        )

    # Fetching

    async def receive(self, keep: Keep) -> int:
        """See `Channel.receive`. A kept file is moved to `done_directory` or deleted."""
        self._troubles = []
        try:
            offers = await asyncio.to_thread(self._offers)
        except OSError as error:
            raise Unreachable(f"listing what is offered failed: {_code(error)}") from error

        async def take(offer: _Offer) -> str:
            incoming = Incoming(
                name=offer.path.name, size=offer.size, limit=self._profile.file_bytes_max, stream=lambda: _read(offer.path)
            )
            digest = await incoming.hand_to(keep)
            now = offer.path.lstat()
            if (now.st_size, now.st_mtime_ns) != (offer.size, offer.modified_ns):
                raise BadArrival("the file was still being written while it was read")
            return digest

        fetch = Fetch(offers=offers, take=take, release=self._release, trouble=self._troubles.append, broken=lambda _: False)
        return await fetch.run(self._profile.files_per_fetch)

    def _offers(self) -> list[_Offer]:
        offers = []
        for directory in self._downloads:
            for entry in _entries(directory):
                if on_offer(entry.name, self._profile):
                    with suppress(FileNotFoundError):  # taken away since it was listed
                        found = entry.stat(follow_symlinks=False)
                        offers.append(_Offer(path=Path(entry.path), size=found.st_size, modified_ns=found.st_mtime_ns))
        return sorted(offers, key=lambda o: (o.modified_ns, o.path.name))

    async def _release(self, offer: _Offer, digest: str) -> None:
        await asyncio.to_thread(self._set_aside, offer.path, digest)

    def _set_aside(self, path: Path, digest: str) -> None:
        if self._done is not None:
            for target in (self._done / path.name, self._done / f"{path.name}.{digest[:16]}"):
                if not os.path.lexists(target):
                    path.rename(target)
                    _sync(self._done)
                    _sync(path.parent)
                    return
        path.unlink()  # to be deleted, or set aside before with the same content
        _sync(path.parent)

    # The other side, seen

    async def check(self) -> tuple[str, ...]:
        """See `Channel.check`: lists every directory of the profile."""
        return await asyncio.to_thread(self._check)

    def _check(self) -> tuple[str, ...]:
        problems = []
        done = (self._done,) if self._done else ()
        named = {"upload": (self._upload,), "archive": self._archive, "downloads": self._downloads, "done_directory": done}
        for setting, directories in named.items():
            for directory in directories:
                try:
                    _entries(directory)
                except OSError as error:
                    problems.append(f"{setting}: {directory} cannot be listed: {_code(error)}")
                    continue
                if setting != "archive" and not os.access(directory, os.W_OK):
                    problems.append(f"{setting}: {directory} cannot be written to")
        return tuple(problems)

    async def close(self) -> None:
        """Nothing is kept open."""

    def _partial(self, parcel: Parcel) -> Path:
        return self._upload / (parcel.name + self._profile.partial_suffix)

    def _receipt(self, evidence: str, detail: str) -> Receipt:
        return Receipt(evidence=evidence, detail=detail, at=self._clock())


def _entries(directory: Path, prefix: str = "") -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return [entry for entry in entries if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False)]


async def _read(path: Path) -> AsyncGenerator[bytes, None]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
    finally:
        file.close()


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(directory: Path) -> None:
    """Makes the names in a directory durable (fsync(2): a file's own fsync does not)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _code(error: BaseException) -> str:
    """An error without the path in its text: a bank's file names may contain account numbers."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"{errno.errorcode.get(error.errno, error.errno)} ({os.strerror(error.errno)})"
    return type(error).__name__
