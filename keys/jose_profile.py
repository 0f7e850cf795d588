"""Both kinds of JOSE for `keys.profiles`: "jws" and "jwe"."""

from collections.abc import Callable, Iterator
from datetime import datetime

from keys import jose_jwe_profile, jose_jws_profile
from keys.jose_jwe import JweSeal
from keys.jose_jwe_profile import JweProfile
from keys.jose_jws import JwsSeal
from keys.jose_jws_profile import JwsProfile
from keys.secrets import Directory

__all__ = ["JweProfile", "JwsProfile", "build", "problems", "uses"]


def build(profile: JwsProfile | JweProfile, base: Directory, clock: Callable[[], datetime]) -> JwsSeal | JweSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""
    if isinstance(profile, JwsProfile):
        return jose_jws_profile.build(profile, base, clock)
    return jose_jwe_profile.build(profile, base, clock)


def uses(profile: JwsProfile | JweProfile) -> Iterator[tuple[str, str]]:
    """Every certificate of a profile: what it is used for (the profile's word), and its reference."""
    return jose_jws_profile.uses(profile) if isinstance(profile, JwsProfile) else jose_jwe_profile.uses(profile)


def problems(profile: JwsProfile | JweProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words. `open_keys`: also open the private keys."""
    if isinstance(profile, JwsProfile):
        return jose_jws_profile.problems(profile, base, on, open_keys)
    return jose_jwe_profile.problems(profile, base, on, open_keys)
