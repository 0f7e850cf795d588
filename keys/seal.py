"""What a seal is: sign and encrypt on the way out, decrypt and verify on the way in.

A seal is built once per connection from its profile (the `[seal]` table of a connection file) and a keyring, and then used for
every file. It streams: memory does not grow with the file.
"""

from typing import BinaryIO, Protocol


class SealError(Exception):
    """Base of this room's errors."""


class BadSeal(SealError):
    """Security's: the bytes are not what the other side sealed for us. Quarantine, alarm, never retry.

    `code` is stable and says which check failed ("signature.invalid", "signer.unknown", "decryption.failed", "structure", …).
    """

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{detail} [{code}]")


class KeyUnavailable(SealError):
    """The operator's: a key that is needed cannot be reached, opened or used today. Says which and what to do."""


class Seal(Protocol):
    """Both directions of one seal profile."""

    @property
    def kind(self) -> str:
        """The word in the profile: "plain", "cms", …"""

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """Reads `source` (seekable; may be read twice) to its end and writes the sealed form. Raises `KeyUnavailable`."""

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """Writes what was inside. Raises `BadSeal` or `KeyUnavailable`; then whatever was written so far must be thrown away."""
