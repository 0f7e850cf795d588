"""The words of a `[seal]` table with `kind = "xades"`, and the seal they make."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from keys.secrets import Directory
from keys.trust_profile import trust_of
from keys.xades import TimeStamp, XadesSeal
from keys.xml_profile import XmlProfile, keys_of, options_of, problems, uses

__all__ = ["XadesProfile", "build", "problems", "uses"]


class XadesProfile(XmlProfile):
    """`kind = "xades"`: an enveloped XML signature with the properties of XAdES-BES."""

    kind: Literal["xades"]
    certificate_property: Literal["v2", "v1"] = "v2"  # SigningCertificateV2 (EN 319 132-1), or SigningCertificate (TS 101 903)
    mime_type: Annotated[str, Field(pattern=r"^[a-z]+/[A-Za-z0-9.+\-]+$", max_length=100)] = "text/xml"


def build(
    profile: XadesProfile, base: Directory, clock: Callable[[], datetime], time_stamp: TimeStamp | None = None
) -> XadesSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet.

    `time_stamp`: makes XAdES-T of it; see `keys.xades.TimeStamp`.
    """
    signing, pinned = keys_of(profile, base)
    return XadesSeal(
        options=options_of(profile),
        signing=signing,
        pinned=pinned,
        clock=clock,
        trust=lambda: trust_of(profile, base),
        certificate_property=profile.certificate_property,
        mime_type=profile.mime_type,
        time_stamp=time_stamp,
    )
