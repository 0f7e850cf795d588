"""From the `[channel]` table of a connection file to a channel."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter

from channels.channel import Channel, Guarantee
from channels.ebics.profile import EbicsProfile
from channels.folder import FolderChannel, FolderProfile
from channels.frontend_profile import FrontendProfile
from channels.https_profile import HttpsProfile
from channels.references import References
from channels.sftp_profile import SftpProfile

if TYPE_CHECKING:  # a type alone
    from channels.ebics.notes import Notes

ChannelProfile = Annotated[
    SftpProfile | HttpsProfile | FolderProfile | EbicsProfile | FrontendProfile, Field(discriminator="kind")
]
_ADAPTER: TypeAdapter[SftpProfile | HttpsProfile | FolderProfile | EbicsProfile | FrontendProfile] = TypeAdapter(
    ChannelProfile, config=ConfigDict(hide_input_in_errors=True)
)


def parse_profile(table: Mapping[str, Any]) -> ChannelProfile:
    """Validates the table whole. Raises `pydantic.ValidationError` with every problem.

    Show its `errors(include_input=False)`: an input may be a secret that was pasted where a reference belongs.
    """
    return _ADAPTER.validate_python(dict(table))


def build_channel(
    profile: ChannelProfile,
    *,
    guarantee: Guarantee,
    absence_is_final: bool,
    secret: Callable[[str], bytes],
    certificate: Callable[[str], bytes],
    clock: Callable[[], datetime],
    base: Path,
    notes: "Notes | None" = None,
) -> Channel:
    """The channel of a profile. Reads no secret and connects to nothing; that happens at the first use.

    `secret` resolves a reference ("file:…", "env:…") to bytes and raises if it cannot; `certificate` does the same where our own
    certificate is meant, which of a key in the key store ("store:…") is another thing than the key. `base` is where relative
    paths start. `absence_is_final`: the bank promises that a file it does not show will never be executed.
    `notes`: where EBICS remembers what is under way; no other channel needs them. Raises `TypeError` for a front machine, which
    takes no files (`channels.frontend`).
    """
    if isinstance(profile, FolderProfile):
        return FolderChannel(profile, guarantee=guarantee, absence_is_final=absence_is_final, base=base, clock=clock)
    if isinstance(profile, FrontendProfile):
        raise TypeError("a front machine is no channel for files: see channels.frontend.build_exchanger")
    references = References(secret=secret, certificate=certificate, base=base)
    # Each kind's libraries are imported where one is built: commands that only read settings start without them.
    if isinstance(profile, EbicsProfile):
        from channels.ebics.channel import EbicsChannel

        if notes is None:
            raise ValueError("an EBICS channel works over notes only: without them a crash could not be told from nothing")
        return EbicsChannel(profile, guarantee=guarantee, references=references, notes=notes, clock=clock)
    if isinstance(profile, SftpProfile):
        from channels.sftp import SftpChannel

        return SftpChannel(profile, guarantee=guarantee, absence_is_final=absence_is_final, references=references, clock=clock)
    from channels.https import HttpsChannel

    return HttpsChannel(profile, guarantee=guarantee, absence_is_final=absence_is_final, references=references, clock=clock)
