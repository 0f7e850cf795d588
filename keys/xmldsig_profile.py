"""The words of a `[seal]` table with `kind = "xmldsig"`, and the seal they make."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from keys.secrets import Directory
from keys.trust_profile import trust_of
from keys.xml_profile import XmlProfile, keys_of, options_of, problems, uses
from keys.xmldsig import XmlDsigSeal

__all__ = ["XmlDsigProfile", "build", "problems", "uses"]


class XmlDsigProfile(XmlProfile):
    """`kind = "xmldsig"`: an enveloped XML signature in the document."""

    kind: Literal["xmldsig"]


def build(profile: XmlDsigProfile, base: Directory, clock: Callable[[], datetime]) -> XmlDsigSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""
    signing, pinned = keys_of(profile, base)
    return XmlDsigSeal(
        options=options_of(profile), signing=signing, pinned=pinned, clock=clock, trust=lambda: trust_of(profile, base)
    )
