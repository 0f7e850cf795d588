"""A bank's SFTP server in this process (asyncssh), over a directory."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSPHRASE = b"correct horse"

SECRETS = {
    "env:CLIENT_KEY": CLIENT_KEY.export_private_key("pkcs8-pem", PASSPHRASE.decode()),
    "env:STRANGER": OTHER_KEY.export_private_key("pkcs8-pem", PASSPHRASE.decode()),
    "env:PASSPHRASE": PASSPHRASE + b"\n",
    "env:WRONG": b"battery staple",
    "env:HOST_KEY": b"bank.example " + HOST_KEY.export_public_key(),
    "env:PASSWORD": b"let me in",
}


@dataclass
class Moods:
    """What the server does besides serving."""

    overwrites: bool = False  # rename replaces an existing file, as some servers do
    rename_error: Exception | None = None
    rename_happens_anyway: bool = False  # together with rename_error
    takes_at_once: bool = False  # moves what is delivered to archive/ in the same moment
    forbids_reading: bool = False
    write_error: Exception | None = None
    lies_about_part_size: bool = False
    forbids_removing: bool = False
    knows_fsync: list[str] = field(default_factory=list)


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: Any, root: Path, moods: Moods) -> None:
        super().__init__(channel, chroot=str(root).encode())
        self._root, self._moods = root, moods

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        moods = self._moods
        if moods.rename_error is not None and not moods.rename_happens_anyway:
            raise moods.rename_error
        target = Path(os.fsdecode(self.map_path(newpath)))
        if target.exists() and not moods.overwrites:
            raise asyncssh.SFTPFailure("File exists")
        Path(os.fsdecode(self.map_path(oldpath))).rename(target)
        if moods.takes_at_once and b"inbox" in newpath:
            target.rename(self._root / "archive" / target.name)
        if moods.rename_error is not None:
            raise moods.rename_error

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if self._moods.forbids_reading and pflags & asyncssh.FXF_READ:
            raise asyncssh.SFTPPermissionDenied("not for you")
        return super().open(path, pflags, attrs)

    def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        if self._moods.write_error is not None:
            raise self._moods.write_error
        return super().write(file_obj, offset, data)

    def lstat(self, path: bytes) -> Any:
        if self._moods.lies_about_part_size and path.endswith(b".part"):
            return asyncssh.SFTPAttrs(size=1)
        return super().lstat(path)

    def remove(self, path: bytes) -> Any:
        if self._moods.forbids_removing:
            raise asyncssh.SFTPPermissionDenied("not for you")
        return super().remove(path)

    def fsync(self, file_obj: object) -> Any:
        self._moods.knows_fsync.append("fsync")
        return super().fsync(file_obj)


class _Door(asyncssh.SSHServer):
    def __init__(self, bank: "SftpBank") -> None:
        self._bank = bank

    def connection_made(self, conn: Any) -> None:
        self._bank.connections += 1
        self._bank.open_connections += 1
        self._bank.last = conn

    def connection_lost(self, exc: Exception | None) -> None:
        self._bank.open_connections -= 1

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("erp", "let me in")

    def begin_auth(self, username: str) -> bool:
        return True


class SftpBank:
    """Started with `await bank.start()`; files under `root`: inbox/, archive/, outbox/, done/."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.moods = Moods()
        self.connections = self.open_connections = 0
        self.last: Any = None
        for name in ("inbox", "archive", "outbox", "done"):
            (root / name).mkdir()

    async def start(self) -> None:
        self._server = await asyncssh.create_server(
            lambda: _Door(self),
            "127.0.0.1",
            0,
            server_host_keys=[HOST_KEY],
            authorized_client_keys=asyncssh.import_authorized_keys(CLIENT_KEY.export_public_key().decode()),
            sftp_factory=lambda channel: _Files(channel, self.root, self.moods),
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def table(self, **changes: Any) -> dict[str, Any]:
        """The `[channel]` table of this bank."""
        return {
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "username": "erp",
            "host_keys": [HOST_KEY.export_public_key().decode().strip()],
            "client_key": "env:CLIENT_KEY",
            "client_key_passphrase": "env:PASSPHRASE",
            "upload": "inbox",
            "archive": ["archive"],
            "downloads": ["outbox"],
            "done_directory": "done",
            "timeouts": {"connect": 2, "login": 2, "operation": 2, "total": 10},
            **changes,
        }

    def inbox(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.root / "inbox").iterdir()}

    def has(self, name: str) -> bytes | None:
        """The delivered file, taken or not."""
        for directory in ("inbox", "archive"):
            path = self.root / directory / name
            if path.exists():
                return path.read_bytes()
        return None
