"""From a reference in a profile ("file:…", "env:…") to the bytes or the path a library wants.

Channels do not know how secrets are stored: the caller gives a resolver. It is asked when a connection is opened, not when a
channel is built, so a process that never connects never holds a bank's key, and a renewed key is taken at the next connection.
"""

import base64
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from channels.channel import ChannelError


class Unresolved(ChannelError):
    """The operator's: a reference in the profile leads nowhere, or to something that is not what the setting needs."""


_OTHERS = 0o077


_OPENSSH = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END")
_OPENSSH_CLEAR = b"openssh-key-v1\0" + (4).to_bytes(4, "big") + b"none"  # OpenSSH PROTOCOL.key: magic, then the cipher's name


def _is_clear(content: bytes) -> bool:
    """Whether this is a private key in PEM or OpenSSH form that no passphrase protects."""
    openssh = _OPENSSH.search(content)
    if openssh is not None:
        try:
            return base64.b64decode(openssh[1]).startswith(_OPENSSH_CLEAR)
        except ValueError:
            return False  # no key at all: whoever reads it says so
    encrypted = b"BEGIN ENCRYPTED PRIVATE KEY" in content or b"Proc-Type: 4,ENCRYPTED" in content
    return b"PRIVATE KEY-----" in content and not encrypted


@dataclass(frozen=True, slots=True)
class References:
    """`secret` resolves any reference; `base` is the directory where relative "file:" references start. `certificate` resolves
    one where our own certificate is wanted: of a key in the key store the certificates and not the key.

    `private` marks what nobody else may read (keys, passphrases, passwords): a file that group or others may reach is refused.
    """

    secret: Callable[[str], bytes]
    certificate: Callable[[str], bytes]
    base: Path

    def read(self, setting: str, reference: str, *, private: bool = False, certificate: bool = False) -> bytes:
        """The bytes behind a reference. Raises `Unresolved`, naming the setting and the reference."""
        if private:
            self._refuse_open_file(setting, reference)
        try:
            return self.certificate(reference) if certificate else self.secret(reference)
        except Exception as error:  # the resolver's errors are another room's; here they mean one thing
            raise Unresolved(f"{setting}: {reference} cannot be read: {type(error).__name__}: {error}") from error

    def text(self, setting: str, reference: str, *, private: bool = False) -> str:
        """As `read`, as text, without white space at either end (an editor's last newline is not part of a passphrase)."""
        try:
            return self.read(setting, reference, private=private).decode().strip()
        except UnicodeDecodeError as error:
            raise Unresolved(f"{setting}: {reference} is not UTF-8 text") from error

    @contextmanager
    def path(self, setting: str, reference: str, *, private: bool = False, certificate: bool = False) -> Iterator[str]:
        """A path to give to a library that only takes paths.

        "file:" is the file itself. Anything else goes into an anonymous file in memory that is never on a disk (memfd_create(2));
        that exists on Linux only, so elsewhere `Unresolved` says what to do.
        """
        if reference.startswith("file:"):
            path = self.base / reference.removeprefix("file:")
            if not path.is_file():
                raise Unresolved(f"{setting}: {reference} is not a file (looked for relative to the configuration directory)")
            if private:
                self._refuse_open_file(setting, reference)
            yield str(path)
            return
        if not hasattr(os, "memfd_create"):
            raise Unresolved(
                f"{setting}: on this system {reference.partition(':')[0]}: is not possible here, because the TLS library takes "
                "files only; put it in a file encrypted with a passphrase and write file:…"
            )
        content = self.read(setting, reference, certificate=certificate)
        descriptor = os.memfd_create("bankgate", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as out:
                out.write(content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)

    def refuse_clear_key(self, setting: str, reference: str) -> None:
        """A private key never lies in clear on a disk; in the environment or a memory file it may be. Raises `Unresolved`."""
        if not reference.startswith("file:"):
            return
        try:
            content = (self.base / reference.removeprefix("file:")).read_bytes()
        except OSError:
            return  # whoever opens it says so
        if _is_clear(content):
            raise Unresolved(
                f"{setting}: the private key in {reference} is not encrypted. Encrypt it (ssh-keygen -p -f KEY, or openssl pkcs8 "
                f"-topk8 -v2 aes-256-cbc -in KEY -out KEY.enc) and name its passphrase in {setting}_passphrase"
            )

    def _refuse_open_file(self, setting: str, reference: str) -> None:
        """The rule that `keys` has for the keys of seals (keys/secrets.py), for those of routes."""
        if not reference.startswith("file:"):
            return
        path = self.base / reference.removeprefix("file:")
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise Unresolved(f"{setting}: {reference} cannot be read: {error.strerror}") from error
        if mode & _OTHERS:
            raise Unresolved(f"{setting}: group or others may reach {reference}; run: chmod 600 {path}")
