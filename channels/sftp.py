"""SFTP: a parcel is whole under `<name>.part` first and gets its fixed name by one rename.

Everything before the rename is `NotSent`: banks take files by name and leave `.part` alone (the profile's assumption
`partial_suffix`). From the moment the rename is asked for, only the server's own answer counts; without it we are in doubt.

The rename is the plain SSH_FXP_RENAME of protocol version 3, which must fail if the new name exists
(draft-ietf-secsh-filexfer-02, section 6.5); OpenSSH keeps that promise, some servers overwrite, so we also look first.
"""

import asyncio
import hashlib
import posixpath
import stat
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncssh

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
from channels.content import LOT, BadArrival, Fetch, Incoming, fit_to_send, in_lots, on_offer, verified, words
from channels.references import References, Unresolved
from channels.sftp_profile import SftpProfile
from channels.sftp_session import LoginFailed, SftpSession, broken, definite

_ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_FORBIDDEN = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect)
_REQUEST_ERRORS = (OSError, asyncssh.Error)  # all that a request of asyncssh raises; a time-out is an OSError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    directory: str
    name: str
    size: int | None
    modified: int

    @property
    def path(self) -> str:
        return posixpath.join(self.directory, self.name)


def _file_type(attributes: Any) -> bool:
    """Whether this is a regular file; a server that tells no type is believed to list files."""
    return attributes.permissions is None or stat.S_ISREG(attributes.permissions) or stat.S_IFMT(attributes.permissions) == 0


class SftpChannel:
    """A `Channel` over one kept SSH connection. Safe to use from one task at a time."""

    def __init__(
        self,
        profile: SftpProfile,
        *,
        guarantee: Guarantee,
        absence_is_final: bool,
        references: References,
        clock: Callable[[], datetime],
    ) -> None:
        self._profile = profile
        self._guarantee = guarantee
        self._troubles: list[str] = []
        self._absence_is_final = absence_is_final
        self._clock = clock
        self._session = SftpSession(profile, references)

    @property
    def kind(self) -> str:
        return "sftp"

    @property
    def guarantee(self) -> Guarantee:
        return self._guarantee

    @property
    def troubles(self) -> tuple[str, ...]:
        return tuple(self._troubles)

    # Sending

    async def send(self, parcel: Parcel) -> Receipt:
        """See `Channel.send`. Evidence: "sftp.rename", or "sftp.exists" where the bank has the same file by that name."""
        fit_to_send(parcel, self._profile.file_bytes_max)
        with self._leaving_on_cancel():
            try:
                async with asyncio.timeout(self._profile.timeouts.total):
                    receipt = await self._prepare(parcel)
            except (InDoubt, Refused, NotSent):
                raise
            except Exception as error:  # whatever it is: the rename was not asked for, so the bank has no file of this name
                if broken(error):
                    self._session.drop()
                text = str(error) if isinstance(error, ChannelError | LoginFailed) else f"upload: {words(error)}"
                raise NotSent(f"{text}; the file has not got its name") from error
            return receipt or await self._place(parcel)

    async def _prepare(self, parcel: Parcel) -> Receipt | None:
        """Everything before the rename; once more on a new connection if the kept one turns out to be dead."""
        reused = self._session.alive
        try:
            return await self._upload(await self._session.client(), parcel)
        except _REQUEST_ERRORS as error:
            if not (reused and broken(error)):
                raise
            self._session.drop()
        return await self._upload(await self._session.client(), parcel)

    async def _upload(self, sftp: Any, parcel: Parcel) -> Receipt | None:
        """The whole parcel under its partial name, or a receipt because the bank has it already."""
        receipt = await self._receipt_if_there(sftp, parcel)
        if receipt is not None:
            return receipt
        await self._write(sftp, parcel)
        part = await self._look(sftp, self._partial(parcel))
        if part is None:
            raise InDoubt("the uploaded .part file is gone before we renamed it: somebody else took it or renamed it")
        if part.size != parcel.size:
            raise NotSent(f"the server shows {part.size} bytes of {parcel.size} uploaded; the file has not got its name")
        return await self._receipt_if_there(sftp, parcel, archives=False)  # a server that overwrites must not be asked to

    async def _write(self, sftp: Any, parcel: Parcel) -> None:
        within = self._session.within
        file = await self._create(sftp, self._partial(parcel))
        try:
            async with aclosing(in_lots(verified(parcel))) as lots:
                async for lot in lots:
                    await within(file.write(lot))
            if self._profile.sync:
                with suppress(asyncssh.SFTPOpUnsupported):  # without fsync@openssh.com, the answer to close is all there is
                    await within(file.fsync())
        except Exception as error:
            if not broken(error):
                await within(file.close())  # the connection is kept, so the server's handle must not be
            raise
        await within(file.close())

    async def _create(self, sftp: Any, path: str) -> Any:
        """A new file, never an old one opened again: after a crash a leftover may share its bytes with a file that was
        delivered (OpenSSH renames by link and unlink), and truncating it would empty both."""
        within = self._session.within
        try:
            return await within(sftp.open(path, "xb"))
        except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
            if await self._look(sftp, path) is None:
                raise
        await within(sftp.remove(path))
        return await within(sftp.open(path, "xb"))

    async def _place(self, parcel: Parcel) -> Receipt:
        """The one request that delivers."""
        try:
            sftp = await self._session.client()
        except (LoginFailed, Unresolved) as error:  # it closed in this very moment, before anything was asked
            raise NotSent(f"{error}; the file has not got its name") from error
        try:
            await self._session.within(sftp.rename(self._partial(parcel), self._final(parcel)))
        except Exception as error:
            if not definite(error):
                self._session.drop()
                raise InDoubt(f"the rename was asked for and not answered: {words(error)}") from error
            return await self._after_refused_rename(sftp, parcel, error)
        return self._receipt("sftp.rename", f"renamed to {parcel.name} in {self._profile.upload}, {parcel.size} bytes")

    async def _after_refused_rename(self, sftp: Any, parcel: Parcel, error: Exception) -> Receipt:
        """The server said no. What it shows now decides; without a clear view we are in doubt."""
        try:
            receipt = await self._receipt_if_there(sftp, parcel, archives=False)
            part = None if receipt else await self._look(sftp, self._partial(parcel))
        except _REQUEST_ERRORS as second:
            self._session.drop()
            raise InDoubt(f"the rename failed ({words(error)}), and so did looking at the result: {words(second)}") from second
        if receipt is not None:
            return receipt
        if part is None or part.size != parcel.size:
            raise InDoubt(f"the rename failed ({words(error)}), but the .part file is not there as we left it") from error
        if isinstance(error, _FORBIDDEN):
            raise Refused("sftp.permission_denied", "the server does not let us give the file its name") from error
        raise NotSent(f"the server refused the rename: {words(error)}; the whole file is still under its .part name") from error

    async def _receipt_if_there(self, sftp: Any, parcel: Parcel, *, archives: bool = True) -> Receipt | None:
        """A receipt if the bank has this very file; None if it has none by this name; `Refused` if it has another one."""
        for directory in (self._profile.upload, *(self._profile.archive if archives else ())):
            path = posixpath.join(directory, parcel.name)
            found = await self._look(sftp, path)
            if found is None:
                continue
            if found.size != parcel.size or not _file_type(found):
                raise Refused("name.taken", f"{directory} has another file by this name: {found.size} bytes, not {parcel.size}")
            digest = await self._digest(sftp, path, parcel.size)
            if digest not in (None, parcel.sha256.lower()):
                raise Refused("name.taken", f"{directory} has another file by this name, of the same length")
            compared = "size" if digest is None else "size and content"
            return self._receipt("sftp.exists", f"{directory} has {parcel.name}, equal in {compared}")
        return None

    async def _digest(self, sftp: Any, path: str, size: int) -> str | None:
        """SHA-256 of a small remote file; None if it is large, may not be read (usual at banks) or was taken meanwhile."""
        if size > self._profile.compare_bytes_max:
            return None
        digest = hashlib.sha256()
        try:
            async with aclosing(self._read(sftp, path)) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
        except asyncssh.SFTPError as error:
            if definite(error):
                return None
            raise
        return digest.hexdigest()

    # Asking

    async def fate(self, parcel: Parcel) -> FateReport:
        """See `Channel.fate`. Lists rather than asks for the name: a directory that is missing must not look like a file
        that is. Evidence: "sftp.listing <directory>"."""
        directories = (self._profile.upload, *self._profile.archive)
        try:
            with self._leaving_on_cancel():
                sftp = await self._live()
                sizes = {directory: await self._listed(sftp, directory, parcel.name) for directory in directories}
        except (Unreachable, *_REQUEST_ERRORS) as error:
            if broken(error):
                self._session.drop()
            return FateReport(fate=Fate.UNKNOWN, evidence="none", detail=f"asking failed: {words(error)}")
        for directory, found in sizes.items():
            if parcel.name in found:
                size = found[parcel.name]
                same = size == parcel.size
                detail = f"{parcel.name} is there with {size} bytes" + ("" if same else f", but we sent {parcel.size}")
                return FateReport(
                    fate=Fate.ARRIVED if same else Fate.UNKNOWN, evidence=f"sftp.listing {directory}", detail=detail
                )
        left = "; our .part file is still there" if self._partial_name(parcel) in sizes[self._profile.upload] else ""
        return FateReport(
            fate=Fate.DID_NOT_ARRIVE if self._absence_is_final else Fate.UNKNOWN,
            evidence=f"sftp.listing {' '.join(directories)}",
            detail=("absent, which this bank declares final" if self._absence_is_final else "absent, which proves nothing")
            + left,
        )

    async def _listed(self, sftp: Any, directory: str, name: str) -> dict[str, int | None]:
        """Of one directory, the entries that belong to a parcel of this name, with their sizes."""
        entries = await self._list(sftp, directory)
        return {entry.name: entry.size for entry in entries if entry.name.startswith(name)}

    # Fetching

    async def receive(self, keep: Keep) -> int:
        """See `Channel.receive`. A kept file is moved to `done_directory` or deleted."""
        self._troubles = []
        with self._leaving_on_cancel():
            offers = []
            try:
                sftp = await self._live()
                for directory in self._profile.downloads:
                    offers += [o for o in await self._list(sftp, directory) if on_offer(o.name, self._profile)]
            except _REQUEST_ERRORS as error:
                self._session.drop()
                raise Unreachable(f"listing what the bank offers failed: {words(error)}") from error

            async def take(offer: _Offer) -> str:
                return await self._take(offer, keep)

            offers.sort(key=lambda o: (o.modified, o.name))
            return await Fetch(
                offers=offers, take=take, release=self._release, trouble=self._troubles.append, broken=self._broke
            ).run(self._profile.files_per_fetch)

    def _broke(self, error: Exception) -> bool:
        if broken(error):
            self._session.drop()
        return not self._session.alive  # also where `keep` wrapped the error in one of its own

    async def _take(self, offer: _Offer, keep: Keep) -> str:
        sftp = await self._live()
        incoming = Incoming(
            name=offer.name,
            size=offer.size,
            limit=self._profile.file_bytes_max,
            stream=lambda: self._read(sftp, offer.path),
        )
        digest = await incoming.hand_to(keep)
        now = await self._look(sftp, offer.path)
        if now is not None and (now.size, now.mtime or 0) != (offer.size, offer.modified):
            raise BadArrival("the bank was still writing the file while it was read")
        return digest

    async def _release(self, offer: _Offer, digest: str) -> None:
        sftp, within = await self._live(), self._session.within
        try:
            if self._profile.done_directory is None or self._profile.download_done == "delete":
                await within(sftp.remove(offer.path))
                return
            target = posixpath.join(self._profile.done_directory, offer.name)
            if await self._look(sftp, target) is not None:  # banks use a name again: content makes it unique
                target += f".{digest[:16]}"
                if await self._look(sftp, target) is not None:
                    await within(sftp.remove(offer.path))  # the same content was set aside under this name before
                    return
            await within(sftp.rename(offer.path, target))
        except _REQUEST_ERRORS as error:
            self._broke(error)
            raise

    # The other side, seen

    async def check(self) -> tuple[str, ...]:
        """See `Channel.check`: logs in and lists every directory of the profile."""
        problems: list[str] = []
        done = self._profile.done_directory if self._profile.download_done == "move" else None
        named = {"upload": [self._profile.upload], "archive": self._profile.archive, "downloads": self._profile.downloads}
        with self._leaving_on_cancel():
            for setting, directories in {**named, "done_directory": [done] if done else []}.items():
                for directory in directories:
                    try:
                        await self._list(await self._live(), directory)
                    except Unreachable as error:
                        return (*problems, str(error))
                    except _REQUEST_ERRORS as error:
                        self._broke(error)
                        problems.append(f"{setting}: {directory} cannot be listed: {words(error)}")
        return tuple(problems)

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._session.close()

    async def _live(self) -> Any:
        try:
            return await self._session.client()
        except (LoginFailed, Unresolved) as error:
            raise Unreachable(str(error)) from error

    async def _list(self, sftp: Any, directory: str) -> list[_Offer]:
        entries = sftp.scandir(directory)
        offers: list[_Offer] = []
        async with aclosing(entries):
            while True:
                try:
                    entry = await self._session.within(anext(entries))
                except StopAsyncIteration:
                    return offers
                if _file_type(entry.attrs):
                    size, modified = entry.attrs.size, entry.attrs.mtime or 0
                    offers.append(_Offer(directory=directory, name=entry.filename, size=size, modified=modified))

    async def _look(self, sftp: Any, path: str) -> Any:
        """The attributes of a name, not following links; None if the server says that there is none."""
        try:
            return await self._session.within(sftp.lstat(path))
        except _ABSENT:
            return None

    async def _read(self, sftp: Any, path: str) -> AsyncGenerator[bytes, None]:
        file = await self._session.within(sftp.open(path, "rb"))
        try:
            while chunk := await self._session.within(file.read(LOT)):
                yield chunk
        finally:
            if self._session.alive:
                await self._session.within(file.close())

    def _final(self, parcel: Parcel) -> str:
        return posixpath.join(self._profile.upload, parcel.name)

    def _partial_name(self, parcel: Parcel) -> str:
        return parcel.name + self._profile.partial_suffix

    def _partial(self, parcel: Parcel) -> str:
        return posixpath.join(self._profile.upload, self._partial_name(parcel))

    def _receipt(self, evidence: str, detail: str) -> Receipt:
        return Receipt(evidence=evidence, detail=detail, at=self._clock())

    @contextmanager
    def _leaving_on_cancel(self) -> Iterator[None]:
        """A cancelled request may still be answered; the connection that would bring that answer is not used again."""
        try:
            yield
        except asyncio.CancelledError:
            self._session.drop()
            raise
