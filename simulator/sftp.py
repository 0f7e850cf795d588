"""The SFTP door: one chrooted tree a customer, logged in by public key, served by asyncssh.

Rules of this bank, which are OpenSSH's where OpenSSH has one:

* A name in `inbox/` is final unless it starts with a dot or ends in `.part`, `.tmp` or `.filepart`. The bank takes a final file
  out of the inbox soon after it is there, so an absent name does not mean that the bank has not got it.
* A plain rename onto a name that exists fails (sftp-server(8): link, then unlink). `posix-rename@openssh.com` replaces.
* `outbox/` is the bank's: the customer reads, deletes, or moves files to `archive/` (or a folder of its own making).
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import asyncssh

from simulator.bank import Bank
from simulator.customer import Customer
from simulator.moods import Mood
from simulator.settings import SftpCustomerSettings
from simulator.settings_base import split_address
from simulator.tree import is_final, move_new

log = logging.getLogger(__name__)

_WRITES = asyncssh.FXF_WRITE | asyncssh.FXF_APPEND | asyncssh.FXF_CREAT


class SftpDoor:
    """A listening server. `start` makes one."""

    def __init__(self, server: Any, host: str, public_key: str) -> None:
        self._server = server
        self.host = host
        self.port: int = server.get_port()
        self.public_key = public_key  # the host key, as an OpenSSH line

    @classmethod
    async def start(cls, bank: Bank, listen: str, host_key: Path) -> "SftpDoor":
        """Opens the door; a missing host key is made. Raises `OSError` if the address cannot be used."""
        host, port = split_address(listen)
        key = _host_key(host_key)
        users = {door.user: (customer, _authorized(bank, door)) for customer, door in _sftp_customers(bank)}
        server = await asyncssh.listen(
            host,
            port,
            server_factory=lambda: _Login(users),
            server_host_keys=[key],
            sftp_factory=lambda channel: _Sftp(channel, bank, users[channel.get_extra_info("username")][0]),
            allow_scp=False,
            allow_pty=False,
            agent_forwarding=False,
            login_timeout=30,
        )
        for customer, _ in _sftp_customers(bank):
            for left_over in sorted(customer.tree.inbox.iterdir(), key=lambda path: path.stat().st_mtime):
                take_from_inbox(bank, customer, left_over.name)
        return cls(server, host, key.export_public_key().decode("ascii").strip())

    async def close(self) -> None:
        """Closes the door and every connection through it."""
        self._server.close()
        await self._server.wait_closed()


def _sftp_customers(bank: Bank) -> list[tuple[Customer, SftpCustomerSettings]]:
    return [(customer, customer.settings.sftp) for customer in bank.customers.values() if customer.settings.sftp is not None]


def _host_key(file: Path) -> Any:
    if not file.exists():
        made = asyncssh.generate_private_key("ssh-ed25519")
        file.touch(mode=0o600)
        made.write_private_key(str(file))
    return asyncssh.read_private_key(str(file))


def _authorized(bank: Bank, door: SftpCustomerSettings) -> frozenset[bytes]:
    lines = list(door.authorized_keys)
    if door.authorized_keys_file is not None:
        text = bank.base.joinpath(door.authorized_keys_file).read_text(encoding="utf-8")
        lines += [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return frozenset(asyncssh.import_public_key(line).public_data for line in lines)


def take_from_inbox(bank: Bank, customer: Customer, name: str) -> None:
    """Takes a final file out of the inbox, if it is there (still)."""
    file = customer.tree.inbox / name
    if not is_final(name) or not file.is_file():
        return
    bank.records.renew(customer.id, name, file.stat().st_size)
    bank.take(customer, name, file)


class _Login(asyncssh.SSHServer):
    """Public keys only; each belongs to one user."""

    def __init__(self, users: dict[str, tuple[Customer, frozenset[bytes]]]) -> None:
        self._users = users

    def begin_auth(self, _username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: Any) -> bool:
        return username in self._users and key.public_data in self._users[username][1]


class _Sftp(asyncssh.SFTPServer):
    """One session of one customer."""

    def __init__(self, channel: Any, bank: Bank, customer: Customer) -> None:
        super().__init__(channel, chroot=os.fsencode(customer.tree.seen))
        self._bank = bank
        self._customer = customer
        self._door = customer.settings.sftp or SftpCustomerSettings(user="-", authorized_keys=("-",))
        self._uploads: dict[int, tuple[PurePosixPath, int]] = {}  # open file → (name the customer gave, bytes received)

    # what the customer may do ----------------------------------------------------------------------------------------------

    def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
        given = _given(path)
        writing = bool(pflags & _WRITES)
        if writing:
            self._may_create(given)
            self._must_be_new(given)
        file = super().open(path, pflags, attrs)
        if writing:
            self._uploads[id(file)] = (given, 0)
            self._write_until_cut(file, 0, b"")
        return file

    def open56(self, *_arguments: Any) -> Any:
        raise asyncssh.SFTPOpUnsupported("this server speaks SFTP version 3")

    def write(self, file_obj: Any, offset: int, data: bytes) -> Any:
        self._write_until_cut(file_obj, offset, data)
        return len(data)

    def close(self, file_obj: Any) -> Any:
        super().close(file_obj)
        upload = self._uploads.pop(id(file_obj), None)
        if upload is not None and _folder(upload[0]) == "inbox":
            self._landed(upload[0].name)

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        self._renames(oldpath, newpath, move_new)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        self._renames(oldpath, newpath, os.replace)

    def link(self, oldpath: bytes, newpath: bytes) -> Any:
        self._renames(oldpath, newpath, os.link)

    def remove(self, path: bytes) -> Any:
        given = _given(path)
        if _folder(given) == "taken":
            raise asyncssh.SFTPPermissionDenied("taken/ belongs to the bank")
        super().remove(path)
        self._emptied(given)

    def mkdir(self, path: bytes, attrs: Any) -> Any:
        if _folder(_given(path)) == "taken" or _given(path).parent == PurePosixPath("/"):
            raise asyncssh.SFTPPermissionDenied("folders can be made below inbox/, outbox/ and archive/ only")
        return super().mkdir(path, attrs)

    def symlink(self, _oldpath: bytes, _newpath: bytes) -> Any:
        raise asyncssh.SFTPPermissionDenied("no symbolic links")

    # what the bank does ----------------------------------------------------------------------------------------------------

    def _renames(self, oldpath: bytes, newpath: bytes, how: Callable[[Path, Path], Any]) -> None:
        old, new = _given(oldpath), _given(newpath)
        self._may_create(new)
        self._must_be_new(new)
        if _folder(old) == "taken":
            raise asyncssh.SFTPPermissionDenied("taken/ belongs to the bank")
        try:
            how(self._real(oldpath), self._real(newpath))
        except FileExistsError as error:
            raise asyncssh.SFTPFileAlreadyExists("File already exists") from error
        if how is not os.link:
            self._emptied(old)
        if _folder(new) == "inbox":
            self._landed(new.name)

    def _landed(self, name: str) -> None:
        """A name appeared in the inbox; if it is final, the bank takes the file now or a little later."""
        if not is_final(name):
            return
        if self._bank.moods.take(Mood.LOSE_ANSWER, self._customer.id):
            take_from_inbox(self._bank, self._customer, name)
            self._hang_up()
        else:
            self._bank.later(self._door.take_after_seconds, lambda: take_from_inbox(self._bank, self._customer, name))

    def _emptied(self, given: PurePosixPath) -> None:
        if given.parent == PurePosixPath("/outbox"):
            self._bank.outgoing.emptied(self._customer, given.name)

    def _write_until_cut(self, file: Any, offset: int, data: bytes) -> None:
        given, before = self._uploads.get(id(file), (PurePosixPath("/"), 0))
        cut = self._bank.moods.peek(Mood.CUT_AT_BYTE, self._customer.id) if _folder(given) == "inbox" else None
        if cut is None or before + len(data) < cut.value:
            super().write(file, offset, data)
            self._uploads[id(file)] = (given, before + len(data))
            return
        super().write(file, offset, data[: cut.value - before])
        self._bank.moods.take(Mood.CUT_AT_BYTE, self._customer.id)
        self._uploads.clear()  # a file whose upload was cut has not landed
        self._hang_up()

    def _hang_up(self) -> None:
        """The line is cut: no answer, no goodbye."""
        self.connection.abort()
        raise asyncssh.SFTPConnectionLost("cut by a mood")

    def _may_create(self, given: PurePosixPath) -> None:
        if _folder(given) not in {"inbox", "archive"} and given.parent == PurePosixPath("/", _folder(given)):
            raise asyncssh.SFTPPermissionDenied("files go to inbox/; what was read goes to archive/")

    def _must_be_new(self, given: PurePosixPath) -> None:
        if not self._door.remember_names or given.parent != PurePosixPath("/inbox") or not is_final(given.name):
            return
        if self._bank.records.known(self._customer.id, given.name) is not None:
            raise asyncssh.SFTPFileAlreadyExists("a file of this name was received before")

    def _real(self, path: bytes) -> Path:
        return Path(os.fsdecode(self.map_path(path)))


def _given(path: bytes) -> PurePosixPath:
    """The path as the customer sees it, from its root, without any `..`."""
    return PurePosixPath(os.path.normpath(os.path.join("/", os.fsdecode(path))))  # noqa: PTH118 - pathlib keeps ".."


def _folder(given: PurePosixPath) -> str:
    """The folder of the tree a path is in: "inbox", …; "" for the root itself."""
    return given.parts[1] if len(given.parts) > 1 else ""
