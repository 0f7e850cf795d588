"""New keys of ours for old ones (PUB, HCA, HCS), so that there is always a pair that the bank knows.

The new keys are stored before the order is sent, and the old ones kept until the bank's word decides. The order itself is an
upload (`channels.ebics.upload`), signed and authenticated with the old keys. If it ends in doubt, the bank is asked with a
message that moves nothing: HTD, authenticated with the new X002. Its answer decides for HCA and HCS. PUB changes the signature
key alone, which no download shows: HAC or the bank decides. Until then no order goes out: it might be signed with a key that the
bank does not take.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from channels.ebics.answers import Answer
from channels.ebics.codes_table import NO_DATA
from channels.ebics.upload import Outcome, UploadState

ChangeOrder = Literal["PUB", "HCA", "HCS"]
KeyUse = Literal["signature", "authentication", "encryption"]
AUTHENTICATION_FAILED: Final = "061001"
_REPLACED: Final[dict[ChangeOrder, tuple[KeyUse, ...]]] = {
    "PUB": ("signature",),
    "HCA": ("authentication", "encryption"),
    "HCS": ("signature", "authentication", "encryption"),
}


class InForce(StrEnum):
    """Which keys the bank takes."""

    OLD = "old"
    NEW = "new"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """One change on its way. Stored with references to both sets of keys."""

    order: ChangeOrder
    in_force: InForce = InForce.OLD

    @property
    def replaces(self) -> tuple[KeyUse, ...]:
        """Which keys it replaces."""
        return _REPLACED[self.order]

    @property
    def may_be_asked(self) -> bool:
        """Whether a message authenticated with the new X002 tells which keys are in force."""
        return self.in_force is InForce.UNKNOWN and "authentication" in self.replaces


def standing(change: KeyChange, upload: UploadState | None) -> KeyChange:
    """Which keys are in force, by where the upload of the new ones stands. Until its last segment went out the old ones are. A
    refused authentication after a copy that went out before may come from the new keys being in force."""
    if upload is None or (upload.outcome is Outcome.OPEN and not upload.completed):
        return replace(change, in_force=InForce.OLD)
    if upload.outcome is Outcome.ACCEPTED:
        return replace(change, in_force=InForce.NEW)
    refused = upload.outcome is Outcome.NOT_HELD and not (upload.before and upload.code == AUTHENTICATION_FAILED)
    return replace(change, in_force=InForce.OLD if refused else InForce.UNKNOWN)


def asked(change: KeyChange, answer: Answer) -> KeyChange:
    """The verified answer to HTD, authenticated with the new X002: success proves the new keys, a refused authentication the old
    ones; another error may have been found before the signature was looked at, and proves nothing. Raises `ValueError` where
    nothing is to be asked."""
    if not change.may_be_asked:
        raise ValueError("the keys in force are known, or cannot be told by asking: see the customer protocol, or ask the bank")
    if answer.says(AUTHENTICATION_FAILED):
        return replace(change, in_force=InForce.OLD)
    return replace(change, in_force=InForce.NEW) if answer.fine or answer.says(NO_DATA) else change
