"""The words of a `[seal]` table with `kind = "plain"`."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Literal

from keys.plain import PlainSeal
from keys.profile_base import Profile, Suffix
from keys.secrets import Directory


class PlainProfile(Profile):
    """`kind = "plain"`: files go and come as they are."""

    kind: Literal["plain"] = "plain"
    suffix: Suffix = ""


def build(profile: PlainProfile, base: Directory, clock: Callable[[], datetime]) -> PlainSeal:
    """The seal of a profile; see `keys.profiles.build_seal`."""
    del profile, base, clock
    return PlainSeal()


def uses(profile: PlainProfile) -> Iterator[tuple[str, str]]:
    """The certificates of a profile: none."""
    del profile
    return iter(())


def problems(profile: PlainProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working: nothing can."""
    del profile, base, on, open_keys
    return iter(())
