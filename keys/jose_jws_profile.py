"""The words of a `[seal]` table with `kind = "jws"`, and the seal they make."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from keys import store
from keys.jose_jws import JwsOptions, JwsSeal, fits
from keys.jose_parts import JwsAlgorithm
from keys.keyring import Certificate
from keys.profile_base import Reference, Suffix, certificate_problems, key_problems, missing_certificate, passphrase_problem
from keys.seal import KeyUnavailable
from keys.secrets import Directory
from keys.trust_profile import TrustWords, authorities_used, trust_of, trust_problems

HeaderName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,100}$")]
HeaderValue = Annotated[str, Field(max_length=1000)]
_OURS = frozenset(["alg", "enc", "zip", "kid", "crit", "b64", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "epk", "apu", "apv"])


class JwsProfile(TrustWords):
    """`kind = "jws"`: signed (RFC 7515)."""

    kind: Literal["jws"]
    signing_key: Reference
    signing_key_passphrase: Reference | None = None
    signing_certificate: Reference | None = None  # absent: that of the key in the key store
    bank_signing_certificates: tuple[Reference, ...] = Field(min_length=1)  # pinned: nobody else's signature counts
    algorithm: JwsAlgorithm = "PS256"
    accepted_algorithms: tuple[JwsAlgorithm, ...] = Field(default=get_args(JwsAlgorithm), min_length=1)  # of the bank
    form: Literal["compact", "detached"] = "compact"
    encoded_payload: bool = True  # false: b64 = false (RFC 7797), for detached payloads
    key_id: Annotated[str, Field(min_length=1, max_length=500)] | None = None  # kid, as the bank knows our key
    certificate: Literal["none", "thumbprint", "chain"] = "none"  # x5t#S256, x5c
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict, max_length=20)  # further ones: typ, cty, the bank's own
    critical_headers: tuple[HeaderName, ...] = ()  # those of `headers` that the bank must understand
    understood_headers: tuple[HeaderName, ...] = ()  # those the bank may call critical
    suffix: Suffix = ""
    content_bytes_max: int = Field(default=16 * 1024**2, ge=1, le=256 * 1024**2)

    @model_validator(mode="after")
    def _whole(self) -> "JwsProfile":
        if problem := passphrase_problem(self.signing_key, self.signing_key_passphrase):
            raise ValueError(f"signing_key_passphrase: {problem}")
        if problem := missing_certificate(self.signing_key, self.signing_certificate):
            raise ValueError(f"signing_certificate: {problem}")
        if not self.encoded_payload and self.form != "detached":
            raise ValueError('encoded_payload: a payload that is not encoded must be detached; see form = "detached"')
        if _OURS & self.headers.keys():
            raise ValueError("headers: some of these are written by the seal itself; see algorithm, key_id and certificate")
        if not set(self.critical_headers) <= self.headers.keys() or {"typ", "cty"} & set(self.critical_headers):
            raise ValueError("critical_headers: name headers of the bank's own that stand in headers")
        return self

    @property
    def named_certificate(self) -> str:
        """The reference the own certificate is found by."""
        return self.signing_certificate or self.signing_key


def options_of(profile: JwsProfile) -> JwsOptions:
    """How such a profile signs and what it takes."""
    return JwsOptions(
        algorithm=profile.algorithm,
        form=profile.form,
        encoded_payload=profile.encoded_payload,
        key_id=profile.key_id,
        certificate=profile.certificate,
        headers=dict(profile.headers),
        critical=profile.critical_headers,
        accepted=profile.accepted_algorithms,
        understood=profile.understood_headers,
        content_bytes_max=profile.content_bytes_max,
    )


def build(profile: JwsProfile, base: Directory, clock: Callable[[], datetime]) -> JwsSeal:
    """The seal of a profile; see `keys.profiles.build_seal`. Opens nothing yet."""
    return JwsSeal(
        options=options_of(profile),
        signing=cache(
            lambda: store.own_key(profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base)
        ),
        pinned=cache(lambda: pinned(profile.bank_signing_certificates, base)),
        clock=clock,
        trust=lambda: trust_of(profile, base),
    )


def pinned(references: tuple[str, ...], base: Directory) -> tuple[Certificate, ...]:
    """The certificates these references name. Raises `KeyUnavailable`."""
    return tuple(store.load_certificate(reference, base) for reference in references)


def uses(profile: JwsProfile) -> Iterator[tuple[str, str]]:
    """Every certificate of a profile: what it is used for (the profile's word), and its reference."""
    yield "signing_certificate", profile.named_certificate
    for reference in profile.bank_signing_certificates:
        yield "bank_signing_certificates", reference
    yield from authorities_used(profile)


def problems(profile: JwsProfile, base: Directory, on: datetime, open_keys: bool) -> Iterator[str]:
    """What would keep this profile from working at that moment, in words. `open_keys`: also open the private key."""
    yield from certificate_problems(uses(profile), base, on)
    try:
        if not fits(profile.algorithm, store.load_certificate(profile.named_certificate, base)):
            yield f"algorithm: {profile.algorithm} does not fit the kind of key in {profile.named_certificate}"
    except KeyUnavailable:
        pass  # said above
    yield from trust_problems(profile, uses(profile), base, on)
    if open_keys:
        yield from key_problems(
            "signing_key", profile.signing_certificate, profile.signing_key, profile.signing_key_passphrase, base
        )
