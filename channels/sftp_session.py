"""One kept SSH connection with an SFTP session on it: opened when needed, opened again when broken.

Nothing of the machine's own SSH set-up is used: no ~/.ssh/config, no agent, no known_hosts file, no default keys. The bank's
host keys are pinned in the profile; a key that is not pinned ends the connection before anything is said (RFC 4251, section 4.1).
"""

import asyncio
import socket
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

import asyncssh

from channels.content import words
from channels.references import References, Unresolved
from channels.sftp_profile import SftpProfile, is_public_key

T = TypeVar("T")

# AES-GCM first: about twice as fast as chacha20-poly1305 where the CPU knows AES. The rest is for banks with older servers.
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
asyncssh.set_log_level("WARNING")  # below that it logs user and file names, and a bank's file names may hold account numbers
_LOST = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage)


def definite(error: BaseException) -> bool:
    """Whether the server answered this one request with a status of its own (draft-ietf-secsh-filexfer-02, section 7).

    Connection lost, no connection and bad message are also made up on our side, so they say nothing about the server.
    """
    return isinstance(error, asyncssh.SFTPError) and not isinstance(error, _LOST)


def broken(error: BaseException) -> bool:
    """Whether the connection cannot be used after this error: it was lost, or an answer is overdue and may still come."""
    return isinstance(error, OSError | asyncssh.Error) and not definite(error)


class LoginFailed(Exception):
    """Nobody could log in: the text says in which phase and why. Nothing was sent."""


class SftpSession:
    """Gives a live SFTP client on demand."""

    def __init__(self, profile: SftpProfile, references: References) -> None:
        self._profile = profile
        self._references = references
        self._connection: Any = None
        self._client: Any = None

    @property
    def alive(self) -> bool:
        """Whether there is a connection that is not known to be closed."""
        return self._connection is not None and not self._connection.is_closed()

    async def client(self) -> Any:
        """The kept client, or a new one. Raises `LoginFailed` or `Unresolved`."""
        if not self.alive:
            self.drop()
            await self._open()
        return self._client

    async def within(self, operation: Awaitable[T]) -> T:
        """One request and its answer, within the time-out of the phase; asyncssh has none of its own for it."""
        async with asyncio.timeout(self._profile.timeouts.operation):
            return await operation

    def drop(self) -> None:
        """Ends the connection at once. An answer that is still on its way is never read."""
        if self._connection is not None:
            self._connection.abort()
        self._connection = self._client = None

    async def close(self) -> None:
        """Says goodbye where somebody still listens."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is None:
            return
        connection.close()
        with suppress(OSError, asyncssh.Error):
            async with asyncio.timeout(min(2.0, self._profile.timeouts.operation)):
                await connection.wait_closed()
        connection.abort()

    async def _open(self) -> None:
        options = await asyncio.to_thread(self._credentials)  # opening an encrypted key is slow on purpose
        sock = await self._dial()
        try:
            async with asyncio.timeout(self._profile.timeouts.login):
                self._connection = await asyncssh.connect(
                    self._profile.host,
                    self._profile.port,
                    sock=sock,
                    username=self._profile.username,
                    config=[],
                    agent_path=None,
                    gss_host=None,
                    encryption_algs=list(_CIPHERS),
                    compression_algs=["none", "zlib@openssh.com"],  # what travels is encrypted: it does not get smaller
                    keepalive_interval=self._profile.keepalive_seconds,
                    keepalive_count_max=3,
                    login_timeout=self._profile.timeouts.login,
                    **options,
                )
                self._client = await self._connection.start_sftp_client(path_encoding="utf-8", path_errors="surrogateescape")
        except asyncssh.HostKeyNotVerifiable as error:
            self.drop()
            raise LoginFailed(
                "login: the server's host key is not among host_keys, nor certified by host_authorities; nobody logged in"
            ) from error
        except asyncssh.PermissionDenied as error:
            self.drop()
            raise LoginFailed("login: the server does not accept this user with this key or password") from error
        except (OSError, asyncssh.Error) as error:
            self.drop()
            raise LoginFailed(f"login: {words(error)}") from error
        except asyncio.CancelledError:
            self.drop()
            raise
        finally:
            if self._connection is None:
                sock.close()

    async def _dial(self) -> socket.socket:
        """A TCP connection within its own time-out; every address of the host is tried in turn."""
        loop = asyncio.get_running_loop()
        host, port = self._profile.host, self._profile.port
        failure: Exception = LoginFailed("connect: the host name has no address")
        try:
            async with asyncio.timeout(self._profile.timeouts.connect):
                for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    sock = socket.socket(family, kind, protocol)
                    try:
                        sock.setblocking(False)
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        await loop.sock_connect(sock, address)
                    except OSError as error:
                        sock.close()
                        failure = error
                        continue
                    except asyncio.CancelledError:
                        sock.close()
                        raise
                    return sock
        except OSError as error:
            failure = error
        raise LoginFailed(f"connect: {words(failure)}") from failure

    def _credentials(self) -> dict[str, Any]:
        profile, references = self._profile, self._references
        options: dict[str, Any] = {"known_hosts": self._known_hosts(), "client_keys": None, "password": None}
        methods = []
        if profile.client_key is not None:
            options["client_keys"] = [self._client_key(profile.client_key)]
            methods.append("publickey")
        if profile.password is not None:
            options["password"] = references.text("password", profile.password, private=True)
            methods.append("password")
        options["preferred_auth"] = methods
        return options

    def _client_key(self, reference: str) -> Any:
        passphrase = None
        if self._profile.client_key_passphrase is not None:
            passphrase = self._references.text("client_key_passphrase", self._profile.client_key_passphrase, private=True)
        self._references.refuse_clear_key("client_key", reference)
        content = self._references.read("client_key", reference, private=True)
        try:
            return asyncssh.import_private_key(content, passphrase)
        except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:  # one or the other, depending on the format
            raise Unresolved(
                f"client_key: {reference} cannot be opened: {error}. It is a private key in OpenSSH or PKCS#8 PEM form, and "
                "client_key_passphrase opens it. An encrypted key in OpenSSH form also needs the package bcrypt; "
                "openssl pkcs8 -topk8 -v2 aes-256-cbc turns it into PKCS#8, which does not"
            ) from error

    def _known_hosts(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Host keys to believe, authorities whose certificates for host keys are believed (PROTOCOL.certkeys of OpenSSH:
        for the host's name, within their validity), and none revoked."""
        pinned = self._keys("host_keys", self._profile.host_keys)
        return pinned, self._keys("host_authorities", self._profile.host_authorities), []

    def _keys(self, setting: str, entries: tuple[str, ...]) -> list[Any]:
        keys = []
        for entry in entries:
            lines = entry if is_public_key(entry) else self._references.text(setting, entry)
            keys += [_host_key(setting, entry, line) for line in lines.splitlines() if line.strip() and not line.startswith("#")]
        if entries and not keys:
            raise Unresolved(f"{setting}: no key in any of the files named there")
        return keys


def _host_key(setting: str, entry: str, line: str) -> Any:
    """A line of a public key file, or of ssh-keyscan and known_hosts (with the host in front)."""
    text = line.strip().removeprefix("@cert-authority").strip()
    if not is_public_key(text):
        text = text.partition(" ")[2].strip()
    try:
        return asyncssh.import_public_key(text)
    except asyncssh.KeyImportError as error:
        where = "the line written there" if is_public_key(entry) else entry
        raise Unresolved(f"{setting}: {where} has a line that is not a public key in OpenSSH form") from error
